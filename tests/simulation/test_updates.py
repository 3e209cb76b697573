"""Computes become outdated while databases are used: they are left, and nobody loses anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from simulation.faults import CALM, Weather, stormy
from simulation.test_autoscaler_storms import Run
from simulation.town import Town
from torpor_api import messages as m

EVERY_S = 2.0
"""Between two moments at which whoever serves is outdated."""

SEEDS = 5


class RestlessTown(Town):
    """Whatever serves is soon of an older image."""

    def begin(self) -> None:
        super().begin()
        self.network.background(self._outdate())

    async def _outdate(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            for agent in self.cluster.agents.values():
                if agent.is_serving and not agent.info.is_outdated:
                    agent.info = agent.info.model_copy(update={"is_outdated": True})
                    self._told_by_cluster(m.AgentChanged(agent=agent.info))

    def moved(self) -> int:
        """How often a database was, by the record."""
        lasts = [(name, status.last_switchover) for name, status in self.cluster.statuses]
        return len({(name, last.epoch) for name, last in lasts if last is not None})


def run(seed: int, weather: Callable[[Random], Weather]) -> tuple[Run, int]:
    """And how many moves there were."""
    towns: list[RestlessTown] = []

    def town(random: Random) -> Town:
        towns.append(RestlessTown(random))
        return towns[0]

    one = Run(seed, weather, town)
    one.run()
    return one, towns[0].moved()


def test_in_calm_weather_nobody_notices() -> None:
    one, moved = run(1, lambda _: CALM)
    assert moved > 5 and one.ledger.commits > 500
    assert (one.ledger.refusals, one.ledger.broken_queries, one.doubts) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_in_a_storm(seed: int) -> None:
    run(seed, stormy)
