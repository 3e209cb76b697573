"""How a crowd's use of its databases goes over time, and when each client asks. Pure.

A client asks when its time has come and not when the last answer was there: a database that is slow
gets no less to do, as with people who don't know of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

USES_MAX = 100_000
"""Of one client: more is a rate that was meant for a crowd."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the course."""

    name: str
    seconds: float
    rate: float = 0.0
    """Questions a second of each client, at the beginning."""
    rate_end: float | None = None
    """And at the end, evenly in between; None: as at the beginning."""
    volley_s: float | None = None
    """Each client asks once within so many seconds from the beginning, whatever the rate."""

    def rate_at(self, second: float) -> float:
        """``second``: since the phase began."""
        end = self.rate if self.rate_end is None else self.rate_end
        return self.rate + (end - self.rate) * second / self.seconds


Course = tuple[Phase, ...]


def asks(course: Course) -> bool:
    """Whether its clients ask anything at all."""
    return any(
        phase.volley_s is not None or phase.rate > 0 or (phase.rate_end or 0) > 0
        for phase in course
    )


def length_s(course: Course) -> float:
    """Of all its phases together."""
    return sum(phase.seconds for phase in course)


def repeated(course: Course, seconds: float) -> Course:
    """As often as it takes to be at least so long."""
    once_s = length_s(course)
    times = max(1, -int(-seconds // once_s))
    return course * times


def stretched(course: Course, seconds: float) -> Course:
    """The same course, exactly so long: a slower or a faster day."""
    factor = seconds / length_s(course)
    return tuple(replace(phase, seconds=phase.seconds * factor) for phase in course)


def uses(course: Course, random: Random, *, shift_s: float = 0.0) -> list[float]:
    """When one client asks, in seconds since the beginning, in order.

    Rates are met by chance, as by people; ``shift_s`` is by how much this client's day is ahead.
    """
    found = [*_volleys(course, random), *_by_rate(course, random, shift_s)]
    assert len(found) <= USES_MAX, f"{len(found)} uses of one client"
    return sorted(found)


def _volleys(course: Course, random: Random) -> list[float]:
    found, began = list[float](), 0.0
    for phase in course:
        if phase.volley_s is not None:
            found.append(began + random.uniform(0.0, phase.volley_s))
        began += phase.seconds
    return found


def _by_rate(course: Course, random: Random, shift_s: float) -> list[float]:
    """Moments come at the highest rate there is, and stay with the probability of the present."""
    total_s = length_s(course)
    most = max(max(phase.rate, phase.rate_end or 0.0) for phase in course)
    found, at = list[float](), 0.0
    while most > 0.0:
        at += random.expovariate(most)
        if at >= total_s:
            break
        if random.random() * most < rate_at(course, (at + shift_s) % total_s):
            found.append(at)
    return found


def rate_at(course: Course, second: float) -> float:
    """Of one client."""
    for phase in course:
        if second < phase.seconds:
            return phase.rate_at(second)
        second -= phase.seconds
    return 0.0


def phase_at(course: Sequence[Phase], second: float) -> str:
    """The name of the phase at a moment; empty behind the end."""
    for phase in course:
        if second < phase.seconds:
            return phase.name
        second -= phase.seconds
    return ""
