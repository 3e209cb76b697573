"""No room for a database's write-ahead log: it says so, loses nothing, and nobody else notices."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.up import Database, Up, a_database, until
from support.wire_client import Reported, logged_in
from torpor_api.failures import StorageFull

ROOM_BYTES = 80 << 20
"""Of the small file system: some segments of 16 MB."""

LEFT_BYTES = 1 << 20
"""What the ballast leaves: too little for another segment."""

WRITES = "insert into heap select repeat('x', 1000) from generate_series(1, 99999)"
"""100 MB of log."""

NO_ROOM_OR_LOST = r"53100: .*No space left on device|(57P01|08006): the compute .* was lost"
"""Who is told depends on which process of Postgres finds no room first, and on what Postgres had
said before it ended: that the transaction is over, or nothing, and then its outcome is unknown."""

LOOKS = 5
"""While there is no room."""

ROOM_SECONDS_MAX = 60.0
"""For the rest after the last failed start, and for the start that succeeds."""


@pytest.fixture
def place(up: Up) -> Iterator[Database]:
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can mount a small file system")
    with a_database(up) as made:
        yield made


@contextlib.contextmanager
def small_wal(place: Database) -> Iterator[Path]:
    """The database sleeps; its log moves to a small file system of its own, and back."""
    wal, kept = place.folder / "data" / "pg_wal", place.folder / "kept_wal"
    owner = wal.stat().st_uid
    wal.rename(kept)
    wal.mkdir(mode=0o700)
    options = f"size={ROOM_BYTES},uid={owner},gid={owner},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", wal], check=True)
    try:
        move(kept, wal)
        yield wal
        place.fall_asleep()
        move(wal, kept)
    finally:
        subprocess.run(["umount", "--lazy", wal], check=True)
        wal.rmdir()
        kept.rename(wal)


def move(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", f"{source}/.", target], check=True)


def fill(wal: Path) -> Path:
    ballast = wal / "ballast"
    left = shutil.disk_usage(wal).free - LEFT_BYTES
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, left)
    return ballast


def test_it_says_so_and_goes_on_when_there_is_room(place: Database, up: Up) -> None:
    """Without room Postgres ends, and may not come up again: no other database hears of that."""
    place.fall_asleep()
    with a_database(up) as another, logged_in(another) as other, small_wal(place) as wal:
        with logged_in(place) as writer:
            writer.query("create table heap (v text)")
            writer.query("insert into heap values ('acknowledged')")
            ballast = fill(wal)
            with pytest.raises(Reported, match=NO_ROOM_OR_LOST):
                writer.query(WRITES)
        for _ in range(LOOKS):
            assert other.query("select 1") == [(b"1",)]
            wakes(place)
        ballast.unlink()
        until(lambda: wakes(place), "it is awake again", ROOM_SECONDS_MAX)
        with logged_in(place) as client:
            client.query(WRITES.replace("99999", "9999"))
            assert client.query("select v from heap where v < 'b'") == [(b"acknowledged",)]
        assert other.query("select 1") == [(b"1",)]


def wakes(place: Database) -> bool:
    """Whether it does; why not is said. One that has failed several times rests for a while."""
    try:
        place.wake()
    except StorageFull as failure:
        assert "No space left on device" in failure.message
        return False
    return True
