"""Makes the life of one database from its kind and a die. Pure: the same die, the same life.

Two ways, because a hundred thousand visits a day are too many to be made one by one a million
times. **Sparse** databases get every visit: intervals in a time of their own, in which all hours
are equally busy, are brought to the day's hours. Of **dense** ones, with a visit a minute or more,
only the gaps that somebody could sleep in are drawn, hour by hour, with the length of the stretches
between: how many short intervals lie between two long ones is geometric, and for their sum their
mean is taken.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate, repeat
from math import exp, inf, log, log1p, sqrt
from typing import Final

from torpor_simulator.life import RESOLUTION_S, Life, Stretch, of_begins, size_for, unused
from torpor_simulator.shapes import SIZE, Dice, intervals, sums
from torpor_simulator.trace_file import HOURS_A_DAY, Kind, Trace

DENSE_VISITS_A_DAY: Final = 1440.0
"""A visit a minute: from here on a visit at an hour's border makes no difference."""

HOUR_S: Final = 3600.0
THINK_CV: Final = 1.5
GAPS_DRAWN: Final = 128
"""Of an hour that has more, about so many: they stand for the others."""

DAYS_A_WEEK, WORKDAYS = 7, 5


@dataclass(frozen=True, slots=True)
class Clock:
    """How busy each hour of a trace is: 1 in the mean, and the time by which visits come evenly."""

    factors: tuple[float, ...]
    even: tuple[float, ...]
    """The even time at the end of each hour."""

    def real(self, evens: list[float]) -> list[float]:
        """When the clock shows what these even times are, each not before the one before it."""
        found: list[float] = []
        last = len(self.factors) - 1
        while (at := len(found)) < len(evens):
            hour = min(bisect_right(self.even, evens[at]), last)
            until = bisect_left(evens, self.even[hour], at) if hour < last else len(evens)
            while not self.factors[hour]:
                hour -= 1
            begin, factor = self.even[hour - 1] if hour else 0.0, self.factors[hour]
            hour_s = hour * HOUR_S
            found += [hour_s + (even_s - begin) / factor for even_s in evens[at:until]]
        return found


def clock_of(kind: Kind, days: int) -> Clock:
    """The trace begins on a Monday at 00:00."""
    raw = [
        kind.hours[hour] * (kind.weekend if day % DAYS_A_WEEK >= WORKDAYS else 1.0)
        for day in range(days)
        for hour in range(HOURS_A_DAY)
    ]
    mean = sum(raw) / len(raw)
    factors = tuple(factor / mean for factor in raw)
    return Clock(factors, tuple(accumulate(factor * HOUR_S for factor in factors)))


