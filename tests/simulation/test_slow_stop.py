"""A stop that takes minutes, with sessions that come back meanwhile, in virtual time."""

from __future__ import annotations

import asyncio
from random import Random

from simulation import virtual_time
from simulation.clients import keep_proxy_alive
from simulation.town import Town
from support.fakes.agent import Pace
from torpor_api.failures import Unavailable
from torpor_api.phases import Phase

STOP_S = 300.0
"""The checkpoint of a shutdown on a slow disk; its agent gives it 600 s."""


def test_it_is_waited_for_and_whoever_came_meanwhile_is_served() -> None:
    async def story() -> None:
        town = Town(Random(0))
        town.cluster.apply({"metadata": {"name": "shop"}, "spec": {"idleTimeout": "2s"}})
        town.begin()
        proxy = town.add_proxy("proxy")
        town.network.background(keep_proxy_alive(town, proxy))
        await asyncio.sleep(1.0)
        session = proxy.connect("shop")
        first = await proxy.attach(session)
        agent = town.cluster.agents[town.cluster.resources["shop"].status.compute or ""]
        agent.pace = Pace(stop_s=STOP_S)
        while agent.state != "stopping":
            await asyncio.sleep(1.0)
        stopping_since = town.clock.now()
        while True:
            try:
                second = await proxy.attach(session)
                break
            except Unavailable:
                continue  # A wake has its deadline, as clients know it.
        assert town.clock.now() - stopping_since >= STOP_S - 1.0
        assert (first.epoch, second.epoch) == (1, 2)
        assert agent.state == "stopped"
        assert town.cluster.volumes["shop"].records[0].is_released
        phases = [status.phase for _, status in town.cluster.statuses if status.epoch == 1]
        assert phases[-1] is Phase.SUSPENDING
        await town.life.end()
        town.proxies.clear()
        await town.network.close()

    virtual_time.run(story(), lambda: None)
