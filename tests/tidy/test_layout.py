"""Folders that would break Python itself, or the way packages are found."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPONENTS = ("operator", "channel", "compute", "proxy", "autoscaler", "cli")


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_folder_is_no_package(component: str) -> None:
    """`operator/__init__.py` shadows the standard library: `import collections` fails then."""
    assert not (ROOT / component / "__init__.py").exists()


@pytest.mark.parametrize("component", COMPONENTS)
def test_its_packages_carry_the_project_in_their_name(component: str) -> None:
    packages = [path.parent.name for path in (ROOT / component).glob("*/__init__.py")]
    assert packages
    assert [name for name in packages if not name.startswith("torpor_")] == []


def test_no_test_folder_is_called_operator() -> None:
    """Tests are imported by their path from `tests/`, where it would shadow the library too."""
    assert [path for path in (ROOT / "tests").rglob("operator") if path.is_dir()] == []
