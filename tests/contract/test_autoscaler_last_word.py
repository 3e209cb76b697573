"""Proxies that end: in good order, and without a word. Over a real control channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.fakes.proxy import FakeProxy
from support.fakes.town import DEADLINE_S, Town, apply, opened_town, sampling
from torpor_api import messages as m
from torpor_api.failures import InvalidRequest, Unavailable
from torpor_api.phases import Phase

QUIET_S = 0.5
"""Many times the idle time-out: who is awake after this long is kept so."""

LATER_S = 0.7
"""After its last sample a proxy's session does something."""


@pytest.fixture(params=[False, True], ids=["sockets", "network"])
async def town(request: pytest.FixtureRequest) -> AsyncIterator[Town]:
    async with opened_town(on_network=request.param) as opened:
        yield opened


async def two_proxies(town: Town, **spec: str) -> tuple[FakeProxy, FakeProxy]:
    """The first one has used the database, is at work in it, and has reported that."""
    apply(town, **spec)
    await town.start_agent()
    await town.start_autoscaler()
    first, other = await town.register("proxy-1"), await town.register("proxy-2")
    session = first.connect("shop")
    await first.attach(session)
    session.is_busy = True
    first.tell(first.sample())
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)
    session.is_busy = False
    await first.drain()
    return first, other


async def last_use(asker: FakeProxy) -> float | None:
    told: m.LastUse = await asker.ask(m.AskLastUse(name="shop", proxy=asker.name))
    return told.ago_s


async def known_last_use(asker: FakeProxy) -> float | None:
    """Asked again until the autoscaler is no longer new.

    After a proxy that has hung up without a word it would be for longer than the deadline.
    """
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                return await last_use(asker)
            except Unavailable:
                await asyncio.sleep(0.02)


async def test_one_that_ends_in_good_order_keeps_nothing_awake(town: Town) -> None:
    ending, other = await two_proxies(town, idleTimeout="50ms")
    async with sampling(other):
        await ending.leave()
        await town.hang_up_first()
        await town.until("it sleeps", lambda: town.status().phase is Phase.SUSPENDED)


async def test_idle_time_counts_from_what_it_did_last(town: Town) -> None:
    """Which its last sample did not know of yet."""
    ending, other = await two_proxies(town, idleTimeout="1s")
    loop = asyncio.get_running_loop()
    await asyncio.sleep(LATER_S)
    used_at = ending.gates["shop"].used_at = loop.time()
    async with sampling(other):
        await ending.leave()
        await town.until("it sleeps", lambda: town.status().phase is Phase.SUSPENDED)
    assert loop.time() - used_at >= 1.0


async def test_one_that_hangs_up_without_a_word_does_for_a_while(town: Town) -> None:
    """As every proxy of a release before this word."""
    _, other = await two_proxies(town, idleTimeout="50ms")
    async with sampling(other):
        await town.hang_up_first()
        await asyncio.sleep(QUIET_S)
        assert town.status().phase is Phase.ACTIVE
        with pytest.raises(Unavailable, match="hung up"):
            await last_use(other)


async def test_when_it_used_a_database_last_is_known_without_it(town: Town) -> None:
    ending, other = await two_proxies(town)
    ending.gates["shop"].used_at -= 100.0
    await ending.leave()
    await town.hang_up_first()
    assert await known_last_use(other) == pytest.approx(100.0, abs=5.0)


async def test_the_connections_of_a_compute_are_shared_by_those_that_are_left(town: Town) -> None:
    ending, other = await two_proxies(town)
    gate = other.gates["shop"]
    assert gate.info.proxies == 2
    await ending.leave()
    await town.until("it is told", lambda: gate.info.proxies == 1)


async def test_the_last_word_is_for_oneself(town: Town) -> None:
    first, other = await two_proxies(town)
    with pytest.raises(InvalidRequest, match="proxy-1"):
        await other.ask(m.ForgetProxy(proxy="proxy-1"))
    await first.leave()
    with pytest.raises(InvalidRequest, match="proxy-1"):
        await first.leave()
