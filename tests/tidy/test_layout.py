"""Folders that would break Python itself, or the way packages and tests are found."""

from __future__ import annotations

import re

import pytest

from tidy.tree import PACKAGE_FOLDERS, ROOT, files, shown


@pytest.mark.parametrize("folder", PACKAGE_FOLDERS)
def test_a_component_folder_is_no_package(folder: str) -> None:
    """`operator/__init__.py` shadows the standard library: `import collections` fails then."""
    assert not (ROOT / folder / "__init__.py").exists()


@pytest.mark.parametrize("folder", PACKAGE_FOLDERS)
def test_its_packages_carry_the_project_in_their_name(folder: str) -> None:
    packages = {path.relative_to(ROOT).parts[1] for path in files() if _is_in(path, folder)}
    assert packages
    assert [name for name in packages if not name.startswith("torpor_")] == []


def test_no_test_folder_is_called_operator() -> None:
    """`tests/` is on the path, so it would shadow the library too."""
    assert [shown(path) for path in files() if "operator" in path.relative_to(ROOT).parts[1:]] == []


def test_unit_tests_mirror_the_packages() -> None:
    """`tests/unit/proxy` is where the tests of `torpor_proxy` are, and nowhere else.

    Those of `torpor_operator` are in `operators`, because of the library's `operator`.
    """
    packages = {
        path.parent.name.removeprefix("torpor_").replace("operator", "operators")
        for folder in PACKAGE_FOLDERS
        for path in (ROOT / folder).glob("torpor_*/__init__.py")
    }
    tested = {path.relative_to(ROOT).parts[2] for path in files() if _is_in(path, "tests/unit")}
    assert tested == packages | {"e2e", "loadtests", "suites"}


def test_tests_are_found() -> None:
    """pytest passes over a file of another name without a word."""
    others = [
        path
        for path in files()
        if _is_in(path, "tests") and path.suffix == ".py" and not path.name.startswith("test_")
    ]
    unseen = re.compile(r"^(async )?def test_", re.MULTILINE)
    assert [shown(path) for path in others if unseen.search(path.read_text())] == []


def _is_in(path: object, folder: str) -> bool:
    return str(path).startswith(f"{ROOT / folder}/")
