"""Which pages were in shared buffers: a list that outlives a sleep, and how they come back. Pure.

Postgres forgets with its shared buffers what its clients use. So the agent notes before a sleep
which pages are in them, and brings those back behind the next start, the hot ones first.

Left out is what a few wakes in a row have brought back for nobody: otherwise a database that was
busy once would read all of that again for each small query, for ever.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

PAGES_MIN = 1024
"""Fewer are not worth a connection: a Postgres that has just started reads some 400 by itself, of
its catalogs, in milliseconds."""

PAGES_MAX = 1 << 17
"""As many as shared buffers ever hold: 1 GiB. A longer list is none of ours."""

IDLE_WAKES_MAX = 3
"""A page that so many wakes in a row have brought back for nobody is not brought back again."""

HOT_USAGE_MIN = 2
"""Of Postgres's count, which is 1 for a page that was read once, by a client or for this list."""

BATCH_SECONDS = 0.01
"""What a batch may take before the next one is smaller."""

BATCH_PAGES_MIN, BATCH_PAGES_MAX = 64, 1024
"""With fewer most of a batch would be the questions around it; so many single pages take a disk in
a data centre some 60 ms. The first batch is one of the smallest."""

PAUSES_BESIDE_CLIENTS = 4
"""Where clients are at work, the pause is so many times as long as the batch was."""

FORKS = ("main", "fsm", "vm")
"""By Postgres's numbers; the fourth is of unlogged tables before they are used."""

_MAGIC = b"torpor pages 1\n"
_RUN = struct.Struct("<IIIBBII")

BYTES_MAX = len(_MAGIC) + PAGES_MAX * _RUN.size
"""Of a list, packed or not."""


@dataclass(frozen=True, slots=True, order=True)
class File:
    """A relation's fork, as the disk has it: who rewrites a table makes another file."""

    database: int
    """0: of all databases."""
    tablespace: int
    number: int
    fork: int


@dataclass(frozen=True, slots=True)
class Found:
    """Pages of one file that are in shared buffers, ascending."""

    file: File
    is_hot: bool
    blocks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Pages of one file, one behind the other."""

    file: File
    first: int
    count: int
    idle_wakes: int
    """In a row that have brought it back for nobody."""


@dataclass(frozen=True, slots=True)
class Part:
    """Of a batch, all of one file: ranges of which each has a first and a last page."""

    file: File
    ranges: tuple[tuple[int, int], ...]

    @property
    def pages(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is loaded at once. A small database has hundreds of files of a few pages each: to ask
    for one at a time takes many times as long as to load them."""

    parts: tuple[Part, ...]

    @property
    def pages(self) -> int:
        return sum(part.pages for part in self.parts)

    def by_file(self) -> Iterator[Batch]:
        return (Batch((part,)) for part in self.parts)


def aged(
    found: Iterable[Found], before: Iterable[Run], unread: Collection[int] = ()
) -> tuple[Run, ...]:
    """The next list. ``before``: the list that was brought back behind the last start.

    ``unread``: databases whose pages on it could not be brought back, or not all. They stay on the
    list as they were, as far as there is room.
    """
    found = tuple(found)
    known: dict[File, dict[int, int]] = {}
    for run in before:
        wakes = known.setdefault(run.file, {})
        wakes |= dict.fromkeys(range(run.first, run.first + run.count), run.idle_wakes)
    runs: list[Run] = []
    for each in found:
        wakes = {} if each.is_hot else known.get(each.file, {})
        idle = ((block, wakes.get(block, -1) + 1) for block in each.blocks)
        runs += _runs(each.file, (pair for pair in idle if pair[1] < IDLE_WAKES_MAX))
    left = {file: wakes for file, wakes in known.items() if file.database in unread}
    for each in found:
        for block in each.blocks if each.file in left else ():
            left[each.file].pop(block, None)
    room = PAGES_MAX - page_count(runs)
    for file, wakes in left.items():
        pairs = sorted(wakes.items())[:room]
        room -= len(pairs)
        runs += _runs(file, pairs)
    return tuple(runs)


def packed(runs: Iterable[Run]) -> bytes:
    """The file's content."""
    records = b"".join(
        _RUN.pack(
            run.file.database,
            run.file.tablespace,
            run.file.number,
            run.file.fork,
            run.idle_wakes,
            run.first,
            run.count,
        )
        for run in runs
    )
    return _MAGIC + zlib.compress(records, 1)


