"""Sources are pinned: what is not the wanted archive is refused, what can't be had says why."""

from __future__ import annotations

import hashlib
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from suites import obtain
from suites.obtain import Archive, Missing


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _archive(sha256: str, *commands: Sequence[str]) -> Archive:
    return Archive("things.tar.gz", sha256, "things-1", ("tests",), lambda _: commands)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An archive in the cache: a test, and something that is not wanted."""
    for folder in ("tests", "other"):
        (tmp_path / "made" / folder).mkdir(parents=True)
        (tmp_path / "made" / folder / "file").write_text(folder)
    file = obtain.cache() / "things.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        tar.add(tmp_path / "made", "things-1")
    return file


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_lies_in_the_cache_is_unpacked_in_part(made: Path) -> None:
    folder = obtain.unpacked(_archive(_digest(made)))
    assert (folder / "tests" / "file").read_text() == "tests"
    assert not (folder / "other").exists()


def test_another_archive_of_that_name_is_refused(made: Path) -> None:
    with pytest.raises(Missing, match=_digest(made)):
        obtain.unpacked(_archive("0" * 64))
    assert not (obtain.cache() / "things-1").exists()


def test_the_second_mirror_is_tried_where_the_first_fails(made: Path) -> None:
    digest, content = _digest(made), made.read_bytes()
    made.unlink()
    (obtain.cache() / "kept").write_bytes(content)
    copy = [sys.executable, "-c", "import shutil; shutil.copy('../kept', 'things.tar.gz')"]
    fail = [sys.executable, "-c", "raise SystemExit('gone')"]
    assert obtain.unpacked(_archive(digest, fail, copy)).is_dir()


def test_what_no_mirror_has_says_why_and_what_to_do() -> None:
    fail = [sys.executable, "-c", "raise SystemExit('not here any more')"]
    with pytest.raises(Missing, match=r"not here any more.*put that file into"):
        obtain.unpacked(_archive("0" * 64, fail))


def test_a_command_that_brings_nothing_is_no_success() -> None:
    with pytest.raises(Missing, match="no mirror"):
        obtain.unpacked(_archive("0" * 64, [sys.executable, "-c", ""]))
