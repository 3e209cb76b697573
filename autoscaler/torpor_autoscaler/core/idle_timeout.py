"""``idleTimeout: auto``: for how long an idle database waits for its next query, awake.

**The question.** A gap is the time from one use of a database to the next. Nobody knows how long
the one that has begun will be. Staying awake costs each second of it; sleeping costs a wake at its
end: what starting takes, and what the client's waiting is worth. This is the ski-rental problem.
Whoever waits awake for as long as a wake costs (the *break-even*) pays at most twice what he would
pay who knows the future, and no fixed rule that knows nothing does better.

**The estimator.** A database's own gaps tell more. They are counted in buckets, each gap twice as
wide as the bucket before the last, and old ones fade: an empirical distribution. The time-out that
would have cost least over it is the best threshold if the next gap is drawn like those. Nothing is
censored, so no Kaplan-Meier is needed: the query that ends a gap is seen whether it wakes or not.
Where few gaps are known, ``PRIOR_GAPS`` imagined ones of the worst kind are added: those that end
right after the time-out. They cost the more over twice the best, the further a time-out is from the
break-even, by just that distance; so without gaps the answer is the break-even, and it moves away
from it as evidence comes in.

**The guard.** Gaps need not be drawn like the past ones. So what each gap has cost over ``2 +
SHARE`` times the least possible is added up, and a time-out may be no further from the break-even
than what is left of ``SLACK_WAKES`` wakes. By this, over any stretch of any sequence of gaps and
for a break-even within the bounds:

    cost <= (2 + SHARE) * least + 2 * SLACK_WAKES * wake

This is an "algorithm with predictions" (Purohit, Svitkina, Kumar 2018), whose trust is spent and
earned instead of set. Pure: no clock, no chance, the same gaps give the same time-out.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate, pairwise
from math import isfinite, log
from operator import mul
from typing import Final

from torpor_api.prices import WAITING_PRICE
from torpor_autoscaler.core.decision import Decision, Loop

EDGES_S: Final = tuple(0.25 * 2 ** (step / 2) for step in range(29))
"""Where buckets begin: from a quarter of a second to 4096 s. The last holds all that is longer:
above the longest time-out it makes no difference how long a gap is."""

MEANS_S: Final = (
    *((upper - lower) / log(upper / lower) for lower, upper in pairwise(EDGES_S)),
    EDGES_S[-1] * 2,
)
"""What a gap of each bucket is taken for: its mean where lengths spread evenly by logarithm."""

HALF_LIFE_GAPS: Final = 64
"""After so many others a gap counts half: some 92 are remembered, which is enough to see one gap in
fifty, and a database that has changed is known again after a hundred or two."""

PRIOR_GAPS: Final = 2.0
"""Imagined gaps of the worst kind: after three real ones that agree, these decide."""

SLACK_WAKES: Final = 10.0
"""How much may be lost by trusting the past, in wakes: an afternoon's lesson, not a bill."""

SHARE: Final = 0.1
"""Of the least possible cost, on top of twice: by it trust that was lost comes back."""

