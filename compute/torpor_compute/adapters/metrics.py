"""The agent's metrics: few, as there is an agent for each database that is awake.

How long its starts took the autoscaler tells, of all agents together; what its container uses, the
kubelet. Nothing is made before somebody asks: a warm agent is to be small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torpor_compute.core.claim import Claim
from torpor_compute.core.lifecycle import State
from torpor_compute.ports import Serving

if TYPE_CHECKING:
    from torpor_channel.metrics import Metrics


class AgentMetrics:
    """Hears of each state of the agent."""

    def __init__(self) -> None:
        self._state = State.WARM
        self._losses = 0
        self._metrics: Metrics | None = None

    def became(self, state: State, claim: Claim | None, serving: Serving | None) -> None:
        self._state = state
        self._losses += state is State.RESTARTING

    def told(self, accept: str) -> tuple[bytes, str]:
        """To whoever accepts these formats."""
        if self._metrics is None:
            self._metrics = self._made()
        return self._metrics.told(accept)

    def _made(self) -> Metrics:
        from torpor_channel.metrics import Metrics

        metrics = Metrics("agent")
        metrics.gauge(
            "torpor_agent_state",
            "1 for the state that the agent is in",
            lambda: {state.value: state is self._state for state in State},
            label="state",
        )
        metrics.counter(
            "torpor_agent_postgres_losses",
            "How often this Postgres ended though nobody had asked for it",
            lambda: {"": self._losses},
        )
        return metrics
