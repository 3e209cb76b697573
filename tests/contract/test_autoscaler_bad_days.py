"""The autoscaler over a real control channel, when its neighbours die, vanish or change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from support.fakes.town import DEADLINE_S, Town, apply, opened_town, sampling
from torpor_api import messages as m
from torpor_api.failures import NotFound, NoWarmCompute, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_channel.client import dial


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with opened_town() as opened:
        yield opened


async def test_a_new_database_is_told_with_who_may_log_in_and_a_deleted_one_is_not(
    town: Town,
) -> None:
    await town.start_autoscaler()
    proxy = await town.register()
    assert proxy.gates == {}
    apply(town)
    await town.until("told", lambda: "shop" in proxy.gates)
    assert proxy.gates["shop"].info.facts.roles[0].name == "app"
    town.cluster.delete("shop")
    await town.until("told", lambda: not proxy.gates)
    with pytest.raises(NotFound, match="shop"):
        await town.person(m.Why(name="shop"))


async def test_a_restarted_autoscaler_touches_nothing_that_is_awake(town: Town) -> None:
    apply(town)
    agent = await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    await proxy.attach(proxy.connect("shop"))
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)
    await town.stop_autoscaler()
    await town.start_autoscaler()
    again = await town.register()
    await town.until("found", lambda: again.gates["shop"].info.address is not None)
    assert agent.claims == [("shop", 1)] and agent.state == "running"
    assert town.status().epoch == 1


async def test_one_that_ran_out_of_memory_has_a_successor_with_more_by_a_step(town: Town) -> None:
    """However often the cluster tells of its end."""
    apply(town, maxCU=8, keepAwake=True)
    agent = await town.start_agent()
    await town.start_autoscaler()
    await town.until("it is awake", lambda: town.status().phase is Phase.ACTIVE)
    assert (town.status().compute, town.status().current_cu) == (agent.compute, 1)
    agent.kill()
    gone = agent.info.model_copy(update={"is_gone": True, "ran_out_of_memory": True})
    for _ in range(3):
        town.cluster.tell(m.AgentChanged(agent=gone))
    await town.start_agent()
    await town.until("it has another one", lambda: town.status().epoch == 2)
    await town.until("it is awake again", lambda: town.status().phase is Phase.ACTIVE)
    assert town.status().current_cu == Decimal("1.5")


async def test_after_a_restart_nobody_takes_the_compute_of_another(town: Town) -> None:
    """The databases are listed one by one, and the first of them already looks for a compute."""
    apply(town, "first", keepAwake=True)
    apply(town, "second")
    agent = await town.start_agent()
    stored = town.cluster.resources["second"]
    serving = DatabaseStatus(phase=Phase.ACTIVE, epoch=1, compute=agent.compute)
    request = m.WriteStatus(
        name="second", resource_version=stored.metadata.resource_version, status=serving
    )
    await town.cluster.answer(request)
    start = m.StartCompute(
        database="second",
        epoch=1,
        storage=m.StoragePlace(directory="/volumes/second"),
        spec=stored.spec,
        generation=1,
    )
    await agent.answer(start)
    await town.start_autoscaler()
    proxy = await town.register()
    await town.until("found", lambda: proxy.gates["second"].info.address is not None)
    why: m.WhyReply = await town.person(m.Why(name="first"))
    assert why.reasons[0].startswith("NoWarmCompute")
    assert agent.claims == [("second", 1)]


async def test_a_database_that_is_deleted_while_it_is_waited_for_leaves_nothing_behind(
    town: Town,
) -> None:
    apply(town)
    await town.start_autoscaler(warm=0)
    proxy = await town.register()
    wake = asyncio.create_task(proxy.wake(proxy.connect("shop")))
    await town.until("an agent is wished for", lambda: town.cluster.warm_size == 1)
    town.cluster.delete("shop")
    with pytest.raises(NotFound, match="'shop' was deleted"):
        await wake
    agent = await town.start_agent()
    apply(town, "other")
    await town.until("told", lambda: "other" in proxy.gates)
    assert agent.claims == []


async def test_a_wake_that_is_not_answered_in_time_is_told_what_it_waited_for(town: Town) -> None:
    apply(town)
    await town.start_autoscaler(wake_deadline_s=0.05)
    proxy = await town.register()
    with pytest.raises(NoWarmCompute, match=r"shop did not wake within 0\.05 s"):
        while True:
            # On a busy machine the time is up before anybody has looked for a compute.
            with contextlib.suppress(Unavailable):
                await proxy.wake(proxy.connect("shop"))


async def test_a_proxy_that_hangs_up_leaves_the_queue(town: Town) -> None:
    apply(town)
    await town.start_autoscaler(warm=0)
    await town.register()
    hurried = await dial(town.settings.listen)
    wake = hurried.ask(m.Wake(name="shop", cause="a client"), timeout_s=DEADLINE_S)
    waiting = asyncio.create_task(wake)
    await town.until("an agent is wished for", lambda: town.cluster.warm_size == 1)
    await hurried.close()
    with pytest.raises(Unavailable):
        await waiting
    await town.until("none is wished for", lambda: town.cluster.words[-1] == 0)
    agent = await town.start_agent()
    apply(town, "other")
    await town.person(m.Wake(name="other", cause="a person"))
    assert agent.claims == [("other", 1)]


async def test_an_agent_that_dies_under_its_sessions_is_replaced(town: Town) -> None:
    apply(town)
    first = await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        await proxy.attach(proxy.connect("shop"))
        await town.start_agent()
        await town.lose_agent(first)
        await town.until("replaced", lambda: proxy.gates["shop"].info.epoch == 2)
        await town.until("awake", lambda: proxy.gates["shop"].info.address is not None)
    assert town.cluster.volumes["shop"].records[-1].epoch == 2


async def test_a_crash_of_postgres_is_waited_for(town: Town) -> None:
    apply(town)
    agent = await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    session = proxy.connect("shop")
    await proxy.attach(session)
    agent.crash_postgres(restarts=True)
    await town.until("the gate is shut", lambda: proxy.gates["shop"].info.address is None)
    query = asyncio.create_task(proxy.attach(session))
    await asyncio.sleep(0.05)
    assert not query.done()
    agent.restart_postgres()
    assert (await query).epoch == 1


async def test_a_changed_spec_reaches_a_running_postgres(town: Town) -> None:
    apply(town)
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    await proxy.attach(proxy.connect("shop"))
    apply(town, roles=[{"name": "app"}, {"name": "second"}])
    await town.until("applied", lambda: town.status().observed_generation == 2)
    roles = {role.name for role in proxy.gates["shop"].info.facts.roles}
    assert roles == {"app", "second"}


async def test_a_proxy_that_came_back_is_not_taken_for_gone_when_its_old_connection_ends(
    town: Town,
) -> None:
    apply(town, idleTimeout="100ms")
    await town.start_agent()
    await town.start_autoscaler()
    await town.register()
    again = await town.register()
    await town.hang_up_first()
    async with sampling(again):
        await again.attach(again.connect("shop"))
        await town.until("suspended", lambda: town.status().phase is Phase.SUSPENDED)


async def test_a_proxy_that_has_gone_keeps_its_databases_awake_for_a_while(town: Town) -> None:
    apply(town, idleTimeout="50ms")
    await town.start_agent()
    await town.start_autoscaler()
    proxy, other = await town.register(), await town.register("proxy-2")
    async with sampling(other):
        session = proxy.connect("shop")
        await proxy.attach(session)
        session.is_busy = True  # So that it does not sleep before that.
        proxy.tell(proxy.sample())
        await town.hang_up_first()
        await asyncio.sleep(0.2)
        why: m.WhyReply = await town.person(m.Why(name="shop"))
    assert "proxy proxy-1 has not reported its sessions" in why.reasons
    assert town.status().phase is Phase.ACTIVE


@pytest.mark.parametrize("is_busy", [False, True])
async def test_a_proxy_that_comes_during_a_stop_lets_nobody_through(
    town: Town, is_busy: bool
) -> None:
    apply(town)
    agent = await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        await town.person(m.Wake(name="shop", cause="a person"))
        agent.may_stop.clear()
        if is_busy:
            agent.clients.add("somebody who is no proxy's")
        wish = asyncio.create_task(town.person(m.Suspend(name="shop")))
        await town.until("it stops", lambda: agent.state == "stopping")
        late = await town.register("late")
        assert late.gates["shop"].info.address is None
        agent.may_stop.set()
        await asyncio.gather(wish, return_exceptions=True)
        phase = Phase.ACTIVE if is_busy else Phase.SUSPENDED
        await town.until("told", lambda: late.gates["shop"].info.phase is phase)
    assert (late.gates["shop"].info.address is not None) == is_busy
