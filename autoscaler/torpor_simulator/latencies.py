"""How long a resume takes, as a distribution, and the percentiles of a mixture of such.

Torpor's are those measured on a cluster (`make bench NAME=resume-k8s`). Rivals publish one figure
each: it is taken as a constant, which has no tail, and so flatters them.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from typing import Final


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles, as (share, seconds), straight in the logarithm between them."""

    points: tuple[tuple[float, float], ...]
    mean_s: float

    def share_within(self, seconds: float) -> float:
        """The share of resumes that take no longer."""
        times = [seconds for _, seconds in self.points]
        if seconds >= times[-1]:
            return 1.0
        if seconds < times[0]:
            return 0.0
        at = bisect_right(times, seconds)
        (low, short_s), (high, long_s) = self.points[at - 1 : at + 1]
        return low + (high - low) * log(seconds / short_s) / log(long_s / short_s)

    def quantile(self, share: float) -> float:
        """Within how many seconds this share of resumes has come."""
        shares = [share for share, _ in self.points]
        at = min(max(bisect_right(shares, share), 1), len(shares) - 1)
        (low, short_s), (high, long_s) = self.points[at - 1 : at + 1]
        return exp(log(short_s) + (share - low) / (high - low) * log(long_s / short_s))

    def behind(self, takes_s: float) -> Latency:
        """After what is left of something that takes so long, for who comes at any moment of it.

        As if the slow ones came first: the sum's tail is no heavier than that.
        """
        points = tuple((share, seconds + share * takes_s) for share, seconds in self.points)
        return Latency(points, self.mean_s + takes_s / 2)

    @property
    def most_s(self) -> float:
        return self.points[-1][1]


def constant(seconds: float) -> Latency:
    return Latency(((0.0, seconds), (1.0, seconds)), seconds)


def measured(points: tuple[tuple[float, float], ...], mean_s: float) -> Latency:
    """Refuses quantiles that don't grow."""
    if any(not (a[0] < b[0] and 0 < a[1] <= b[1]) for a, b in pairwise(points)):
        raise ValueError(f"{points}: shares and seconds have to grow, seconds from above 0")
    return Latency(points, mean_s)


TORPOR_WARM: Final = measured(
    ((0.0, 0.117), (0.5, 0.181), (0.9, 0.231), (0.99, 0.310), (1.0, 0.311)), 0.185
)
"""Of a held session where a compute waits warm: `loadtests/results/resume-k8s.json`."""

TORPOR_COLD: Final = measured(((0.0, 1.764), (0.5, 3.017), (0.9, 3.199), (1.0, 3.384)), 2.917)
"""Where none does: a pod is made, and its Python is started."""


def percentile(q: float, queries: float, waits: tuple[tuple[float, Latency], ...]) -> float:
    """Of the waiting of ``queries``, of which so many had each latency and all others had none."""
    waited = sum(count for count, _ in waits)
    target = q * queries
    if target <= queries - waited:
        return 0.0
    low, high = 1e-4, max(latency.most_s for count, latency in waits if count)
    while high / low > 1.0001:
        middle = exp((log(low) + log(high)) / 2)
        within = sum(count * latency.share_within(middle) for count, latency in waits)
        if queries - waited + within >= target:
            high = middle
        else:
            low = middle
    return high
