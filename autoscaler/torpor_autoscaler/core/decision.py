"""What a policy has decided and by which figure: a line for people, a document for programs.

Every policy answers with one of these, so that ``why this size`` and ``why this time-out`` are told
in the same words: a metric, looked at over a window, has a value on one side of a threshold, and
something follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from torpor_api.quantities import format_duration

DECISIONS_MAX: Final = 100
"""That one database remembers: some 20 KiB, and a day of what changes every quarter of an hour."""


class Loop(Enum):
    """Which policy has decided."""

    WAKE = "wake"
    SLEEP = "sleep"
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
        over = f" over {format_duration(self.window_s)}" if self.window_s else ""
        value, threshold = _figure(self.value), _figure(self.threshold)
        return (
            f"{self.follows}: {self.metric} {value}{self._unit}{over}, "
            f"{self._side} {threshold}{self._unit}"
        )

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

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


@dataclass(slots=True)
class Dated:
    """A decision, and since when the same has followed."""

    since_s: float
    """Seconds since 1970."""
    decision: Decision
    """With the latest value that it rests on."""

    def as_document(self) -> dict[str, str | float]:
        return {"since": self.since_s, **self.decision.as_document()}


class Decisions:
    """The latest of one database, oldest first; what repeats itself every second counts once.

    There is one for each database of a fleet, most of which sleep: before the first decision it is
    an object with two empty tuples.
    """

    __slots__ = ("_current", "_dated")

    def __init__(self) -> None:
        self._dated: deque[Dated] | tuple[()] = ()
        self._current: tuple[Dated, ...] = ()
        """At most one of each loop."""

    def __iter__(self) -> Iterator[Dated]:
        return iter(self._dated)

    def __len__(self) -> int:
        return len(self._dated)

    def current(self, loop: Loop) -> Dated | None:
        """What this policy has decided last, however long ago."""
        return next((each for each in self._current if each.decision.loop is loop), None)

    def add(self, decision: Decision, at_s: float) -> None:
        """``at_s``: seconds since 1970, shown and never reckoned with."""
        current = self.current(decision.loop)
        if current is not None and current.decision.follows == decision.follows:
            current.decision = decision
            return
        dated = Dated(at_s, decision)
        self._current = (*(each for each in self._current if each is not current), dated)
        if isinstance(self._dated, tuple):
            self._dated = deque(maxlen=DECISIONS_MAX)
        self._dated.append(dated)


def _figure(value: float) -> str:
    """Three digits are as many as a person compares: 0.0123, 1.4, 3600."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
