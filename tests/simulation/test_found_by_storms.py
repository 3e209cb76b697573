"""What storms have found, each as the shortest story that shows it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from simulation import virtual_time
from simulation.town import WAKE_DEADLINE_S, Town
from torpor_api import messages as m
from torpor_api.failures import Failure
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus


def test_an_autoscaler_that_has_ended_asks_nobody_any_more() -> None:
    """A wake that was given up later poked the plan, and a dead autoscaler went on living."""

    async def story() -> None:
        town = await _town_with_a_start_without_end()
        wakes = [asyncio.create_task(_wake(town)) for _ in range(2)]
        await asyncio.sleep(5.0)
        wakes.append(asyncio.create_task(_wake(town)))
        await asyncio.sleep(1.0)
        asked = _count_questions(town)
        await town.life.end()
        await asyncio.sleep(2 * WAKE_DEADLINE_S)
        await asyncio.gather(*wakes)
        assert asked == []
        await town.network.close()

    virtual_time.run(story(), lambda: None)


def test_a_failed_database_is_known_to_proxies_after_a_restart() -> None:
    """It rested before its facts were read, and no proxy could ever ask for it."""

    async def story() -> None:
        town = Town(Random(0))
        town.cluster.apply({"metadata": {"name": "shop"}})
        town.cluster.volumes["shop"].is_damaged = True
        town.begin()
        wake = asyncio.create_task(_wake(town))
        proxy = town.add_proxy("proxy")
        await wake
        await proxy.register()
        await asyncio.sleep(1.0)
        assert proxy.gates["shop"].info.phase is Phase.FAILED
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)


def test_late_news_of_a_dead_agent_does_not_make_it_warm_again() -> None:
    async def story() -> None:
        town = Town(Random(0))
        town.cluster.keeps_pool = False
        town.cluster.apply({"metadata": {"name": "shop"}})
        town.begin()
        fleet = town.life.autoscaler.fleet
        agent = town.cluster.start_agent()
        town.cluster.lose_agent(agent.compute)
        await asyncio.sleep(1.0)
        fleet.agent_changed(agent.info)
        wake = asyncio.create_task(_wake(town))
        await asyncio.sleep(1.0)
        assert town.starts == {}
        why = await town.life.autoscaler.desk.why("shop")
        assert why.reasons[0].startswith("NoWarmCompute")
        await wake
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)


def test_a_switchover_waits_for_a_proxy_that_has_not_registered_again() -> None:
    """A person asked for it just behind a restart, and the gate of that proxy was open still."""

    async def story() -> None:
        town = Town(Random(0))
        town.cluster.apply({"metadata": {"name": "shop"}})
        town.begin()
        first, late = proxies = [town.add_proxy(name) for name in ("first", "late")]
        for proxy in proxies:
            await proxy.register()
            await proxy.attach(proxy.connect("shop"))
        await town.restart_autoscaler(0.1)
        await first.register()
        while first.gates["shop"].info.address is None:  # Its agent is asked first.
            await asyncio.sleep(0.05)
        carry = town.network.ask

        async def ask(answer, request, **options):  # type: ignore[no-untyped-def]
            if isinstance(request, m.StopCompute) and not town.life.knows(late):
                await late.register()
            return await carry(answer, request, **options)

        town.network.ask = ask  # type: ignore[method-assign]
        moved = asyncio.create_task(
            town.life.autoscaler.desk.switchover(m.Switchover(name="shop", patience_s=1.0))
        )
        await asyncio.sleep(2.0)
        if not town.life.knows(late):
            await late.register()
        assert (await moved).epoch == 2 and town.stops_behind_open_gates == 0
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)


async def _town_with_a_start_without_end() -> Town:
    """The record says Resuming, and the agent says that it is starting, for ever."""
    town = Town(Random(0))
    town.cluster.keeps_pool = False
    stored = town.cluster.apply({"metadata": {"name": "shop"}})
    agent = town.cluster.start_agent()
    agent.state = "starting"
    resuming = DatabaseStatus(phase=Phase.RESUMING, epoch=1, compute=agent.compute)
    version = stored.metadata.resource_version
    await town.cluster.answer(m.WriteStatus(name="shop", resource_version=version, status=resuming))
    town.begin()
    return town


def _count_questions(town: Town) -> list[m.Request[Any]]:
    """Everything that is asked of cluster and agents from now on."""
    asked: list[m.Request[Any]] = []
    carry = town.network.ask

    async def counting(answer, request, **options):  # type: ignore[no-untyped-def]
        asked.append(request)
        return await carry(answer, request, **options)

    town.network.ask = counting  # type: ignore[method-assign]
    return asked


async def _wake(town: Town) -> None:
    try:
        await town.life.autoscaler.desk.wake(m.Wake(name="shop", cause="a test"))
    except Failure:
        return