class Arrivals:
    """A trace that gives lives."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._clocks = [clock_of(kind, trace.days) for kind in trace.kind]
        self._until = [*accumulate(kind.share for kind in trace.kind)]

    def life(self, dice: Dice) -> Life:
        """Of one database, whichever kind it falls to."""
        at = min(bisect_right(self._until, dice.random()), len(self._until) - 1)
        kind, duration_s = self._trace.kind[at], self._trace.duration_s
        if kind.periods is not None:
            life = self._periodic(kind, chosen(kind.periods, dice), dice)
        else:
            assert kind.visits_per_day is not None
            visits = quantile(kind.visits_per_day, dice.random())
            if visits >= DENSE_VISITS_A_DAY and kind.visits_per_burst == 1:
                life = dense(kind, visits, self._clocks[at], duration_s, dice)
            else:
                life = sparse(kind, visits, self._clocks[at], duration_s, dice)
        life.sessions = kind.sessions
        life.linger_s = chosen(kind.linger, dice)
        if kind.knocks_per_day:
            life.knocks = knocks(kind.knocks_per_day, duration_s, dice)
        return life

    def _periodic(self, kind: Kind, period_s: float, dice: Dice) -> Life:
        duration_s = self._trace.duration_s
        number = int(duration_s / period_s) + 1
        late = dice.random
        visits = sorted(step * period_s + late() * kind.jitter_s for step in range(number))
        life = _finished(kind, visits, duration_s)
        life.period_s, life.jitter_s = period_s, kind.jitter_s
        return life


def quantile(points: list[tuple[float, float]], share: float) -> float:
    """Straight in the logarithm between the points."""
    at = min(max(bisect_right(points, (share, inf)), 1), len(points) - 1)
    (low, less), (high, more) = points[at - 1], points[at]
    return exp(log(less) + (share - low) / (high - low) * (log(more) - log(less)))


def chosen(chances: list[tuple[float, float]], dice: Dice) -> float:
    """One of the values, by their shares."""
    at = bisect_right([*accumulate(share for share, _ in chances)], dice.random())
    return chances[min(at, len(chances) - 1)][1]


def drawn(cv: float, number: int, dice: Dice) -> list[float]:
    """So many random intervals of mean 1."""
    codes = array("H")
    codes.frombytes(dice.randbytes(2 * number))
    return [*map(intervals(cv).__getitem__, codes)]


def moments(cv: float, mean_s: float, until_s: float, dice: Dice) -> list[float]:
    """One after the other from 0 on; the first comes within an interval that has begun before."""
    found: list[float] = []
    now = -dice.random() * drawn(cv, 1, dice)[0] * mean_s
    while now < until_s:
        expected = (until_s - now) / mean_s
        number = int(expected + 2 * sqrt(expected)) + 2
        steps = [step * mean_s for step in drawn(cv, number, dice)]
        steps[0] += now
        found += accumulate(steps)
        now = found[-1]
    return found[bisect_left(found, 0.0) : bisect_left(found, until_s)]


def sparse(kind: Kind, per_day: float, clock: Clock, duration_s: float, dice: Dice) -> Life:
    """Every visit of a database."""
    mean_s = 86400.0 / per_day * kind.visits_per_burst
    visits = clock.real(moments(kind.cv, mean_s, duration_s, dice))
    if kind.visits_per_burst > 1:
        visits = sorted(_bursts(kind, visits, dice))
    return _finished(kind, visits, duration_s)


def _bursts(kind: Kind, begins: list[float], dice: Dice) -> list[float]:
    thinks_mean = -1 / log1p(-1 / kind.visits_per_burst)
    visits: list[float] = []
    for begin, length in zip(begins, drawn(1.0, len(begins), dice), strict=True):
        thinks = [begin]
        if number := int(length * thinks_mean):
            thinks += [think * kind.think_s for think in drawn(THINK_CV, number, dice)]
        visits += accumulate(thinks)
    return visits


def _finished(kind: Kind, visits: list[float], duration_s: float) -> Life:
    """``visits``: in order; those after the end are left out."""
    visits = visits[: bisect_left(visits, duration_s)]
    queries = round(len(visits) * kind.queries_per_visit)
    life = of_begins(visits, repeat(kind.visit_s), duration_s, queries)
    life.cu = size_for(kind.queries_per_visit * kind.query_s / kind.visit_s)
    return life


def knocks(per_day: float, duration_s: float, dice: Dice) -> list[float]:
    return moments(1.0, 86400.0 / per_day, duration_s, dice)


def dense(kind: Kind, per_day: float, clock: Clock, duration_s: float, dice: Dice) -> Life:
    """The gaps of a database with a visit a minute or more."""
    stretches, lead_s, now, visits = [], None, 0.0, 0.0
    for hour, factor in enumerate(clock.factors):
        end = (hour + 1) * HOUR_S
        if not factor or now >= end:
            continue
        mean_s = 86400.0 / per_day / factor
        if lead_s is None:
            lead_s = hour * HOUR_S
        elif now + RESOLUTION_S < hour * HOUR_S:
            # Nobody came in the hours before: they are one gap.
            stretches.append(Stretch(now, [hour * HOUR_S - now], [hour * HOUR_S]))
        now = max(now, hour * HOUR_S)
        visits += (end - now) / mean_s
        stretch, now = _hour(kind, mean_s, now, end, dice)
        stretch.begin_s = hour * HOUR_S
        stretches.append(stretch)
    if lead_s is None:
        return unused(duration_s, [])
    tail_s = max(duration_s - now, 0.0)
    if now > duration_s and stretches[-1].times == 1:
        # The last gap reaches over the end of the trace: it has no end in it.
        tail_s = stretches[-1].gaps.pop() - (now - duration_s)
    busy_s = duration_s - lead_s - tail_s - sum(each.idle_s for each in stretches)
    queries = round(visits * kind.queries_per_visit)
    life = Life(lead_s, busy_s, tail_s, stretches, queries)
    busiest_s = 86400.0 / per_day / max(clock.factors)
    life.cu = size_for(kind.queries_per_visit * kind.query_s / min(busiest_s, kind.visit_s))
    return life


def _hour(kind: Kind, mean_s: float, now: float, end: float, dice: Dice) -> tuple[Stretch, float]:
    """Gaps from ``now`` until the hour has ended, and when the visit comes that ends the last."""
    table, below = intervals(kind.cv), sums(kind.cv)
    first = bisect_right(table, (RESOLUTION_S + kind.visit_s) / mean_s)
    longer = SIZE - first
    if not longer:
        return Stretch(now, []), end
    expected = (end - now) / mean_s * longer / SIZE
    times = max(int(expected / GAPS_DRAWN), 1)
    until, expected = now + (end - now) / times, expected / times
    number = int(expected + 4 * sqrt(expected)) + 4
    codes = array("H")
    codes.frombytes(dice.randbytes(2 * number))
    waits = [table[first + (code * longer >> 16)] * mean_s for code in codes]
    before = [0.0] * number
    if first:
        short_s = below[first] / first * mean_s
        per_share = -1 / log1p(-longer / SIZE)
        before = [int(each * per_share) * short_s for each in drawn(1.0, number, dice)]
    visits = [*accumulate(map(float.__add__, before, waits), initial=now)]
    whole = bisect_right(visits, until) - 1
    gaps = [wait - kind.visit_s for wait in waits[:whole]]
    # The part ends among short intervals, or in a gap, which is then whole.
    if whole < number and visits[whole] + before[whole] < until:
        gaps.append(waits[whole] - kind.visit_s)
        until = visits[whole + 1]
    return Stretch(now, gaps, times=times), now + (until - now) * times
