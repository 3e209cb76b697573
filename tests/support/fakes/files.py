"""A database's volume in memory, as agents take it: see the port ``Volume``."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from support.fakes.pages import FakeKeptPages
from torpor_api.failures import DataDamaged, Failure, StaleEpoch
from torpor_api.identity import ComputeId, Epoch
from torpor_compute.core import ownership
from torpor_compute.core.ownership import Hold, Record
from torpor_compute.ports import Taken

BEFORE = Record(Epoch(0), ComputeId("before"), Hold.RELEASED, facts_exported=True)
"""Of a compute that has put the database to sleep."""


@dataclass
class Disk:
    """What agents share."""

    records: list[Record] = field(default_factory=lambda: [BEFORE])
    generation: int = 1
    is_clean: bool = True
    """What Postgres's control file says."""
    is_there: bool = True
    pages: bytes = b""
    """The list of those that were in shared buffers."""


class FakeVolume:
    """One agent's view; ``story`` is what it was told, in order."""

    def __init__(self, disk: Disk, compute: str, story: list[str]) -> None:
        self.take_fails: Failure | None = None
        self.flush_fails: Failure | None = None
        """For good, as the port says."""
        self.may_create = False
        self.holds_erase: asyncio.Event | None = None
        """Until it is set no erase comes to its end."""
        self._disk = disk
        self._compute = ComputeId(compute)
        self._story = story
        self._epoch = Epoch(0)
        self.pages = FakeKeptPages(disk, self._check_ours)

    async def make(self) -> bool:
        if self._disk.is_there or not self.may_create:
            return False
        self._story.append("make")
        self._disk.is_there, self._disk.records = True, []
        return True

    async def erase(self, epoch: Epoch, fenced: Collection[str]) -> None:
        if self._disk.is_there:
            self._take_record(epoch, fenced)
        if self.holds_erase is not None:
            await self.holds_erase.wait()
        self._story.append("erase")
        self._disk.is_there = False

    async def take(self, epoch: Epoch, fenced: Collection[str]) -> Taken:
        self._story.append("take")
        if self.take_fails is not None:
            raise self.take_fails
        if not self._disk.is_there:
            raise DataDamaged("the data directory is missing")
        previous = self._take_record(epoch, fenced)
        return Taken(
            facts_are_stored=previous is not None and previous.facts_exported,
            generation=self._disk.generation,
            was_stopped_cleanly=self._disk.is_clean,
        )

    def _take_record(self, epoch: Epoch, fenced: Collection[str]) -> Record | None:
        previous = self._disk.records[-1] if self._disk.records else None
        ownership.refuse_later(previous, epoch)
        ownership.refuse_held(previous, fenced)
        self._disk.records.append(Record(epoch, self._compute, Hold.HELD))
        self._epoch = epoch
        return previous

    async def check_ours(self) -> None:
        self._story.append("check ours")
        self._check_ours()

    def _check_ours(self) -> None:
        newest = self._disk.records[-1]
        if (newest.epoch, newest.compute) != (self._epoch, self._compute):
            raise StaleEpoch(f"epoch {self._epoch} is over: {newest.compute} has taken it")

    async def release(self, *, facts_exported: bool) -> None:
        if self.flush_fails is not None:
            raise self.flush_fails
        self._story.append("release" if facts_exported else "release without facts")
        released = Record(self._epoch, self._compute, Hold.RELEASED, facts_exported)
        records = self._disk.records
        self._disk.records = [released if r.epoch == self._epoch else r for r in records]

    async def flush(self) -> None:
        self._story.append("flush")
        if self.flush_fails is not None:
            raise self.flush_fails

    async def make_room(self, memory_bytes: int) -> None:
        self._story.append(f"room for {memory_bytes >> 20} MiB")

    async def note_applied(self, generation: int) -> None:
        self._story.append(f"applied {generation}")
        self._disk.generation = generation
