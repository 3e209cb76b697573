"""The autoscaler over a real control channel: what proxies and people get from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.fakes.town import DEADLINE_S, Town, apply, opened_town, sampling
from torpor_api import messages as m
from torpor_api.failures import Busy, NotFound, Refused
from torpor_api.phases import Phase
from torpor_channel.tls import OPERATOR


@pytest.fixture(params=[False, True], ids=["sockets", "network"])
async def town(request: pytest.FixtureRequest) -> AsyncIterator[Town]:
    async with opened_town(on_network=request.param) as opened:
        yield opened


async def test_a_wake_claims_starts_answers_and_tells(town: Town) -> None:
    apply(town)
    agent = await town.start_agent()
    await town.start_autoscaler()
    proxy, other = await town.register(), await town.register("proxy-2")
    session = proxy.connect("shop")
    info = await proxy.attach(session)
    assert (info.phase, info.epoch) == (Phase.ACTIVE, 1)
    assert info.address is not None and info.address.agent == agent.info.address
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)
    assert town.status().compute == agent.compute
    await town.until("others are told", lambda: other.gates["shop"].info == info)
    await town.until("the whole chain is written", lambda: _last_step(town) == "first row")
    chain = town.status().last_resume
    assert [step.where for step in chain.steps][-3:] == ["autoscaler", "proxy", "proxy"]
    assert chain.total_ms == pytest.approx(sum(step.ms for step in chain.steps))
    assert chain.cause == "session 1"


def _last_step(town: Town) -> str:
    """On the record; it is there from the first moment, and whole when the proxy has said so."""
    chain = town.status().last_resume
    return "" if chain is None else chain.steps[-1].name


async def test_a_proxy_that_registers_knows_who_may_log_in(town: Town) -> None:
    names = [f"db{n}" for n in range(200)]
    for name in names:
        apply(town, name)
    await town.start_autoscaler()
    proxy = await town.register()
    assert sorted(proxy.gates) == sorted(names)
    assert all(gate.info.facts.roles for gate in proxy.gates.values())


async def test_however_many_ask_one_compute_is_claimed(town: Town) -> None:
    apply(town)
    await town.start_agent()
    await town.start_agent()
    await town.start_autoscaler()
    proxies = [await town.register(f"proxy-{n}") for n in range(3)]
    sessions = [(proxy, proxy.connect("shop")) for proxy in proxies for _ in range(20)]
    infos = await asyncio.gather(*(proxy.attach(session) for proxy, session in sessions))
    assert {info.epoch for info in infos} == {1}
    assert sum(len(agent.claims) for agent in town.cluster.agents.values()) == 1


async def test_an_idle_database_is_suspended_and_its_session_wakes_it_again(town: Town) -> None:
    apply(town, idleTimeout="100ms")
    first, _ = await town.start_agent(), await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        session = proxy.connect("shop")
        await proxy.attach(session)
        await town.until("suspended", lambda: town.status().phase is Phase.SUSPENDED)
        await town.until("told", lambda: proxy.gates["shop"].info.phase is Phase.SUSPENDED)
        assert town.status().compute is None and town.status().why_awake == ()
        assert town.cluster.volumes["shop"].records[-1].is_released
        assert town.cluster.facts["shop"][0] == 1
        assert first.state == "stopped" and proxy.gates["shop"].info.address is None
        info = await proxy.attach(session)
        assert info.epoch == 2


async def test_a_pinned_session_keeps_it_awake_and_is_named(town: Town) -> None:
    apply(town, idleTimeout="50ms")
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        session = proxy.connect("shop")
        await proxy.attach(session)
        session.pinned = "holds advisory lock 42"
        line = "session 1, user app, application worker from 10.0.0.7: holds advisory lock 42"
        await town.until("written", lambda: line in town.status().why_awake)
        why: m.WhyReply = await town.person(m.Why(name="shop"))
        assert f"{line} for 3m" in why.reasons and why.phase is Phase.ACTIVE
        with pytest.raises(Busy, match="advisory lock 42"):
            await town.person(m.Suspend(name="shop"))
        session.pinned = ""
        await town.until("suspended", lambda: town.status().phase is Phase.SUSPENDED)


async def test_a_life_is_told_in_decisions(town: Town) -> None:
    apply(town, idleTimeout="100ms")
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    asked = m.AskDecisions(name="shop")
    assert await town.person(asked) == m.DecisionList(name="shop")
    async with sampling(proxy):
        await proxy.attach(proxy.connect("shop"))
        await town.until("suspended", lambda: town.status().phase is Phase.SUSPENDED)
    told: m.DecisionList = await town.person(asked)
    life = [decided for decided in told.decisions if decided.loop == "awake"]
    slept = life[-1]
    assert (life[0].follows, slept.follows) == ("wakes (session 1)", "goes to sleep")
    assert slept.value >= slept.threshold == 0.1 and slept.unit == "s"
    why: m.WhyReply = await town.person(m.Why(name="shop"))
    assert why.decisions[0].since == slept.since and why.decisions[0].follows == "goes to sleep"
    with pytest.raises(NotFound, match="'nope'"):
        await town.person(m.AskDecisions(name="nope"))


async def test_wakes_raise_how_many_wait_as_far_as_they_may_and_the_next_start_forgets_it(
    town: Town,
) -> None:
    apply(town)
    await town.start_agent()
    await town.start_autoscaler(warm_max=2)
    await town.until("the least is wanted", lambda: town.cluster.words == [1])
    await town.person(m.Wake(name="shop", cause="torpor resume"))
    await town.until("two are wanted", lambda: town.cluster.words[-1] == 2)
    await town.stop_autoscaler()
    await town.start_autoscaler(warm_max=2)
    await town.until("the least is wanted again", lambda: town.cluster.words[-1] == 1)
    assert set(town.cluster.words) == {1, 2}


async def test_people_wake_suspend_and_are_refused(town: Town) -> None:
    apply(town)
    apply(town, "kept", keepAwake=True)
    await town.start_agent()
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        woken = await town.person(m.Wake(name="shop", cause="torpor resume"))
        again = await town.person(m.Wake(name="shop", cause="torpor resume"))
        assert (woken.was_awake, again.was_awake) == (False, True)
        assert again.endpoint.epoch == woken.endpoint.epoch
        assert await town.person(m.Suspend(name="shop")) == m.Done()
        assert town.status().phase is Phase.SUSPENDED
        assert await town.person(m.Suspend(name="shop")) == m.Done()
        with pytest.raises(Refused, match="keepAwake"):
            await town.person(m.Suspend(name="kept"))
        with pytest.raises(NotFound, match="ghost"):
            await town.person(m.Suspend(name="ghost"))
    await town.until("kept awake", lambda: town.status("kept").phase is Phase.ACTIVE)


async def test_a_pool_of_none_is_filled_when_somebody_asks(town: Town) -> None:
    apply(town)
    await town.start_autoscaler(warm=0)
    await town.until("told", lambda: town.cluster.words == [0])
    proxy = await town.register()
    wake = asyncio.create_task(proxy.wake(proxy.connect("shop")))
    await town.until("one is wished for", lambda: town.cluster.words[-1] == 1)
    agent = await town.start_agent()
    await wake
    await town.until("none is wished for", lambda: town.cluster.words[-1] == 0)
    assert town.cluster.claimed == (agent.compute,)


async def test_what_has_not_changed_is_not_told_again(town: Town) -> None:
    apply(town)
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        await proxy.attach(proxy.connect("shop"))
        await town.until("written", lambda: town.status().last_resume)
        told = proxy.told
        for _ in range(3):
            await town.person(m.Wake(name="shop", cause="a person"))
            await asyncio.sleep(0.05)
    assert proxy.told == told


async def test_an_ended_compute_is_let_go_once_no_record_names_it(town: Town) -> None:
    apply(town)
    agent, warm = await town.start_agent(), await town.start_agent()
    await town.start_autoscaler()
    await town.person(m.Wake(name="shop", cause="test"))
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)
    await town.lose_agent(warm)
    asked = m.AskLetGo(computes=(agent.compute, warm.compute, "unknown"))

    async def is_let_go(*computes: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while (await town.asked_by(OPERATOR, asked)).computes != computes:
                await asyncio.sleep(0.005)

    await is_let_go(warm.compute)
    await town.person(m.Suspend(name="shop"))
    await town.lose_agent(agent)
    await is_let_go(agent.compute, warm.compute)


async def test_whose_pod_may_go_is_the_operators_question(town: Town) -> None:
    await town.start_autoscaler()
    question = m.AskLetGo(computes=("c1",))
    assert await town.asked_by(OPERATOR, question) == m.LetGo()
    if town.settings.tls is not None:
        with pytest.raises(Refused):
            await town.person(question)
