"""What a policy has decided and by which figure: a line for people, a document for programs.

Every policy answers with one of these, so that ``why this size`` and ``why this time-out`` are told
in the same words: a metric, looked at over a window, has a value on one side of a threshold, and
something follows.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from math import isfinite
from typing import Final

from torpor_api.messages.people import DECISIONS_MAX
from torpor_api.quantities import format_duration

FOLLOWS_CHARACTERS_MAX: Final = 500
"""Of those that are remembered: who asks for a wake says of himself what he likes."""

PACKED_TOGETHER: Final = 10
"""So many at once, when there are as many new ones: a hundred take some 5 KiB by that and not 30.
It takes 30 us."""


_SECONDS_MAX: Final = 120.0
"""That a person reads as such."""


class Loop(Enum):
    """Which policy has decided."""

    AWAKE = "awake"
    """Zero or one: whether a compute serves it."""
    IDLE_TIMEOUT = "idle timeout"
    SIZE = "size"
    WARM_POOL = "warm pool"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Decision:
    """One figure that decided, and what follows from it."""

    loop: Loop
    metric: str
    """What was measured, as a person would call it: ``load``."""
    value: float
    threshold: float
    """What the value was compared with, in the same unit."""
    unit: str
    """Of both; empty for a number of things."""
    window_s: float
    """Over how many seconds the value was taken; 0: it is of this moment."""
    follows: str
    """What is done because of it: ``grows from 1 to 2 CU``."""

    @property
    def line(self) -> str:
        """``grows from 1 to 2 CU: load 1.4 CPU over 1m, above 0.9 CPU``."""
        return f"{self.follows}: {self.because}"

    @property
    def because(self) -> str:
        """``load 1.4 CPU over 1m, above 0.9 CPU``."""
        over = f" over {format_duration(self.window_s)}" if self.window_s else ""
        value, threshold = _figure(self.value, self.unit), _figure(self.threshold, self.unit)
        return f"{self.metric} {value}{over}, {self._side} {threshold}"

    def as_document(self) -> dict[str, str | float]:
        """The same, with names that hold for every policy."""
        return {
            "loop": self.loop.value,
            "metric": self.metric,
            "value": self.value,
            "threshold": self.threshold,
            "unit": self.unit,
            "windowSeconds": self.window_s,
            "follows": self.follows,
        }

    @property
    def _side(self) -> str:
        if self.value == self.threshold:
            return "at"
        return "above" if self.value > self.threshold else "below"


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
    an object with three empty tuples, and old ones are packed.
    """

    __slots__ = ("_current", "_packed", "_recent")

    def __init__(self) -> None:
        self._packed: tuple[bytes, ...] = ()
        """Of ``PACKED_TOGETHER`` each, the oldest first."""
        self._recent: tuple[Dated, ...] = ()
        self._current: tuple[Dated, ...] = ()
        """At most one of each loop, in the order of :class:`Loop`."""

    def __iter__(self) -> Iterator[Dated]:
        whole = [dated for packed in self._packed for dated in _unpacked(packed)]
        return iter([*whole, *self._recent][-DECISIONS_MAX:])

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
        dated = Dated(at_s, decision, decision)
        others = (each for each in self._current if each not in same)
        self._current = tuple(sorted((*others, dated), key=_order))
        self._recent = (*self._recent, dated)
        if len(self._recent) == PACKED_TOGETHER:
            chunks_max = DECISIONS_MAX // PACKED_TOGETHER
            self._packed = (*self._packed, _packed(self._recent))[-chunks_max:]
            self._recent = ()


def _order(dated: Dated) -> int:
    return list(Loop).index(dated.decision.loop)


def _packed(some: tuple[Dated, ...]) -> bytes:
    rows = [[dated.since_s, *dated.decision.as_document().values()] for dated in some]
    text = json.dumps(rows, separators=(",", ":"))
    return zlib.compress(text.encode())


def _unpacked(some: bytes) -> Iterator[Dated]:
    for since_s, loop, *fields in json.loads(zlib.decompress(some)):
        decision = Decision(Loop(loop), *fields)
        yield Dated(since_s, decision, decision)


def _figure(value: float, unit: str) -> str:
    """Three digits are as many as a person compares: ``0.0123``, ``1.4 CPU``, ``10h3m``."""
    if unit == "s" and isfinite(value) and value > _SECONDS_MAX:
        whole = int(value)
        return format_duration(float(whole - whole % (60 if whole >= 3600 else 1)))
    number = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}" if unit else number
