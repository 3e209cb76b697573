"""Nothing in the files ties the project to one machine, or to one way of reaching a registry."""

from __future__ import annotations

import re

import pytest

from tidy.tree import files, shown

HOME = re.compile(r"(?:^|[\s\"'`(=:])/(?:root|work|Users|home)/[\w.]+")
"""A path in somebody's home; a bare `/root` as a word is none."""

REGISTRY = re.compile(
    r"pythonhosted|pypi\.org/simple|index[-_]url|trusted[-_]host|find[-_]links|^deb https?://",
    re.IGNORECASE | re.MULTILINE,
)
"""How packages are reached is the reader's own configuration."""

THIS_FILE = "tests/tidy/test_portable.py"


def _places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{shown(path)}: {found.group().strip()}"
        for path in files()
        if shown(path) != THIS_FILE and (text := _text(path)) is not None
        for found in pattern.finditer(text)
    ]


def _text(path: object) -> str | None:
    try:
        with open(str(path), encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        return None


def test_no_path_of_one_machine() -> None:
    assert _places(HOME) == []


def test_no_host_of_a_registry() -> None:
    assert _places(REGISTRY) == []


@pytest.mark.parametrize("text", ["see /home/ann/x", '"/root/.cache"', "=/work/main"])
def test_a_path_would_be_found(text: str) -> None:
    assert HOME.search(text)


def test_a_word_is_no_path() -> None:
    assert not HOME.search("a checkout under ``/root`` can't be reached")
