"""The autoscaler's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Histogram

from torpor_api.chain import Chain
from torpor_api.phases import Phase
from torpor_autoscaler.core.warm import MissReason
from torpor_autoscaler.lifecycle.world import World
from torpor_channel.metrics import Metrics

RESUME_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60)
"""A wake from the warm pool takes tenths of a second, one that has to make a pod some seconds, and
after a minute its client has given up."""


class AutoscalerMetrics:
    """Counts wakes from its making on; everything else is read when it is asked for."""

    def __init__(
        self,
        metrics: Metrics,
        phases: Callable[[], Iterable[Phase]],
        compute_units: Callable[[], float],
        world: World,
    ) -> None:
        """``phases``: of every database that is known; ``compute_units``: of those that are awake,
        together."""
        self._phases_now = phases
        self._pool = pool = world.pool
        self._stocks = world.stocks
        self._resumes = Histogram(
            "torpor_resume_seconds",
            "What the first client of a wake waited for, up to its first row",
            buckets=RESUME_SECONDS,
            registry=metrics.registry,
        )
        metrics.gauge("torpor_databases", "Databases by phase", self._phases, label="phase")
        metrics.gauge("torpor_computes", "Computes by what they do", self._computes, label="state")
        metrics.gauge(
            "torpor_compute_units",
            "Compute units of the databases that computes serve, all together",
            lambda: {"": compute_units()},
        )
        metrics.gauge(
            "torpor_databases_without_compute",
            "Databases that wait for a compute to become warm",
            lambda: {"": len(pool.waiting)},
        )
        metrics.gauge(
            "torpor_warm_pool_wanted",
            "Computes that shall wait warm, by the policy",
            lambda: {name: stock.size for name, stock in self._stocks},
            label="pool",
        )
        metrics.gauge(
            "torpor_warm_pool_replace_seconds",
            "From a claim until another compute is warm, on average",
            lambda: {name: stock.terms.replace_s for name, stock in self._stocks},
            label="pool",
        )
        metrics.counter(
            "torpor_cold_starts",
            "Wakes that found no compute warm, by the reason",
            self._cold_starts,
            label="reason",
        )

    def resumed(self, chain: Chain) -> None:
        """A wake has come to its first row."""
        self._resumes.observe(chain.total_ms / 1000)

    def _phases(self) -> Mapping[str, float]:
        found = Counter(self._phases_now())
        return {phase.value: found[phase] for phase in Phase}

    def _cold_starts(self) -> Mapping[str, float]:
        return {reason.value: self._stocks.cold_starts[reason] for reason in MissReason}

    def _computes(self) -> Mapping[str, float]:
        """``wanted``: how many shall be warm."""
        claimed, there = len(self._pool.claimed), len(self._pool.computes())
        wanted = self._pool.size_wanted
        return {"claimed": claimed, "warm": max(0, there - claimed), "wanted": wanted}
