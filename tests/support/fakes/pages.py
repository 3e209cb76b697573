"""Shared buffers in memory, and what is kept of them on a volume: see ``PagesSql``, ``KeptPages``.

A page that is read is in a buffer until Postgres ends; there is no eviction.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from torpor_api.failures import NotFound, StorageFull, Unavailable
from torpor_compute.core.kept_pages import HOT_USAGE_MIN, PAGES_MIN, Batch, File, Found
from torpor_compute.ports import Loader, Room


@dataclass
class Buffers:
    """Of one Postgres, and the files below it."""

    files: dict[File, int] = field(default_factory=dict)
    """On disk, each with its length in pages."""
    usage: dict[tuple[File, int], int] = field(default_factory=dict)
    """Of the pages in buffers: how often each was read."""
    count: int = 1 << 14
    is_used: bool = False
    """A client is at work."""
    unwanted: set[int] = field(default_factory=set)
    """Databases whose owners want nothing to be loaded."""
    unreachable: set[int] = field(default_factory=set)
    """Databases that nobody can connect to just now."""
    damaged: set[File] = field(default_factory=set)
    """Whose pages can't be read."""
    damaged_takes_s: float = 0.0
    """To find that out."""
    batches: list[Batch] = field(default_factory=list)
    """That were loaded, in order."""

    def read(self, file: File, block: int) -> None:
        place = (file, block)
        self.usage[place] = self.usage.get(place, 0) + 1

    def lose(self) -> None:
        """Postgres ends."""
        self.usage, self.batches = {}, []


class Disk(Protocol):
    """Where the list lies."""

    pages: bytes


class FakeKeptPages:
    """``check_ours``: raises StaleEpoch where the volume is somebody else's."""

    def __init__(self, disk: Disk, check_ours: Callable[[], None]) -> None:
        self._disk = disk
        self._check_ours = check_ours
        self.is_full = False

    async def read(self) -> bytes:
        return self._disk.pages

    async def write(self, content: bytes) -> None:
        self._check_ours()
        if self.is_full:
            raise StorageFull("no room")
        self._disk.pages = content


class FakePagesSql:
    """``check``: raises Unavailable where Postgres does not run."""

    def __init__(self, buffers: Buffers, check: Callable[[], object]) -> None:
        self._buffers = buffers
        self._check = check

    async def found(self) -> tuple[Found, ...] | None:
        self._check()
        if len(self._buffers.usage) < PAGES_MIN:
            return None
        parts: dict[tuple[File, bool], list[int]] = {}
        for (file, block), usage in self._buffers.usage.items():
            parts.setdefault((file, usage >= HOT_USAGE_MIN), []).append(block)
        await asyncio.sleep(0)
        return tuple(
            Found(file, is_hot, tuple(sorted(blocks))) for (file, is_hot), blocks in parts.items()
        )

    async def room(self) -> Room | None:
        self._check()
        return Room(self._buffers.count - len(self._buffers.usage), self._buffers.is_used)

    @contextlib.asynccontextmanager
    async def loading(self, database: int) -> AsyncIterator[Loader]:
        self._check()
        is_there = any(file.database == database for file in self._buffers.files)
        if not is_there or database in self._buffers.unwanted:
            raise NotFound(f"database {database} is not there, or not wanted")
        if database in self._buffers.unreachable:
            raise Unavailable(f"database {database} can't be reached")
        yield FakeLoader(self._buffers, self._check)


class FakeLoader:
    """See ``Loader``."""

    def __init__(self, buffers: Buffers, check: Callable[[], object]) -> None:
        self._buffers = buffers
        self._check = check

    async def load(self, batch: Batch) -> bool:
        self._check()
        for part in batch.parts:
            if part.file in self._buffers.damaged:
                await asyncio.sleep(self._buffers.damaged_takes_s)
                return False  # With what stands in front of it loaded.
            length = self._buffers.files.get(part.file, 0)
            for first, last in part.ranges:
                for block in range(first, min(last + 1, length)):
                    self._buffers.read(part.file, block)
        self._buffers.batches.append(batch)
        return True
