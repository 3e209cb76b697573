"""The decisions about one database that are remembered: the last hundred, and those that hold."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from torpor_api.messages.people import DECISIONS_MAX
from torpor_autoscaler.core.decision import Decision, Loop

FOLLOWS_CHARACTERS_MAX: Final = 500
"""Of those that are remembered: who asks for a wake says of himself what he likes."""

RECENT_MAX: Final = 10
"""That are as they were made; the others are packed: a hundred take 1 KiB by that and not 30. It
takes less than a millisecond."""

DIGITS: Final = 6
"""Of a figure that is packed; a person is told three."""

_USUAL: Final = (
    b"sleeps after 5 s, by its own gapsexpected cost of an idle gap (9 known)s awakebound, burst, "
    b"slowstarts cold (wakes of lateidle timeoutwarm poolschedulemay sleep by its schedulesuntil "
    b"the next windowstays at 1 CUgrows from 1 to 2 CUshrinks from 2 to 1 CUworking setmemory in "
    b'use","GiB","","CPU",60.0,stays awake (sleeps after 5s without use)],[9,"size","load",0.2,0.9,'
    b'"CPU",60.0,"],[5,"awake","time without use",5.0,5.0,"s",0.0,"goes to sleep"],[900,"awake",'
    b'"wanted by",1,0,"",0.0,"wakes (session '
)
"""What packed decisions are made of, the most usual last: known to both sides it takes no room."""


@dataclass(slots=True)
class Dated:
    """A decision, and since when the same has followed."""

    since_s: float
    """Seconds since 1970."""
    decision: Decision
    """As it was made: with the value that led to it."""
    latest: Decision
    """With the value that it rests on now."""


class Decisions:
    """The latest of one database, oldest first; what repeats itself every second counts once.

    There is one for each database of a fleet, most of which sleep: before the first decision it is
    an object with two empty tuples, and old ones are packed.
    """

    __slots__ = ("_current", "_packed", "_recent", "told")

    def __init__(self) -> None:
        self.told: Callable[[Loop], None] = _nobody
        """Hears of each decision that is another than the one before."""
        self._packed = b""
        """All but the recent ones."""
        self._recent: tuple[Dated, ...] = ()
        self._current: tuple[Dated, ...] = ()
        """At most one of each loop, in the order of :class:`Loop`."""

    def __iter__(self) -> Iterator[Dated]:
        return iter([*_unpacked(self._packed), *self._recent][-DECISIONS_MAX:])

    @property
    def current(self) -> tuple[Dated, ...]:
        """What each policy has decided last, however long ago, unless that was withdrawn."""
        return self._current

    def withdraw(self, loop: Loop) -> None:
        """Nothing is decided by it any more; what was stays known."""
        if self._current:
            self._current = tuple(one for one in self._current if one.decision.loop is not loop)

    def add(self, decision: Decision, at_s: float) -> None:
        """``at_s``: seconds since 1970, shown and never reckoned with."""
        if len(decision.follows) > FOLLOWS_CHARACTERS_MAX:
            shortened = f"{decision.follows[: FOLLOWS_CHARACTERS_MAX - 1]}…"
            decision = replace(decision, follows=shortened)
        same = [each for each in self._current if each.decision.loop is decision.loop]
        if same and same[0].decision.follows == decision.follows:
            same[0].latest = decision
            return
        self.told(decision.loop)
        dated = Dated(at_s, decision, decision)
        others = (each for each in self._current if each not in same)
        self._current = tuple(sorted((*others, dated), key=_order))
        self._recent = (*self._recent, dated)
        if len(self._recent) == RECENT_MAX:
            self.pack()

    def pack(self) -> None:
        """The recent ones, too: nothing is decided for a while."""
        if self._recent:
            self._packed, self._recent = _packed(self), ()


def _nobody(loop: Loop) -> None:
    """While a record is read, for example: others have decided that."""


def _order(dated: Dated) -> int:
    return list(Loop).index(dated.decision.loop)


def _packed(some: Iterable[Dated]) -> bytes:
    """Times as whole seconds since the one before."""
    rows, before_s = [], 0
    for dated in some:
        at_s, made = int(dated.since_s), dated.decision
        value, threshold = _rounded(made.value), _rounded(made.threshold)
        figures = (made.metric, value, threshold, made.unit, made.window_s)
        rows.append([at_s - before_s, made.loop.value, *figures, made.follows])
        before_s = at_s
    text = json.dumps(rows, separators=(",", ":"))
    packing = zlib.compressobj(9, wbits=-zlib.MAX_WBITS, zdict=_USUAL)
    return packing.compress(text.encode()) + packing.flush()


def _unpacked(packed: bytes) -> Iterator[Dated]:
    if not packed:
        return
    at_s = 0
    text = zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=_USUAL).decompress(packed)
    for since_before_s, loop, *fields in json.loads(text):
        at_s += since_before_s
        decision = Decision(Loop(loop), *fields)
        yield Dated(float(at_s), decision, decision)


def _rounded(figure: float) -> float:
    return float(f"{figure:.{DIGITS}g}")
