"""A compute that its pool would make otherwise now: its database leaves it, over a real channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.fakes.proxy import FakeProxy
from support.fakes.town import DEADLINE_S, Town, sampling, town_at_work
from torpor_api import messages as m
from torpor_api.phases import Phase

OLD, ALSO_OLD, FRESH = "c2", "c3", "c4"
"""The agents, as the cluster names them after one resource."""


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with town_at_work(3) as opened:
        yield opened


def outdate(town: Town, *computes: str) -> None:
    for compute in computes:
        info = town.cluster.agents[compute].info.model_copy(update={"is_outdated": True})
        town.cluster.tell(m.AgentChanged(agent=info))


async def held(town: Town) -> FakeProxy:
    """One session, which is attached."""
    proxy = await town.register()
    await proxy.attach(proxy.connect("shop"))
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)
    assert town.status().compute == OLD
    return proxy


async def test_it_moves_to_one_that_is_not_while_its_session_is_held(town: Town) -> None:
    proxy = await held(town)
    (session,) = proxy.gates["shop"].sessions
    async with sampling(proxy):
        outdate(town, OLD, ALSO_OLD)
        await has_moved(town)
    assert (await proxy.attach(session)).address == town.cluster.agents[FRESH].address


async def test_one_in_use_is_left_alone_until_it_is_not(town: Town) -> None:
    proxy = await held(town)
    (session,) = proxy.gates["shop"].sessions
    session.is_busy = True
    async with sampling(proxy):
        outdate(town, OLD, ALSO_OLD)
        async with asyncio.timeout(DEADLINE_S):
            while not any("nobody is at work" in line for line in await why(town)):
                await asyncio.sleep(0.01)
        assert town.status().epoch == 1
        session.is_busy = False
        await has_moved(town)


async def has_moved(town: Town) -> None:
    await town.until("it has moved", lambda: town.status().last_switchover is not None)
    last = town.status().last_switchover
    assert last.epoch == town.status().epoch == 2
    assert (town.status().phase, town.status().compute) == (Phase.ACTIVE, FRESH)


async def why(town: Town) -> tuple[str, ...]:
    answer: m.WhyReply = await town.person(m.Why(name="shop"))
    return answer.reasons
