"""Sizes that follow the load in virtual time, with the real shells, and what goes wrong then."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random

from simulation import virtual_time
from simulation.clients import keep_proxy_alive
from simulation.town import Town
from support.fakes.agent import FakeAgent
from torpor_autoscaler.core.size import STABLE_S

SPEC = {"minCU": 0.25, "maxCU": 4}

CROWD = 6

SOON_S = 15.0
"""For a panic window, the looks that fill it, and the writes that follow."""

QUIET_S = 2 * STABLE_S + SOON_S
"""For a stable window, and as long at one size."""


class Shop:
    """One database that is kept awake."""

    def __init__(self) -> None:
        self.town = Town(Random(0))
        self.town.cluster.apply({"metadata": {"name": "shop"}, "spec": SPEC})
        self.town.begin()
        proxy = self.town.add_proxy("proxy")
        self.town.network.background(keep_proxy_alive(self.town, proxy))

    @property
    def agent(self) -> FakeAgent:
        return self.town.cluster.agents[self.town.cluster.resources["shop"].status.compute or ""]

    @property
    def cu(self) -> Decimal:
        found = self.town.cluster.resources["shop"].status.current_cu
        assert found is not None
        return found

    def crowd(self, clients: int) -> None:
        self.agent.clients = {object() for _ in range(clients)}

    async def end(self) -> None:
        assert self.agent.shrunk_unseen == ""
        await self.town.life.end()
        self.town.proxies.clear()
        await self.town.network.close()


async def left_by_a_crowd() -> Shop:
    """It has grown for one that has just gone."""
    shop = Shop()
    await asyncio.sleep(SOON_S)
    assert shop.cu == 1
    shop.crowd(CROWD)
    await asyncio.sleep(SOON_S)
    assert shop.cu == 4
    shop.crowd(0)
    return shop


def test_a_crowd_comes_and_goes() -> None:
    async def story() -> None:
        shop = await left_by_a_crowd()
        await asyncio.sleep(STABLE_S - SOON_S)
        assert shop.cu == 4
        await asyncio.sleep(QUIET_S)
        assert shop.cu == Decimal("0.5")
        await shop.end()

    virtual_time.run(story(), lambda: None)


def test_an_autoscaler_that_dies_again_and_again_makes_nothing_smaller() -> None:
    async def story() -> None:
        shop = await left_by_a_crowd()
        for _ in range(10):
            await shop.town.restart_autoscaler(1.0)
            await asyncio.sleep(STABLE_S - 2 * SOON_S)
            assert shop.cu == 4
        await asyncio.sleep(QUIET_S)
        assert shop.cu == Decimal("0.5")
        await shop.end()

    virtual_time.run(story(), lambda: None)


def test_one_whose_samples_get_lost_is_left_as_large_as_it_is() -> None:
    async def story() -> None:
        shop = await left_by_a_crowd()
        agent = shop.agent
        agent.is_mute = True
        await asyncio.sleep(10 * QUIET_S)
        assert shop.cu == 4
        agent.is_mute = False
        await asyncio.sleep(QUIET_S)
        assert shop.cu == Decimal("0.5") and shop.agent is agent
        await shop.end()

    virtual_time.run(story(), lambda: None)
