"""How long queries took, as totals that grow: a lost report loses nothing, and several proxies'
figures can be added up."""

from __future__ import annotations

from torpor_api.messages.base import Message

BOUNDS_S = (
    *(0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
"""Of the buckets, in seconds: from a key that is looked up in memory to a report. What took exactly
as long as a bound is in that bound's bucket; the last bucket has none. Never changed: components of
two releases add and subtract each other's buckets."""

BUCKETS = len(BOUNDS_S) + 1


class Latencies(Message):
    """Of the queries that have ended since the proxy first served the database.

    A query's latency is what its compute took: from when its client's message was passed on (a
    Query, or the Sync that ends a batch of the extended protocol) until its ReadyForQuery has come.
    What a client waited for a wake or for a place before that is not in it.
    """

    count: int = 0
    sum_s: float = 0.0
    buckets: tuple[int, ...] = ()
    """How many queries are in each; empty: none are in any."""

    @property
    def mean_s(self) -> float:
        """0: no query has ended."""
        return self.sum_s / self.count if self.count else 0.0

    def plus(self, other: Latencies) -> Latencies:
        """Of both together."""
        return self._with(other, 1)

    def since(self, before: Latencies) -> Latencies | None:
        """Of those that have ended since then; None where that can't be: a proxy began anew."""
        later = self._with(before, -1)
        return None if min(later.count, *later.buckets) < 0 else later

    def _with(self, other: Latencies, sign: int) -> Latencies:
        none = (0,) * BUCKETS
        pairs = zip(self.buckets or none, other.buckets or none, strict=False)
        return Latencies(
            count=self.count + sign * other.count,
            sum_s=max(0.0, self.sum_s + sign * other.sum_s),
            buckets=tuple(one + sign * two for one, two in pairs),
        )
