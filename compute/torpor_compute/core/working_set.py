"""How much of its data a database is using: estimated from a sample of its pages. Pure.

One page in so many is followed, chosen by a hash, so that it is the same pages at each look. Each
look hears which of them are in shared buffers, and has Postgres let go of those that are clean and
not in use: whoever uses one again reads it anew, so it is there at the next look and counts as
touched. Usage counts alone would not tell: they stand at their limit on all pages that were ever
used often, until something needs their room. Pages come and go by themselves as well where the
working set is larger than shared buffers; then the looks of a window find it bit by bit.

What is read once through a ring (a scan of a large table) is seldom there when we look, and is
hardly counted. A page that is dirty is not let go of: that would be a write. Its usage count tells,
and where that is at its limit it counts as touched until a checkpoint has written it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

PAGES_FOLLOWED = 1024
"""Of those that shared buffers hold. The estimate of a working set that fills shared buffers is off
by 3 % then (one standard error), of a sixteenth of that by 12 %."""

PAGES_REMEMBERED_MAX = 32 * PAGES_FOLLOWED
"""Beyond these the longest untouched are forgotten. A compute has no more memory than 32 times its
shared buffers, until these are at their most: a larger working set fits in no case."""

LOOK_SECONDS_MIN = 4.0

BUFFERS_PER_SECOND = 1 << 14
"""A look reads the header of every buffer: 4 ms of a processor for so many (128 MiB), and as much
again for the pages that are followed. Looks into more buffers are further apart, so that they never
cost more than half a percent of a processor."""

WINDOWS_S = (10, 60, 300)
"""The estimate is told for each: what was touched within so many seconds."""

Key = int
"""A hash of database, relation's file, fork and block, of 64 bits: no two pages have the same."""

_USAGE_MAX = 5
"""Postgres counts no further."""


@dataclass(frozen=True, slots=True)
class SeenPage:
    """A followed page that is in shared buffers."""

    key: Key
    usage: int
    is_dirty: bool
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class SharedBuffers:
    """How many there are, and how large."""

    count: int
    block_bytes: int

    @property
    def bytes(self) -> int:
        return self.count * self.block_bytes

    @property
    def one_in(self) -> int:
        """One page in so many is followed; a power of two."""
        return 1 << max(0, (self.count // PAGES_FOLLOWED).bit_length() - 1)

    @property
    def look_every_s(self) -> float:
        return max(LOOK_SECONDS_MIN, self.count / BUFFERS_PER_SECOND)


class WorkingSet:
    """Of one start of Postgres: another one knows none of the pages."""

    def __init__(self, buffers: SharedBuffers) -> None:
        self.buffers = buffers
        self._looks_s = deque[float]()
        """Of the longest window, and the one before it."""
        self._began_s: float | None = None
        self._touched_s: dict[Key, float] = {}
        """When each was last found touched, in that order."""
        self._left: dict[Key, SeenPage] = {}
        """What was there at the last look and was not let go of."""

    def is_due(self, now_s: float) -> bool:
        """Whether it is time for a look."""
        return self._began_s is None or now_s - self._looks_s[-1] >= self.buffers.look_every_s

    def looked(self, pages: Iterable[SeenPage], now_s: float) -> None:
        """Those followed pages that are there; all that are clean and free were let go of.

        The first look finds what has gathered since the start, and counts nothing.
        """
        found = {page.key: page for page in pages}
        if self._began_s is None:
            self._began_s = now_s
        else:
            for key in found:
                if _is_touched(found[key], self._left.get(key)):
                    self._touched_s.pop(key, None)
                    self._touched_s[key] = now_s
        self._looks_s.append(now_s)
        self._left = {key: page for key, page in found.items() if page.is_dirty or page.is_pinned}
        self._forget()

    def bytes_by_window(self) -> dict[int, int]:
        """For each window that lies wholly within the time watched, at the last look."""
        if self._began_s is None:
            return {}
        page_bytes, looked_s = self.buffers.one_in * self.buffers.block_bytes, self._looks_s[-1]
        return {
            window_s: round(page_bytes * self._touched_since(looked_s - window_s))
            for window_s in WINDOWS_S
            if looked_s - window_s >= self._began_s
        }

    def _touched_since(self, moment_s: float) -> float:
        """What the look after the moment has found lies partly before it, and counts in part."""
        place = bisect_right(self._looks_s, moment_s)
        before_s, first_s = self._looks_s[place - 1], self._looks_s[place]
        share = (first_s - moment_s) / (first_s - before_s)
        touched_s = self._touched_s.values()
        return sum(at_s > first_s for at_s in touched_s) + share * sum(
            at_s == first_s for at_s in touched_s
        )

    def _forget(self) -> None:
        oldest_s = self._looks_s[-1] - max(WINDOWS_S)
        while len(self._looks_s) > 1 and self._looks_s[1] <= oldest_s:
            self._looks_s.popleft()
        too_many = len(self._touched_s) - PAGES_REMEMBERED_MAX
        for key in list(self._touched_s):
            if too_many <= 0 and self._touched_s[key] > oldest_s:
                return
            del self._touched_s[key]
            too_many -= 1


def _is_touched(page: SeenPage, left: SeenPage | None) -> bool:
    """Since the last look; ``left``: as it was then, None where it was not there or let go of."""
    if left is None or page.is_pinned or page.usage > left.usage:
        return True
    return page.usage == _USAGE_MAX or (page.is_dirty and not left.is_dirty)