_GROWTH: Final = 2 ** (1 / HALF_LIFE_GAPS)
_WEIGHT_MAX: Final = 1024.0
"""Beyond it all counts are scaled down, well within what a 4-byte float tells apart."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What waiting and waking cost, and between which bounds a time-out may be."""

    waiting_price: float = WAITING_PRICE
    """CU-seconds that one second of a client's waiting is worth."""
    wake_wait_s: float = 0.25
    """What a client waits at a wake: the mean of those measured. 0.04 on one machine, 0.25 on a
    cluster with a warm pool, 1.6 without."""
    wake_cu_s: float = 1.0
    """CU-seconds that a stop and a start take by themselves, with a pool member to replace."""
    cu: float = 1.0
    """The size that would stay awake: the larger, the sooner it sleeps."""
    timeout_s_min: float = 1.0
    """Below it a sleep is not worth its name: samples come once a second."""
    timeout_s_max: float = 3600.0
    """Beyond it nobody's idea of serverless is met, whatever waking costs."""
    wake_s: float = field(init=False)
    """What a wake costs in seconds of the database's own compute."""
    break_even_s: float = field(init=False)
    """The same within the bounds: the time-out of someone who knows nothing."""
    first_candidate: int = field(init=False, repr=False, compare=False)
    """The number of the bucket that begins at the first of them."""
    candidates: tuple[tuple[float, float, float], ...] = field(
        init=False, repr=False, compare=False
    )
    """Time-outs to choose from, the buckets' ends between the bounds: each with what a longer gap
    costs under it, and what the imagined gaps add."""

    def __post_init__(self) -> None:
        amounts = (self.waiting_price, self.wake_wait_s, self.wake_cu_s)
        if not all(0 <= amount < float("inf") for amount in amounts):
            raise ValueError(f"{amounts}: prices and times of a wake are numbers from 0 on")
        if not 0 < self.cu < float("inf"):
            raise ValueError(f"cu {self.cu} is not a number above 0")
        if not EDGES_S[0] <= self.timeout_s_min <= self.timeout_s_max <= EDGES_S[-1]:
            bounds = f"{self.timeout_s_min} s to {self.timeout_s_max} s"
            allowed = f"{EDGES_S[0]} s <= minimum <= maximum <= {EDGES_S[-1]} s"
            raise ValueError(f"a time-out from {bounds}: allowed is {allowed}")
        wake_s = (self.wake_cu_s + self.waiting_price * self.wake_wait_s) / self.cu
        object.__setattr__(self, "wake_s", wake_s)
        bounded_s = min(max(wake_s, self.timeout_s_min), self.timeout_s_max)
        object.__setattr__(self, "break_even_s", bounded_s)
        first = bisect_right(EDGES_S, self.timeout_s_min)
        candidates = tuple(
            (edge_s, edge_s + wake_s, PRIOR_GAPS * abs(edge_s - bounded_s))
            for edge_s in EDGES_S[first : bisect_left(EDGES_S, self.timeout_s_max)]
        )
        object.__setattr__(self, "first_candidate", first)
        object.__setattr__(self, "candidates", candidates)


class Gaps:
    """A database's memory of its own gaps: some 350 bytes, however many there were."""

    __slots__ = ("_counts", "_debt_s", "_weight")

    def __init__(self) -> None:
        self._counts = array("f", bytes(4 * len(EDGES_S)))
        self._weight = 1.0
        """Of the next gap. It grows instead of all others shrinking."""
        self._debt_s = 0.0
        """What :attr:`debt_s` says."""

    @classmethod
    def remembered(cls, counts: Mapping[int, float], debt_s: float) -> Gaps:
        """As they were told by bucket before: what can't be is passed over."""
        gaps = cls()
        for bucket, count in counts.items():
            if 0 <= bucket < len(EDGES_S) and 0 <= count <= _WEIGHT_MAX:
                gaps._counts[bucket] = count
        gaps._debt_s = debt_s if isfinite(debt_s) else 0.0
        return gaps

    @property
    def known(self) -> float:
        """How many gaps are remembered, faded ones as parts."""
        return sum(self._counts) / self._weight

    @property
    def debt_s(self) -> float:
        """What was paid over (2 + SHARE) times the least; below 0: what was saved."""
        return self._debt_s

    @property
    def counts(self) -> tuple[float, ...]:
        """Per bucket; one that would come now counts 1."""
        weight = self._weight
        return tuple([count / weight for count in self._counts])

    def add(self, gap_s: float, timeout_s: float | None, terms: Terms) -> None:
        """A gap that has ended, and the time-out that was in force; None: something else kept it
        awake or put it to sleep.

        Shorter ones than the least time-out are passed over: they cost the same under each, and
        there are thousands of them. So is what can't be one.
        """
        self.add_each((gap_s,), timeout_s, terms)

    def add_each(self, gaps_s: Iterable[float], timeout_s: float | None, terms: Terms) -> None:
        """The same, of gaps one after the other: in one go, for whoever has a million databases."""
        counts, weight, debt_s = self._counts, self._weight, self._debt_s
        least_s, wake_s, debt_s_min = terms.timeout_s_min, terms.wake_s, -SLACK_WAKES * terms.wake_s
        for gap_s in gaps_s:
            if not gap_s >= least_s:
                continue
            counts[bisect_right(EDGES_S, gap_s) - 1] += weight
            weight *= _GROWTH
            if weight > _WEIGHT_MAX:
                counts, weight = array("f", (count / weight for count in counts)), 1.0
            if timeout_s is not None:
                cost_s = gap_s if gap_s <= timeout_s else timeout_s + wake_s
                debt_s += cost_s - (2 + SHARE) * (gap_s if gap_s < wake_s else wake_s)
                debt_s = debt_s if debt_s > debt_s_min else debt_s_min
        self._counts, self._weight, self._debt_s = counts, weight, debt_s