def unpacked(content: bytes) -> tuple[Run, ...]:
    """Raises ValueError where it is no such list, with what is wrong."""
    if not content.startswith(_MAGIC):
        raise ValueError("it begins otherwise than a list of pages")
    unpacking = zlib.decompressobj()
    try:
        records = unpacking.decompress(content[len(_MAGIC) :], BYTES_MAX)
    except zlib.error as error:
        raise ValueError(f"it can't be unpacked: {error}") from None
    if not unpacking.eof or len(records) % _RUN.size:
        raise ValueError("it is cut off, or too long")
    runs = tuple(
        Run(File(database, tablespace, number, fork), first, count, wakes)
        for database, tablespace, number, fork, wakes, first, count in _RUN.iter_unpack(records)
    )
    if any(run.file.fork >= len(FORKS) or not run.count for run in runs):
        raise ValueError("it names pages that can't be")
    if page_count(runs) > PAGES_MAX:
        raise ValueError(f"it names more than {PAGES_MAX} pages")
    return runs


def page_count(runs: Iterable[Run]) -> int:
    return sum(run.count for run in runs)


def by_database(runs: Iterable[Run]) -> list[tuple[int, deque[Run]]]:
    """Databases with most pages in use first; what belongs to all of them comes with the first.

    Within one: the longer a page was of no use the later; of equal ones those of small files come
    first, because each of their pages serves more queries; each file in the order of the disk.
    """
    runs = tuple(runs)
    sizes: dict[File, int] = {}
    in_use: dict[int, int] = {}
    for run in runs:
        sizes[run.file] = sizes.get(run.file, 0) + run.count
        in_use.setdefault(run.file.database, 0)
        in_use[run.file.database] += 0 if run.idle_wakes else run.count
    common = in_use.pop(0, None)
    databases = sorted(in_use, key=lambda database: (-in_use[database], database))
    ranks = {database: rank for rank, database in enumerate(databases)}
    if common is not None and databases:
        ranks[0] = 0
    ordered = sorted(
        (run for run in runs if run.file.database in ranks),
        key=lambda run: (
            ranks[run.file.database],
            run.idle_wakes,
            sizes[run.file],
            run.file,
            run.first,
        ),
    )
    parts = groupby(ordered, key=lambda run: ranks[run.file.database])
    return [(databases[rank], deque(part)) for rank, part in parts]


def next_batch(waiting: deque[Run], pages_max: int) -> Batch:
    """Takes it from the front."""
    runs: list[Run] = []
    while waiting and pages_max > 0:
        run = waiting.popleft()
        if run.count > pages_max:
            left = replace(run, first=run.first + pages_max, count=run.count - pages_max)
            waiting.appendleft(left)
            run = replace(run, count=pages_max)
        runs.append(run)
        pages_max -= run.count
    parts = groupby(runs, key=lambda run: run.file)
    return Batch(tuple(Part(file, tuple(map(_range, part))) for file, part in parts))


def put_back(waiting: deque[Run], batch: Batch) -> None:
    """At the front, where it was taken from."""
    runs = [
        Run(part.file, first, last - first + 1, idle_wakes=0)
        for part in batch.parts
        for first, last in part.ranges
    ]
    waiting.extendleft(reversed(runs))


class Pace:
    """How much is loaded at once, and how long the pause behind it is.

    A batch is short, whatever the disk: a client that wants its table locked waits for one, and so
    does a stop. And clients come first: a batch is followed by a pause that is as long, where they
    are at work several times as long.
    """

    def __init__(self) -> None:
        self.pages = BATCH_PAGES_MIN
        """Of the next batch."""

    def took(self, seconds: float, *, beside_clients: bool) -> float:
        """How long to pause, in seconds."""
        if seconds > BATCH_SECONDS:
            self.pages = max(BATCH_PAGES_MIN, self.pages // 2)
        elif seconds < BATCH_SECONDS / 2:
            self.pages = min(BATCH_PAGES_MAX, self.pages * 2)
        return seconds * (PAUSES_BESIDE_CLIENTS if beside_clients else 1)


def _range(run: Run) -> tuple[int, int]:
    return run.first, run.first + run.count - 1


def _runs(file: File, idle: Iterable[tuple[int, int]]) -> Iterator[Run]:
    """Of blocks, ascending, each with its idle wakes."""
    first = count = wakes = 0
    for block, of_block in idle:
        if count and block == first + count and of_block == wakes:
            count += 1
            continue
        if count:
            yield Run(file, first, count, wakes)
        first, count, wakes = block, 1, of_block
    if count:
        yield Run(file, first, count, wakes)
