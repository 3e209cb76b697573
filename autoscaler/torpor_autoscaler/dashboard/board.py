"""The tiles of the whole fleet as they were last seen, and which of them have changed since. Pure.

Each change has a number, and whoever looks remembers the last one that he has: what came behind it
is what he is told next. So nothing is kept for a viewer, and a slow one is told less often.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_autoscaler.dashboard.tile import text_of

SLICE_MAX = 100
"""Rows that are looked at without a pause, some milliseconds: clients wait for wakes meanwhile."""

TOUCHED_MAX = 1000
"""Rows that have changed and are looked at in one beat; the others in the next one."""

AWAKE_MAX = 300
SWEPT_MAX = 100
"""Rows of awake databases, and of any, that are looked at in one beat, in turn: what nobody tells
(queries, an hour that has passed) is seen all the same. 10,000 are swept in 100 beats."""

GONE_MAX = 10_000
"""Deletions that are remembered; whoever has not heard of older ones begins anew."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a viewer has heard: of which board, and up to which change."""

    board: str
    change: int

    def __str__(self) -> str:
        return f"{self.board}-{self.change}"

    @classmethod
    def read(cls, text: str) -> Mark | None:
        board, _, change = text.rpartition("-")
        if not board or not change.isascii() or not change.isdigit() or len(change) > 18:
            return None
        return cls(board, int(change))


@dataclass(frozen=True, slots=True)
class Changes:
    tiles: tuple[str, ...]
    """JSON arrays."""
    gone: tuple[str, ...]
    mark: Mark
    """Whoever has read these has heard so far."""


class Board:
    """One from when somebody begins to look until nobody does any more."""

    def __init__(self) -> None:
        self._id = secrets.token_hex(4)
        self._change = 0
        self._tiles: OrderedDict[str, tuple[int, str]] = OrderedDict()
        """By the number of their last change."""
        self._gone: deque[tuple[int, str]] = deque(maxlen=GONE_MAX)
        self._forgotten = 0
        """Deletions up to this number may not be remembered any more."""
        self._awake: OrderedDict[str, None] = OrderedDict()
        self._looked_at: OrderedDict[str, None] = OrderedDict()
        """Whoever was not for longest comes first."""
        self._touched: dict[str, None] = {}

    @property
    def mark(self) -> Mark:
        return Mark(self._id, self._change)

    def tiles(self) -> tuple[str, ...]:
        return tuple(text for _, text in self._tiles.values())

    def touched(self, name: str) -> None:
        """Its row may be another one now."""
        self._touched[name] = None

    def due(self) -> Iterator[tuple[str, ...]]:
        """Names to be looked at in this beat, in slices."""
        names = dict.fromkeys(islice(self._touched, TOUCHED_MAX))
        for name in names:
            del self._touched[name]
        for name in list(islice(self._awake, AWAKE_MAX)):
            self._awake.move_to_end(name)
            names[name] = None
        names |= dict.fromkeys(islice(self._looked_at, SWEPT_MAX))
        chosen = list(names)
        for begin in range(0, len(chosen), SLICE_MAX):
            yield tuple(chosen[begin : begin + SLICE_MAX])

    def saw(self, asked: Sequence[str], rows: Iterable[m.DatabaseRow]) -> None:
        """What was found of those names; what was not found is gone."""
        missing = dict.fromkeys(asked)
        for row in rows:
            missing.pop(row.name, None)
            self._saw_one(row)
        for name in missing:
            self._lost(name)

    def since(self, mark: Mark, limit: int) -> Changes | None:
        """The next of what he has not heard, ``limit`` tiles at most; None: he is to begin anew."""
        if mark.board != self._id or not self._forgotten <= mark.change <= self._change:
            return None
        newer = takewhile(lambda tile: tile[0] > mark.change, reversed(self._tiles.values()))
        found = list(newer)[::-1][:limit]
        heard = found[-1][0] if len(found) == limit else self._change
        gone = tuple(name for change, name in self._gone if mark.change < change <= heard)
        return Changes(tuple(text for _, text in found), gone, Mark(self._id, heard))

    def _saw_one(self, row: m.DatabaseRow) -> None:
        if row.phase in (Phase.SUSPENDED, Phase.FAILED):
            self._awake.pop(row.name, None)
        else:
            self._awake.setdefault(row.name)
        self._looked_at[row.name] = None
        self._looked_at.move_to_end(row.name)
        text = text_of(row)
        known = self._tiles.get(row.name)
        if known is None or known[1] != text:
            self._change += 1
            self._tiles[row.name] = (self._change, text)
            self._tiles.move_to_end(row.name)

    def _lost(self, name: str) -> None:
        self._awake.pop(name, None)
        self._looked_at.pop(name, None)
        if self._tiles.pop(name, None) is None:
            return
        self._change += 1
        if len(self._gone) == GONE_MAX:
            self._forgotten = self._gone[0][0]
        self._gone.append((self._change, name))