class Basis(Enum):
    """What a time-out rests on."""

    BREAK_EVEN = "break-even"
    """Too little is known, or nothing is better."""
    LEARNED = "its own gaps"
    GUARDED = "its own gaps, held back"
    """The past has misled too often of late."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A time-out, and what it rests on. Costs are in seconds of the database's own compute."""

    timeout_s: float
    basis: Basis
    known: float
    """Of how many gaps."""
    cost_s: float
    """What a gap like those costs on average under this time-out; 0 where none is known."""
    break_even_s: float
    break_even_cost_s: float
    """What it costs under the break-even."""

    @property
    def decision(self) -> Decision:
        follows = f"sleeps after {self.timeout_s:.3g} s, by {self.basis.value}"
        metric = f"expected cost of an idle gap ({self.known:.0f} known)"
        cost, limit = self.cost_s, self.break_even_cost_s
        if not self.known:
            metric, cost, limit = "cost of a wake (no gap known)", self.timeout_s, self.break_even_s
        return Decision(Loop.IDLE_TIMEOUT, metric, cost, limit, "s awake", 0.0, follows)


def choose_timeout(gaps: Gaps, terms: Terms) -> Choice:
    """The time-out that costs least by what is known, as near to the break-even as it has to be."""
    break_even_s, known = terms.break_even_s, gaps.known
    costs = _Costs(gaps.counts, terms.wake_s)
    least_s, most_s = terms.timeout_s_min, terms.timeout_s_max
    break_even_cost = costs.of(break_even_s)
    bounds = [(costs.of(s) + PRIOR_GAPS * abs(s - break_even_s), s) for s in (least_s, most_s)]
    best_cost, best_s = min(costs.of_candidates(terms) + bounds)
    if break_even_cost <= best_cost:
        best_s = break_even_s
    left_s = max(SLACK_WAKES * terms.wake_s - gaps.debt_s, 0.0)
    timeout_s = min(max(best_s, break_even_s - left_s), break_even_s + left_s)
    if timeout_s != best_s:
        basis = Basis.GUARDED
    else:
        basis = Basis.BREAK_EVEN if best_s == break_even_s else Basis.LEARNED
    per_gap = 1 / known if known else 0.0
    cost_s, break_even_cost_s = costs.of(timeout_s) * per_gap, break_even_cost * per_gap
    return Choice(timeout_s, basis, known, cost_s, break_even_s, break_even_cost_s)


class _Costs:
    """What time-outs would have cost over all gaps that are remembered."""

    __slots__ = ("_longer", "_shorter_s", "_wake_s")

    def __init__(self, counts: tuple[float, ...], wake_s: float) -> None:
        self._wake_s = wake_s
        self._shorter_s: tuple[float, ...] = tuple(
            accumulate(map(mul, counts, MEANS_S), initial=0.0)
        )
        """In all, of the first so many buckets."""
        self._longer: tuple[float, ...] = tuple(accumulate(reversed(counts), initial=0.0))[::-1]
        """How many are in the others: summed from the last, so that none becomes less than 0."""

    def of(self, timeout_s: float) -> float:
        """A gap costs its length up to the time-out, and beyond it the time-out and a wake."""
        shorter = bisect_right(MEANS_S, timeout_s)
        return self._shorter_s[shorter] + self._longer[shorter] * (timeout_s + self._wake_s)

    def of_candidates(self, terms: Terms) -> list[tuple[float, float]]:
        """Of the buckets' ends between the bounds, each with the prior's share.

        Between these and the bounds the cost changes evenly, except at the break-even: the best is
        one of them.
        """
        first = terms.first_candidate
        known = zip(self._shorter_s[first:], self._longer[first:], terms.candidates, strict=False)
        return [
            (shorter_s + longer * slept_s + prior_s, timeout_s)
            for shorter_s, longer, (timeout_s, slept_s, prior_s) in known
        ]
