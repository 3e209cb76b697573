"""One database's time, as a policy of sleeping sees it: when it is used, and the gaps between.

A policy acts in gaps only. So stretches in which no gap is longer than ``RESOLUTION_S`` are one
use, however many queries they have: every policy here stays awake in them. What is kept is a
handful of numbers and lists of gaps, which are summed at the speed of C.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil, inf
from operator import add, sub
from typing import Final

RESOLUTION_S: Final = 1.0
"""Shorter gaps are part of a use: no policy sleeps sooner, because samples come once a second."""

CU_MIN, CU_MAX = 0.25, 16.0
"""The smallest and the largest size in this simulation: those of Neon's autoscaling."""

LOAD_MAX: Final = 0.9
"""Neon's rule: as many CU as the load (CPUs in use) divided by this."""


@dataclass(slots=True)
class Stretch:
    """Gaps of one stretch of time, in order."""

    begin_s: float
    gaps: list[float]
    ends: list[float] | None = None
    """When a query ended each; None: evenly over the stretch, of which only the gaps are known."""
    times: int = 1
    """So many times these gaps came: of an hour that has thousands a part is drawn."""

    @property
    def idle_s(self) -> float:
        """Of all its gaps."""
        return sum(self.gaps) * self.times


@dataclass(slots=True)
class Life:
    """All that happened to one database. ``lead_s + busy_s + gaps + tail_s`` is the whole time."""

    lead_s: float
    """Before its first use: it has been asleep for long, under every policy that sleeps."""
    busy_s: float
    """In use."""
    tail_s: float
    """After the last use."""
    stretches: list[Stretch] = field(default_factory=list)
    queries: int = 0
    cu: float = CU_MIN
    """Its size while it is awake, under every policy: sizes are not what is compared here."""
    sessions: int = 1
    """How many clients are connected while it is in use, and for ``linger_s`` after."""
    linger_s: float = 0.0
    """For how long clients stay connected after a use; infinite: for ever."""
    knocks: list[float] = field(default_factory=list)
    """When somebody tried to log in who may not, or who never sends a query."""
    period_s: float = 0.0
    """Of uses that come by a clock, in phase with the full hour; 0: by none."""
    jitter_s: float = 0.0
    """So long after the clock's moments they come at most."""

    @property
    def is_used(self) -> bool:
        return self.queries > 0


def unused(duration_s: float, knocks: list[float]) -> Life:
    """Of a database that nobody queries."""
    return Life(duration_s, 0.0, 0.0, knocks=knocks, linger_s=0.0)


def of_uses(uses: list[tuple[float, float]], duration_s: float, queries: int) -> Life:
    """Made of uses in order of their beginning, as (begin, length), within the time."""
    begins, lengths = [at for at, _ in uses], [length_s for _, length_s in uses]
    return of_begins(begins, lengths, duration_s, queries)


def of_begins(
    begins: list[float], lengths: Iterable[float], duration_s: float, queries: int
) -> Life:
    """The same, of uses whose beginnings and lengths are apart, as the fast way to make them is."""
    if not begins:
        return unused(duration_s, [])
    used_until = [*accumulate(map(add, begins, lengths), max)]
    nexts = begins[1:]
    pauses = [*map(sub, nexts, used_until)]
    gaps = [pause for pause in pauses if pause > RESOLUTION_S]
    ends = [at for at, pause in zip(nexts, pauses, strict=True) if pause > RESOLUTION_S]
    tail_s = max(duration_s - used_until[-1], 0.0)
    busy_s = duration_s - begins[0] - tail_s - sum(gaps)
    return Life(begins[0], busy_s, tail_s, [Stretch(begins[0], gaps, ends)], queries)


def size_for(load: float) -> float:
    """Neon's rule, in quarters of a CU; ``load``: CPUs in use while it is used."""
    if not 0 <= load < inf:
        raise ValueError(f"load {load} is not a number from 0 on")
    return min(max(ceil(load / LOAD_MAX * 4) / 4, CU_MIN), CU_MAX)
