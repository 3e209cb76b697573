"""What the kernel keeps of a data directory in memory, as its own tools count it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from torpor_api.identity import ComputeId
from torpor_api.messages import ComputeUse
from torpor_compute.adapters import page_cache
from torpor_compute.adapters.page_cache import let_go
from torpor_compute.adapters.volume import FileVolume

MIB = 1 << 20

IN_WAL, IN_BASE = "data/pg_wal/000000010000000000000001", "data/base/5/16384"


class Container:
    """Uses what the kernel keeps of the volume's files."""

    def __init__(self, volume: Path) -> None:
        self.volume = volume
        self.limit: int | None = None

    def use(self) -> ComputeUse:
        return ComputeUse(
            cpu_seconds=0.0,
            memory_bytes=sum(self.kept(name) for name in (IN_WAL, IN_BASE)),
            anonymous_bytes=0,
            shared_memory_bytes=0,
            memory_limit_bytes=self.limit,
        )

    def kept(self, name: str) -> int:
        counted = ["fincore", "--bytes", "--noheadings", "--output", "RES", str(self.volume / name)]
        return int(subprocess.run(counted, check=True, capture_output=True).stdout)

    def keeps(self, in_wal: int, in_base: int, base: str = IN_BASE) -> None:
        """And if not, then not because the kernel needed memory for others just now: a volume lets
        go of a whole file, and the kernel of parts."""
        found = self.kept(IN_WAL), self.kept(base)
        if any(0 < kept < 4 * MIB for kept in found):
            pytest.skip("the kernel is taking memory back by itself")
        assert found == (in_wal, in_base)

    def volume_of(self) -> FileVolume:
        return FileVolume(self.volume, ComputeId("c1"), "18", container=self.use)


@pytest.fixture
def container() -> Iterator[Container]:
    """On a disk: what is in memory anyway can't be let go of."""
    with tempfile.TemporaryDirectory(prefix="torpor-test-", dir="/var/tmp") as folder:
        volume = Path(folder)
        for name in (IN_WAL, IN_BASE):
            path = volume / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(os.urandom(4 * MIB))
                file.flush()
                os.fsync(file.fileno())
        found = Container(volume)
        if found.use().memory_bytes != 8 * MIB:
            pytest.skip("the kernel does not keep what is written here")
        yield found


async def test_where_there_is_room_everything_stays(container: Container) -> None:
    await container.volume_of().make_room(9 * MIB)
    container.keeps(4 * MIB, 4 * MIB)


@pytest.mark.parametrize("limit", [4 * MIB, 5 * MIB])
async def test_what_does_not_shrink_keeps_what_it_has(container: Container, limit: int) -> None:
    container.limit = limit
    await container.volume_of().make_room(5 * MIB)
    container.keeps(4 * MIB, 4 * MIB)


def test_what_was_dirty_goes_once_it_is_on_the_disk(container: Container) -> None:
    path = container.volume / IN_BASE
    path.write_bytes(os.urandom(4 * MIB))

    def flush(seconds: float) -> None:
        with path.open("rb") as file:
            os.fsync(file.fileno())

    let_go(container.volume / "data", lambda: container.use().memory_bytes, 0, pause=flush)
    assert container.use().memory_bytes == 0


def test_it_ends_in_time(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "SECONDS_MAX", -1.0)
    let_go(container.volume / "data", lambda: container.use().memory_bytes, 0)
    container.keeps(4 * MIB, 4 * MIB)


async def test_wal_goes_first_and_no_more_than_is_needed(container: Container) -> None:
    await container.volume_of().make_room(5 * MIB)
    container.keeps(0, 4 * MIB)


async def test_a_tenth_is_left_free(container: Container) -> None:
    await container.volume_of().make_room(4 * MIB)
    assert container.use().memory_bytes == 0


async def test_one_that_shares_its_container_keeps_what_it_has(container: Container) -> None:
    await FileVolume(container.volume, ComputeId("c1"), "18").make_room(1)
    container.keeps(4 * MIB, 4 * MIB)


async def test_what_links_lead_to_is_not_touched(container: Container) -> None:
    elsewhere = container.volume / "elsewhere"
    (container.volume / "data" / "base").rename(elsewhere)
    (container.volume / "data" / "base").symlink_to(elsewhere)
    await container.volume_of().make_room(0)
    container.keeps(0, 4 * MIB, base="elsewhere/5/16384")


async def test_without_a_data_directory_nothing_fails(container: Container) -> None:
    (container.volume / "data").rename(container.volume / "lost")
    elsewhere = FileVolume(container.volume, ComputeId("c1"), "18", container=lambda: FULL)
    await elsewhere.make_room(1)


FULL = ComputeUse(cpu_seconds=0.0, memory_bytes=8 * MIB, anonymous_bytes=0, shared_memory_bytes=0)
