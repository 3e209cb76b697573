"""The autoscaler's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from torpor_api.chain import Chain
from torpor_api.failures import Failure
from torpor_api.phases import Phase
from torpor_api.transition import Transition, TransitionKind
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.core.warm import MissReason
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.world import World
from torpor_channel.durations import Durations
from torpor_channel.metrics import Metrics

RESUME_SECONDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60)
"""A wake from the warm pool takes tenths of a second, one that has to make a pod some seconds, and
after a minute its client has given up."""

TRANSITION_SECONDS: Final = (0.025, *RESUME_SECONDS, 300)
"""A suspend may wait for the checkpoint of a large database on a slow disk."""

STEP_SECONDS: Final = (
    *(0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1, 2.5, 5, 10, 30, 60),
)

OTHER: Final = "other"

STEPS: Final = (
    "last compute ends",
    "confirm it is gone",
    "locate storage",
    "wait for a warm compute",
    "claim",
    "tell the agent",
    "new volume",
    "ownership record",
    "exec of postgres",
    "start of postgres",
    "recovery of postgres",
    "roles and databases",
    "login facts",
    "answer",
    "parked sessions are heard for",
    "wake asked and answered",
    "backend connection",
    "first row",
    OTHER,
)
"""Of a resume, in the words of ``torpor critical-chain``. Agents and proxies name their steps
themselves, and may be of another release: what is not among these is counted as the last."""

DONE, FAILED = _HOW = ("done", "failed")
"""How a transition ends. A suspend that somebody stood in the way of has failed, too."""


class AutoscalerMetrics:
    """Counts wakes from its making on; everything else is read when it is asked for."""

    def __init__(
        self, metrics: Metrics, databases: Callable[[], Mapping[str, Database]], world: World
    ) -> None:
        """``databases``: every one that is known."""
        self._databases_now = databases
        self._world = world
        self._phases: Counter[Phase] = Counter()
        self._blocked: Counter[str] = Counter()
        self._awake: list[Database] = []
        self._outcomes = Counter({(kind.value, how): 0 for kind in TransitionKind for how in _HOW})
        self._resumes = Durations(RESUME_SECONDS)
        self._transitions = {kind.value: Durations(TRANSITION_SECONDS) for kind in TransitionKind}
        self._steps = {step: Durations(STEP_SECONDS) for step in STEPS}
        metrics.before_reading(self._look)
        self._tell_databases(metrics)
        self._tell_sizes(metrics)
        self._tell_computes(metrics)
        self._tell_pools(metrics)
        self._tell_transitions(metrics)

    def resumed(self, chain: Chain) -> None:
        """A wake has come to its first row."""
        self._resumes.add(chain.total_ms / 1000)
        for step in chain.steps:
            # Why a compute was waited for stands behind a colon.
            name = step.name.partition(":")[0]
            self._steps.get(name, self._steps[OTHER]).add(step.ms / 1000)

    def went(self, transition: Transition) -> None:
        """One has come to its end."""
        kind = transition.kind.value
        self._outcomes[kind, FAILED if transition.failure else DONE] += 1
        if not transition.failure:
            self._transitions[kind].add(transition.total_ms / 1000)

    # --- what there is -----------------------------------------------------------------------

    def _look(self) -> None:
        """Once at all databases, for everything that is told of them."""
        databases = self._databases_now().values()
        self._phases = Counter(database.phase for database in databases)
        self._blocked = Counter(kind for database in databases if (kind := _blocked_by(database)))
        self._awake = [database for database in databases if database.run is not None]

    def _tell_databases(self, metrics: Metrics) -> None:
        metrics.gauge(
            "torpor_databases",
            "Databases by phase",
            lambda: {phase.value: self._phases[phase] for phase in Phase},
            label="phase",
        )
        metrics.gauge(
            "torpor_databases_blocked",
            "Databases without a compute that can't go on now, by the kind of what they wait for",
            lambda: {kind: self._blocked[kind] for kind in Failure.by_kind},
            label="reason",
        )
        metrics.gauge(
            "torpor_databases_without_compute",
            "Databases that wait for a compute to become warm",
            lambda: {"": len(self._world.pool.waiting)},
        )
        metrics.counter(
            "torpor_decisions",
            "Decisions about databases by the policy that made them; one that repeats is one",
            lambda: {loop.value: self._world.decided[loop] for loop in Loop},
            label="policy",
        )

    def _tell_sizes(self, metrics: Metrics) -> None:
        metrics.gauge(
            "torpor_compute_units",
            "Compute units of the databases that computes serve, all together",
            lambda: {"": float(sum(database.size.cu for database in self._awake))},
        )
        metrics.gauge(
            "torpor_databases_at_max_size",
            "Databases that have all the compute units that their spec allows, and may have fewer",
            lambda: {"": sum(map(_is_at_max, self._awake))},
        )
        metrics.gauge(
            "torpor_compute_used_cpus",
            "CPUs that computes use whose size follows their load, all together",
            lambda: {"": sum(_latest(database)[0] for database in self._awake)},
        )
        metrics.gauge(
            "torpor_compute_used_memory_bytes",
            "Memory that computes use whose size follows their load, all together",
            lambda: {"": sum(_latest(database)[1] for database in self._awake)},
        )

    def _tell_computes(self, metrics: Metrics) -> None:
        metrics.gauge("torpor_computes", "Computes by what they do", self._computes, label="state")
        metrics.gauge(
            "torpor_silent_agents",
            "Agents of awake databases that have not answered when they were asked last",
            lambda: {"": len(self._world.silences)},
        )
        metrics.gauge(
            "torpor_proxies",
            "Proxies that are registered with this autoscaler",
            lambda: {"": len(self._world.proxies.names)},
        )

    def _tell_pools(self, metrics: Metrics) -> None:
        stocks = self._world.stocks
        metrics.gauge(
            "torpor_warm_pool_wanted",
            "Computes that shall wait warm, by the policy",
            lambda: {name: stock.size for name, stock in stocks},
            label="pool",
        )
        metrics.gauge(
            "torpor_warm_pool_warm",
            "Computes that wait warm and are free",
            self._warm,
            label="pool",
        )
        metrics.gauge(
            "torpor_warm_pool_replace_seconds",
            "From a claim until another compute is warm, on average",
            lambda: {name: stock.terms.replace_s for name, stock in stocks},
            label="pool",
        )
        metrics.counter(
            "torpor_cold_starts",
            "Wakes that found no compute warm, by the reason",
            lambda: {reason.value: stocks.cold_starts[reason] for reason in MissReason},
            label="reason",
        )

    def _tell_transitions(self, metrics: Metrics) -> None:
        metrics.counter(
            "torpor_transitions",
            "Resumes, suspends, switchovers and failovers by how they ended",
            lambda: dict(self._outcomes),
            label=("kind", "outcome"),
        )
        metrics.histogram(
            "torpor_transition_seconds",
            "How long those took that came to a good end; of a switchover, the pause of sessions",
            lambda: {kind: times.counted() for kind, times in self._transitions.items()},
            TRANSITION_SECONDS,
            label="kind",
        )
        metrics.histogram(
            "torpor_resume_seconds",
            "What the first client of a wake waited for, up to its first row",
            lambda: {"": self._resumes.counted()},
            RESUME_SECONDS,
        )
        metrics.histogram(
            "torpor_resume_step_seconds",
            "What that was made of; the steps of one wake add up to the whole",
            lambda: {step: times.counted() for step, times in self._steps.items()},
            STEP_SECONDS,
            label="step",
        )

    def _computes(self) -> Mapping[str, float]:
        """``wanted``: how many shall be warm."""
        pool = self._world.pool
        claimed, there = len(pool.claimed), len(pool.computes())
        return {"claimed": claimed, "warm": max(0, there - claimed), "wanted": pool.size_wanted}

    def _warm(self) -> Mapping[str, float]:
        pool = self._world.pool
        agents = (pool.find(compute) for compute in pool.computes() if pool.is_free(compute))
        free = Counter(agent.pool for agent in agents if agent is not None)
        return {name: free[name] for name, _ in self._world.stocks}


def _blocked_by(database: Database) -> str:
    """The kind of failure; empty: it can go on, or nobody wants it to."""
    if database.run is not None:
        return ""
    if database.blocked_by is not None:
        return _kind(database.blocked_by)
    return "" if database.trouble is None else _kind(database.trouble.failure)


def _kind(failure: Failure) -> str:
    """One that components have in common, as labels are to be few."""
    common = (each for each in type(failure).__mro__ if Failure.by_kind.get(each.__name__) is each)
    found = next(common, None)
    return "Unavailable" if found is None else found.__name__


def _is_at_max(database: Database) -> bool:
    size = database.size
    return database.min_cu < size.max_cu == size.cu


def _latest(database: Database) -> tuple[float, float]:
    """CPUs and bytes; 0 where nobody measures them."""
    watched = database.watched
    sample = None if watched is None else watched.history.latest
    return (0.0, 0.0) if sample is None else (sample.cpu or 0.0, sample.memory_bytes or 0.0)
