"""How many agents to start and which to end. Pure.

A compute serves one database in its life: an agent that was claimed once never counts as warm
again, and is ended when nobody claims it any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

REFILL_DELAY_S: Final = 0.5
"""After a claim. To start an agent takes a core from the database that was woken just then, for a
fiftieth of a second, or half of one without a nursery: its clients wait, the pool does not."""

LAST_REFILL_DELAY_S: Final = 0.05
"""Where nobody is warm any more: the next database that wakes would wait for it."""


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """One running agent, as far as the pool cares."""

    was_claimed: bool = False
    is_ready: bool = False


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What to do now."""

    start: int = 0
    end: tuple[str, ...] = ()


def plan_pool(
    agents: Mapping[str, AgentFacts], claimed: Collection[str], warm_size: int, cores: int
) -> PoolPlan:
    """Reach ``warm_size`` agents that nobody has claimed, in the order in which they started.

    Not more at once than there are ``cores``: they would only keep each other waiting, and whoever
    waits for the first.
    """
    free = {compute: facts for compute, facts in agents.items() if compute not in claimed}
    used = [compute for compute, facts in free.items() if facts.was_claimed]
    warm = [compute for compute, facts in free.items() if not facts.was_claimed]
    # Agents that are not ready yet go first, then the youngest: a claim takes the oldest.
    by_worth = sorted(warm, key=lambda compute: not agents[compute].is_ready)
    surplus = by_worth[warm_size:]
    starting = sum(not agents[compute].is_ready for compute in warm)
    start = min(warm_size - len(warm), cores - starting)
    return PoolPlan(start=max(0, start), end=tuple(used + surplus))


def refill_delay_s(warm: int) -> float:
    """When to look after the pool, while so many are warm and ready."""
    return REFILL_DELAY_S if warm else LAST_REFILL_DELAY_S
