"""The operator's metrics, of the one that leads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from torpor_channel.durations import Durations
from torpor_channel.metrics import Metrics
from torpor_operator.core.cache import Cache
from torpor_operator.core.targets import Sort
from torpor_operator.leading import Ended

LOOK_SECONDS: Final = (
    *(0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1, 2.5, 5, 10, 30, 60, 300),
)
"""One at what is settled asks nobody and takes a millisecond; a deletion may wait for minutes."""


class OperatorMetrics:
    """Counts looks from its making on; everything else is read when it is asked for."""

    def __init__(self, metrics: Metrics, cache: Cache, waiting: Callable[[], int]) -> None:
        """``waiting``: how many targets are to be looked at."""
        self._cache = cache
        self._looks = Counter({(sort.value, end.value): 0 for sort in Sort for end in Ended})
        self._times = {sort.value: Durations(LOOK_SECONDS) for sort in Sort}
        metrics.counter(
            "torpor_operator_looks",
            "Looks at databases, pools and certificates by how they ended",
            lambda: dict(self._looks),
            label=("sort", "outcome"),
        )
        metrics.histogram(
            "torpor_operator_look_seconds",
            "How long a look took, with all that was made by it",
            lambda: {sort: times.counted() for sort, times in self._times.items()},
            LOOK_SECONDS,
            label="sort",
        )
        metrics.gauge(
            "torpor_operator_waiting",
            "Databases, pools and certificates that are to be looked at",
            lambda: {"": waiting()},
        )
        metrics.gauge(
            "torpor_operator_resources",
            "Resources that the operator looks after",
            lambda: {Sort.DATABASE.value: len(cache.databases), Sort.POOL.value: len(cache.pools)},
            label="sort",
        )
        metrics.gauge(
            "torpor_computes",
            "Computes that serve a database and are of an older image or pool spec",
            lambda: {"outdated": self._outdated()},
            label="state",
        )

    def looked(self, sort: Sort, ended: Ended, seconds: float) -> None:
        """At one target."""
        self._looks[sort.value, ended.value] += 1
        self._times[sort.value].add(seconds)

    def _outdated(self) -> int:
        """How many databases are awake on a compute that is not as its pool would make one now."""
        computes = self._cache.named_computes()
        return sum(self._cache.is_outdated(compute) is True for compute in computes)
