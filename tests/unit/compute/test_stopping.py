"""The order of a stop: either nobody is there, or nothing has happened."""

from __future__ import annotations

import pytest

from support.fakes.compute import FakeCompute
from torpor_api.failures import Busy
from torpor_api.messages import StopCompute
from torpor_compute.stopping import Stopping


@pytest.fixture
def world() -> FakeCompute:
    made = FakeCompute()
    made.postgres.is_running = True
    return made


def stopping(world: FakeCompute) -> Stopping:
    return Stopping(world.volume, world.postgres, world.sql_of(), ())


async def test_nobody_is_there(world: FakeCompute) -> None:
    attempt = stopping(world)
    facts = await attempt.order(StopCompute(epoch=1))
    assert world.story == ["pause", "close", "smart", "go on"]
    stopped = await attempt.finish(facts)
    assert world.story[4:] == ["gone", "flush", "release"]
    assert stopped.facts == world.login_facts


async def test_somebody_slips_in_before_the_pause(world: FakeCompute) -> None:
    world.clients_by_look = [(), ("app",), ("app",)]
    with pytest.raises(Busy, match="app"):
        await stopping(world).order(StopCompute(epoch=1, grace_s=0))
    assert world.story == ["pause", "go on"]


async def test_somebody_is_on_the_way_in(world: FakeCompute) -> None:
    world.postgres.on_their_way = {3}
    with pytest.raises(Busy, match="just connecting"):
        await stopping(world).order(StopCompute(epoch=1, grace_s=0))
    assert world.postgres.is_running and world.story == ["pause", "go on"]


async def test_a_helper_that_is_never_listed_is_no_client(world: FakeCompute) -> None:
    world.postgres.unlisted = {3}
    await stopping(world).order(StopCompute(epoch=1, grace_s=0))
    assert world.story == ["pause", "close", "smart", "go on"]


async def test_somebody_leaves_in_time(world: FakeCompute) -> None:
    world.clients_by_look = [("app",), ("app",)]
    await stopping(world).order(StopCompute(epoch=1, grace_s=10))
    assert world.story == ["pause", "close", "smart", "go on"]


async def test_somebody_stays(world: FakeCompute) -> None:
    world.clients_by_look = [tuple(f"role{number}" for number in range(9))] * 1000
    with pytest.raises(Busy, match=r"9 clients .*role0; .*role4; and 4 more"):
        await stopping(world).order(StopCompute(epoch=1, grace_s=0.05))
    assert world.story == []


async def test_force_ends_whoever_stays(world: FakeCompute) -> None:
    world.clients_by_look = [("app",)] * 1000
    await stopping(world).order(StopCompute(epoch=1, grace_s=0.05, force=True))
    assert world.story == ["close", "fast"]


async def test_force_is_gentle_where_nobody_is_there(world: FakeCompute) -> None:
    await stopping(world).order(StopCompute(epoch=1, force=True))
    assert "smart" in world.story and "fast" not in world.story
