"""An agent that was told to end, over a real control channel: its database moves before it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from support.fakes.agent import FakeAgent
from support.fakes.proxy import FakeProxy
from support.fakes.proxy_session import FakeSession
from support.fakes.town import DEADLINE_S, Town, town_at_work
from torpor_api import messages as m
from torpor_api.phases import Phase

FIRST, SECOND, THIRD = "c2", "c3", "c4"
"""The agents, as the cluster names them after one resource."""

LEAVE_S = 60.0
"""Longer than any test."""

SOON_S = 4.0
"""Time for a try that waits for everybody, and for the last one, which does not."""


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with town_at_work(3) as opened:
        yield opened


async def used(town: Town) -> tuple[FakeProxy, FakeSession]:
    """A proxy, and a session in the middle of something."""
    proxy = await town.register()
    session = proxy.connect("shop")
    await proxy.attach(session)
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)
    session.is_busy = True
    return proxy, session


@contextlib.asynccontextmanager
async def leaving(agent: FakeAgent, seconds: float = LEAVE_S) -> AsyncIterator[None]:
    task = asyncio.create_task(agent.leave(seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def is_on(town: Town, compute: str) -> None:
    await town.until(
        f"it is on {compute}",
        lambda: (town.status().phase, town.status().compute) == (Phase.ACTIVE, compute),
    )


async def test_it_moves_when_its_sessions_are_at_rest(town: Town) -> None:
    proxy, session = await used(town)
    async with leaving(town.cluster.agents[FIRST]):
        await town.until("gates close", lambda: proxy.gates["shop"].closed_until is not None)
        session.is_busy = False
        await is_on(town, SECOND)
        address = town.cluster.agents[SECOND].address
        assert (await proxy.attach(session)).address == address
    assert town.cluster.agents[FIRST].volume is not None
    assert town.cluster.agents[FIRST].state == "stopped"


async def test_who_is_in_the_way_until_the_end_is_ended_and_nobody_else(town: Town) -> None:
    proxy, session = await used(town)
    other = proxy.connect("shop")
    first = town.cluster.agents[FIRST]
    first.clients.add(session)
    async with leaving(first, SOON_S):
        await is_on(town, SECOND)
    assert not first.clients and proxy.gates["shop"].info.epoch == 2
    assert (await proxy.attach(other)).epoch == 2


async def test_one_that_left_before_the_autoscaler_came_is_found_out_by_its_first_answer(
    town: Town,
) -> None:
    await used(town)
    await town.stop_autoscaler()
    async with leaving(town.cluster.agents[FIRST]):
        await town.start_autoscaler()
        proxy = await town.register("proxy-2")
        await is_on(town, SECOND)
        assert proxy.gates["shop"].info.epoch == 2


async def test_it_hears_of_it_from_the_cluster_as_well(town: Town) -> None:
    """A pod that is deleted: before its agent can have said a word."""
    _, session = await used(town)
    session.is_busy = False
    told = town.cluster.agents[FIRST].info.model_copy(update={"is_leaving": True})
    town.cluster.tell(m.AgentChanged(agent=told))
    await is_on(town, SECOND)


async def test_no_wake_gets_one_that_leaves(town: Town) -> None:
    proxy = await town.register()
    for compute in (FIRST, SECOND):
        agent = town.cluster.agents[compute]
        town.cluster.tell(m.AgentChanged(agent=agent.info.model_copy(update={"is_leaving": True})))
    async with asyncio.timeout(DEADLINE_S):
        await proxy.attach(proxy.connect("shop"))
    await is_on(town, THIRD)
