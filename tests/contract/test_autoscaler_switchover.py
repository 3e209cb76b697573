"""Switchovers and sessions over a real control channel: what proxies and people get of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.fakes.proxy import FakeProxy
from support.fakes.town import DEADLINE_S, Town, apply, sampling, town_at_work
from torpor_api import messages as m
from torpor_api.failures import Busy, NotFound, Refused, StartFailed, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler import desk, executor
from torpor_channel.client import dial
from torpor_channel.peer import Peer

FIRST, SECOND, THIRD = "c2", "c3", "c4"
"""The agents, as the cluster names them after one resource."""

SHOP = m.Switchover(name="shop", patience_s=DEADLINE_S)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with town_at_work(2) as opened:
        yield opened


async def awake(town: Town, proxy: FakeProxy) -> None:
    await proxy.attach(proxy.connect("shop"))
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)


def is_closed(proxy: FakeProxy) -> bool:
    return proxy.gates["shop"].closed_until is not None


async def waiting_wake(town: Town, name: str) -> asyncio.Task[m.Awake]:
    """Somebody wants it awake, and no compute is warm."""
    waking = asyncio.create_task(town.person(m.Wake(name=name, cause="a person")))
    async with asyncio.timeout(DEADLINE_S):
        while "NoWarmCompute" not in str((await town.person(m.Why(name=name))).reasons):
            await asyncio.sleep(0.005)
    return waking


async def test_it_waits_for_safe_points_and_every_proxy_has_the_fresh_compute(town: Town) -> None:
    proxy, other = await town.register(), await town.register("proxy-2")
    await awake(town, proxy)
    session = proxy.gates["shop"].sessions[0]
    session.is_busy = True
    asking = asyncio.create_task(town.person(SHOP))
    await town.until("gates close", lambda: is_closed(proxy) and is_closed(other))
    assert session.is_attached and town.status().phase is Phase.SUSPENDING
    session.is_busy = False
    moved: m.SwitchedOver = await asking
    assert (moved.epoch, moved.compute) == (2, SECOND)
    assert {step.where for step in moved.steps} == {"proxy", "postgres", "autoscaler"}
    assert sum(step.ms for step in moved.steps) == pytest.approx(moved.pause_ms, abs=0.1)
    assert town.cluster.agents[FIRST].state == "stopped"
    for told in (proxy, other):
        await town.until("told", lambda told=told: told.gates["shop"].info.epoch == 2)  # type: ignore[misc]
        assert not is_closed(told)
    assert (await proxy.attach(session)).address == town.cluster.agents[SECOND].address
    await town.until("written", lambda: town.status().last_switchover is not None)
    last = town.status().last_switchover
    assert (last.epoch, last.pause_ms, last.steps) == (2, moved.pause_ms, moved.steps)
    phases = [status.phase for _, status in town.cluster.statuses]
    assert Phase.SUSPENDED not in phases and phases[-1] is Phase.ACTIVE


async def test_a_pinned_session_is_named_and_nothing_changes(town: Town) -> None:
    proxy, other = await town.register(), await town.register("proxy-2")
    await awake(town, proxy)
    proxy.gates["shop"].sessions[0].pinned = "holds advisory lock 42"
    with pytest.raises(
        Busy, match="stays on its compute: session 1: holds advisory lock 42"
    ) as got:
        await town.person(SHOP)
    assert "torpor sessions" in got.value.hint
    assert not is_closed(proxy) and not is_closed(other)
    await town.until("Active again", lambda: town.status().phase is Phase.ACTIVE)
    assert (town.status().epoch, town.status().compute) == (1, FIRST)


async def test_patience_comes_to_an_end(town: Town) -> None:
    proxy = await town.register()
    await awake(town, proxy)
    proxy.gates["shop"].sessions[0].is_busy = True
    with pytest.raises(Busy, match="session 1: a query is running"):
        await town.person(m.Switchover(name="shop", patience_s=0.05))
    assert town.status().epoch == 1 and not is_closed(proxy)


async def test_a_client_that_asks_meanwhile_is_served_by_the_fresh_compute(town: Town) -> None:
    proxy = await town.register()
    await awake(town, proxy)
    busy, other = proxy.gates["shop"].sessions[0], proxy.connect("shop")
    busy.is_busy = True
    asking = asyncio.create_task(town.person(SHOP))
    await town.until("the gate closes", lambda: is_closed(proxy))
    served = asyncio.create_task(proxy.attach(other))
    await town.until("it waits", lambda: proxy.gates["shop"].waiting == 1)
    busy.is_busy = False
    assert (await served).epoch == 2
    await asking


async def test_what_can_not_be_moved_says_so(town: Town) -> None:
    with pytest.raises(Refused, match="shop is Suspended") as got:
        await town.person(SHOP)
    assert "next wake" in got.value.hint
    with pytest.raises(NotFound, match="ghost"):
        await town.person(m.Switchover(name="ghost"))


async def test_a_start_that_fails_is_mended_by_the_next(town: Town) -> None:
    proxy = await town.register()
    await awake(town, proxy)
    town.cluster.agents[SECOND].fail_next_start = StartFailed("no luck")
    await town.start_agent()
    moved: m.SwitchedOver = await town.person(SHOP)
    assert (moved.epoch, moved.compute) == (3, THIRD)


async def test_without_a_warm_compute_nothing_is_closed_until_one_is_there(town: Town) -> None:
    proxy = await town.register()
    await awake(town, proxy)
    await town.lose_agent(town.cluster.agents[SECOND])
    asking = asyncio.create_task(town.person(SHOP))
    await town.until("it waits", lambda: town.cluster.words and town.cluster.words[-1] == 1)
    assert not is_closed(proxy) and town.status().phase is Phase.ACTIVE
    await town.start_agent()
    assert (await asking).compute == THIRD


async def test_its_answer_is_waited_for_as_long_as_sessions_are_given(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "ANSWER_S_MAX", 0.2)
    others = executor.ANSWER_S_MAX_OF | {m.WriteStatus: DEADLINE_S}
    monkeypatch.setattr(executor, "ANSWER_S_MAX_OF", others)
    proxy = await town.register()
    await awake(town, proxy)
    session = proxy.gates["shop"].sessions[0]
    session.is_busy = True
    asking = asyncio.create_task(town.person(SHOP))
    await town.until("the gate closes", lambda: is_closed(proxy))
    await asyncio.sleep(0.4)  # Longer than any other question is waited for.
    session.is_busy = False
    assert (await asking).epoch == 2


async def test_a_compute_that_was_not_needed_is_for_whoever_waits(town: Town) -> None:
    proxy = await town.register()
    await awake(town, proxy)
    session = proxy.gates["shop"].sessions[0]
    session.is_busy = True
    asking = asyncio.create_task(town.person(SHOP))
    await town.until("the gate closes", lambda: is_closed(proxy))
    apply(town, "other")
    await town.until("known", lambda: "other" in proxy.gates)
    waking = await waiting_wake(town, "other")
    session.pinned = "holds advisory lock 42"
    with pytest.raises(Busy):
        await asking
    awoken = await waking
    assert awoken.endpoint.address == town.cluster.agents[SECOND].address


async def test_a_database_that_is_deleted_gives_back_what_it_had_reserved(town: Town) -> None:
    proxy = await town.register()
    await awake(town, proxy)
    proxy.gates["shop"].sessions[0].is_busy = True
    asking = asyncio.create_task(town.person(SHOP))
    await town.until("the gate closes", lambda: is_closed(proxy))
    apply(town, "other")
    await town.until("known", lambda: "other" in proxy.gates)
    waking = await waiting_wake(town, "other")
    town.cluster.tell(m.ResourceDeleted(name="shop"))
    with pytest.raises(NotFound, match="'shop' was deleted"):
        await asking
    awoken = await waking
    assert awoken.endpoint.address == town.cluster.agents[SECOND].address


async def test_who_hangs_up_leaves_it_where_it_was(town: Town) -> None:
    proxy = await town.register()
    await awake(town, proxy)
    proxy.gates["shop"].sessions[0].is_busy = True
    hurried = await dial(town.settings.listen)
    asking = asyncio.create_task(hurried.ask(SHOP, timeout_s=DEADLINE_S))
    await town.until("the gate closes", lambda: is_closed(proxy))
    await hurried.close()
    with pytest.raises(Unavailable):
        await asking
    proxy.gates["shop"].sessions[0].is_busy = False
    await town.until("the gate opens", lambda: not is_closed(proxy))
    await town.until("Active again", lambda: town.status().phase is Phase.ACTIVE)
    assert town.status().epoch == 1


async def test_sessions_of_all_proxies_those_first_that_keep_it_awake(town: Town) -> None:
    proxy, other = await town.register(), await town.register("proxy-2")
    await awake(town, proxy)
    proxy.connect("shop")
    other.connect("shop").pinned = "listens on jobs"
    told: m.SessionList = await town.person(m.Sessions(name="shop"))
    assert [(s.proxy, s.session, s.state) for s in told.sessions] == [
        ("proxy-2", 1, m.SessionStanding.PINNED),
        ("proxy-1", 1, m.SessionStanding.ATTACHED),
        ("proxy-1", 2, m.SessionStanding.PARKED),
    ]
    assert (told.total, told.missing) == (3, ())
    cut: m.SessionList = await town.person(m.Sessions(name="shop", limit=1))
    assert [s.reason for s in cut.sessions] == ["listens on jobs"] and cut.total == 3
    del proxy.gates["shop"]
    one: m.SessionList = await town.person(m.Sessions(name="shop"))
    assert (one.total, one.missing) == (1, ()), "who does not know it has nobody of it"
    with pytest.raises(NotFound, match="ghost"):
        await town.person(m.Sessions(name="ghost"))


async def test_a_proxy_that_does_not_answer_is_named(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "SESSIONS_S_MAX", 0.05)
    proxy = await town.register()
    await awake(town, proxy)

    async def never(_: Peer, asked: m.ListSessions) -> m.SessionList:
        await asyncio.Event().wait()
        raise AssertionError

    async def hear(_: Peer, event: m.Event) -> None:
        """Of no interest."""

    stalled = await dial(town.settings.listen, {m.ListSessions: never, m.EndpointChanged: hear})
    try:
        await stalled.ask(m.RegisterProxy(proxy="stalled"), timeout_s=DEADLINE_S)
        told: m.SessionList = await town.person(m.Sessions(name="shop"))
        while "proxy-1" in told.missing:  # On a busy machine it may need as long for its answer.
            told = await town.person(m.Sessions(name="shop"))
        assert told.missing == ("stalled",) and [s.proxy for s in told.sessions] == ["proxy-1"]
        why: m.WhyReply = await town.person(m.Why(name="shop"))
        assert why.phase is Phase.ACTIVE
    finally:
        await stalled.close()


async def test_why_knows_who_is_pinned_at_this_moment(town: Town) -> None:
    """The one sample that is sent is from before anybody was connected."""
    proxy = await town.register()
    proxy.tell(proxy.sample())
    await awake(town, proxy)
    session = proxy.gates["shop"].sessions[0]
    line = "session 1, user app, application worker from 10.0.0.7: holds advisory lock 42 for 3m"
    session.pinned = "holds advisory lock 42"
    why: m.WhyReply = await town.person(m.Why(name="shop"))
    assert line in why.reasons
    session.pinned = ""
    why = await town.person(m.Why(name="shop"))
    assert not [reason for reason in why.reasons if "advisory" in reason]


async def test_the_next_suspend_goes_on_from_the_fresh_compute(town: Town) -> None:
    proxy = await town.register()
    await awake(town, proxy)
    await town.person(SHOP)
    async with sampling(proxy):
        await town.until("known", lambda: proxy.gates["shop"].info.epoch == 2)
        await town.person(m.Suspend(name="shop"))
    records = town.cluster.volumes["shop"].records
    assert [(record.epoch, record.is_released) for record in records] == [(1, True), (2, True)]
