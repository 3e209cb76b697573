"""An agent that is told to end: what it says, what it still does, and whom it does not wait for."""

from __future__ import annotations

import asyncio

import pytest

from support.fakes.compute import FakeCompute
from torpor_api import messages as m
from torpor_api.failures import Conflict, Unavailable
from torpor_compute.executor import Agent
from unit.compute.test_erasing import ERASE
from unit.compute.test_executor import claim, turns


async def test_who_leaves_says_so_and_serves_on(agent: Agent, told: list[m.Event]) -> None:
    await agent.start(claim())
    assert agent.state().leaves_in_s is None
    agent.leave(30.0)
    assert told == [m.AgentLeaving(compute="c1", leaves_in_s=30.0)]
    left_s = agent.state().leaves_in_s
    assert left_s is not None and 29.0 < left_s <= 30.0
    assert agent.state().state == "running" and await agent.start(claim())
    await agent.stop(m.StopCompute(epoch=1))


async def test_who_leaves_takes_no_claim_any_more(agent: Agent, world: FakeCompute) -> None:
    agent.leave(30.0)
    with pytest.raises(Conflict, match="claim another one"):
        await agent.start(claim())
    with pytest.raises(Conflict, match="claim another one"):
        await agent.erase(ERASE)
    assert world.story == [] and agent.state().state == "warm"


async def test_who_ends_does_not_say_that_it_runs(agent: Agent, world: FakeCompute) -> None:
    await agent.start(claim())
    ending = asyncio.create_task(agent.end())
    await asyncio.sleep(0)
    state = agent.state()
    assert state.state == "stopping" and state.address is None
    await ending


async def test_the_end_does_not_wait_for_a_stop_that_waits_for_somebody(
    agent: Agent, world: FakeCompute
) -> None:
    await agent.start(claim())
    world.clients_by_look = [("client backend 7 of app",)] * 10_000
    stopping = asyncio.create_task(agent.stop(m.StopCompute(epoch=1, grace_s=1000.0)))
    await turns()
    world.story.clear()
    async with asyncio.timeout(10):
        await agent.end(1000.0)
    with pytest.raises(Unavailable, match="is ending"):
        await stopping
    assert world.story == ["fast", "gone", "close", "flush", "release without facts"]


async def test_who_ends_is_asked_nothing_of_its_postgres_any_more(
    agent: Agent, world: FakeCompute
) -> None:
    """A stop would pause a postmaster that is on its way out."""
    await agent.start(claim())
    ending = asyncio.create_task(agent.end())
    await asyncio.sleep(0)
    world.story.clear()
    with pytest.raises(Unavailable, match="is ending"):
        await agent.stop(m.StopCompute(epoch=1))
    with pytest.raises(Unavailable, match="is ending"):
        await agent.checkpoint(1)
    await ending
    assert "smart" not in world.story and "checkpoint" not in world.story
