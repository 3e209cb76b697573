"""Storms over a database that is awake by the clock and one that learns for how long it waits.

The clock on the wall shows another time at each look, up to an hour off either way.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from simulation.clients import Ledger
from simulation.test_autoscaler_storms import Run
from simulation.town import SETTINGS, Life, Town

BY_THE_CLOCK, LEARNING = "db0", "db1"

OFTEN = {"cron": "* * * * *", "duration": "20s", "minCU": 0.5}


class ShortWaits(Life):
    """What a slow wake has cost is not waited for any longer than the calm after the storm."""

    settings = replace(SETTINGS, waiting_price=0.5)


class ShortWaitsTown(Town):
    def new_life(self) -> Life:
        return ShortWaits(self)


class ByTheClock(Run):
    """Like any other run, until it wants to see them asleep."""

    def _populate(self, town: Town, ledger: Ledger) -> list[asyncio.Task[None]]:
        clients = super()._populate(town, ledger)
        self._apply(town, BY_THE_CLOCK, idleTimeout="2s", schedules=[OFTEN])
        self._apply(town, LEARNING, idleTimeout="auto")
        return clients

    async def _everything_sleeps(self, town: Town) -> None:
        self._apply(town, BY_THE_CLOCK, idleTimeout="2s")
        await super()._everything_sleeps(town)

    @staticmethod
    def _apply(town: Town, name: str, **spec: object) -> None:
        town.cluster.apply({"metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize("seed", [1, 3])
def test_a_storm_over_schedules_and_what_is_learned(seed: int) -> None:
    ByTheClock(seed, town=ShortWaitsTown).run()
