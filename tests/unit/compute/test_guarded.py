"""Whatever somebody puts in the place of a file: no other is read, and only so much."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.postgres import IS_ROOT, NOBODY
from torpor_compute.adapters import guarded

SECRET = "root:secret"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "pg_control").write_text(SECRET)
    made = tmp_path / "data"
    (made / "global").mkdir(parents=True)
    (made / "global" / "pg_control").write_text("control")
    return made


def test_the_head_of_a_file_is_read(data: Path) -> None:
    assert guarded.read_head(data, "global/pg_control", 100) == b"control"
    assert guarded.read_head(data, "global/pg_control", 3) == b"con"


def test_a_missing_file_is_missing(data: Path) -> None:
    for name in ("PG_VERSION", "base/PG_VERSION"):
        with pytest.raises(FileNotFoundError):
            guarded.read_head(data, name, 100)


def put_a_link(data: Path) -> None:
    (data / "global" / "pg_control").symlink_to(data.parent / "secret")


def put_a_link_for_the_folder(data: Path) -> None:
    (data / "global").rmdir()
    (data / "global").symlink_to(data.parent / "elsewhere")


def put_a_link_for_the_top(data: Path) -> None:
    (data / "global").rmdir()
    data.rmdir()
    (data.parent / "elsewhere" / "global").symlink_to(data.parent / "elsewhere")
    data.symlink_to(data.parent / "elsewhere")


def put_a_pipe(data: Path) -> None:
    os.mkfifo(data / "global" / "pg_control")


def put_a_folder(data: Path) -> None:
    (data / "global" / "pg_control").mkdir()


def put_a_device(data: Path) -> None:
    (data / "global" / "pg_control").symlink_to("/dev/zero")


@pytest.mark.parametrize(
    "put",
    [
        put_a_link,
        put_a_link_for_the_folder,
        put_a_link_for_the_top,
        put_a_pipe,
        put_a_folder,
        put_a_device,
    ],
)
def test_nothing_else_is_read(data: Path, put: object) -> None:
    (data / "global" / "pg_control").unlink()
    assert callable(put)
    put(data)
    with pytest.raises(OSError) as refused:
        guarded.read_head(data, "global/pg_control", 100)
    assert SECRET not in str(refused.value)


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_a_file_of_another_user_is_not_read(data: Path) -> None:
    """As a hard link to it would be."""
    os.chown(data / "global", NOBODY.pw_uid, -1)
    with pytest.raises(PermissionError, match="belongs to another user"):
        guarded.read_head(data, "global/pg_control", 100)


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_of_all_files_below_a_folder_those_of_its_owner_are_opened(data: Path) -> None:
    """Of whatever else is there none: a hard link may be to any file of the machine."""
    for name in ("base", "global", "pg_wal"):
        (data / name).mkdir(exist_ok=True)
        (data / name / "own").write_text(name)
        os.link(data.parent / "secret", data / name / "hard")
    (data / "base" / "link").symlink_to(data.parent / "secret")
    (data / "elsewhere").symlink_to(data.parent / "elsewhere")
    os.mkfifo(data / "base" / "pipe")
    (data / "global" / "pg_control").unlink()
    for path in (data, *data.glob("*/own")):
        os.chown(path, NOBODY.pw_uid, -1)
    found = [os.read(opened, 100).decode() for opened in guarded.files_below(data, first="pg_wal")]
    assert found[0] == "pg_wal" and sorted(found) == ["base", "global", "pg_wal"]


def test_a_link_is_not_written_through(data: Path) -> None:
    link = data / "log"
    link.symlink_to(data.parent / "secret")
    with pytest.raises(OSError), guarded.file(link, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
        pass
    assert (data.parent / "secret").read_text() == SECRET


def test_a_new_file_is_its_owner_s_alone(data: Path) -> None:
    with guarded.file(data / "new", os.O_WRONLY | os.O_CREAT) as descriptor:
        os.write(descriptor, b"text")
    assert (data / "new").stat().st_mode & 0o777 == 0o600
    assert (data / "new").read_text() == "text"
