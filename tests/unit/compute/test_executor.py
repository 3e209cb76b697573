"""An agent's life as timelines, over a world in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from support.fakes.compute import FakeCompute, agent_of
from support.fakes.files import BEFORE, Disk, FakeVolume
from torpor_api import messages as m
from torpor_api.facts import LoginFacts
from torpor_api.failures import Conflict, DataDamaged, NotFenced, NotFound, StartFailed, Unavailable
from torpor_api.resource import DatabaseSpec
from torpor_compute.core.ownership import Hold
from torpor_compute.core.restarts import RESTARTS_MAX
from torpor_compute.executor import Agent


def claim(generation: int = 1, epoch: int = 1) -> m.StartCompute:
    return m.StartCompute(
        database="shop",
        epoch=epoch,
        storage=m.StoragePlace(directory="/v"),
        spec=DatabaseSpec(),
        generation=generation,
    )


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def until_told(told: list[m.Event], kind: type[m.Event], count: int = 1) -> Any:
    async with asyncio.timeout(10):
        while len(found := [event for event in told if isinstance(event, kind)]) < count:
            await asyncio.sleep(0)
    return found[-1]


async def test_a_clean_start_asks_postgres_nothing(agent: Agent, world: FakeCompute) -> None:
    started = await agent.start(claim())
    assert world.story == ["take", "start"] and started.facts is None
    assert agent.state().state == "running"


async def test_a_size_is_followed_by_settings_and_then_by_the_kernel_s_cache(
    agent: Agent, world: FakeCompute
) -> None:
    await agent.start(claim())
    await agent.follow(m.FollowSize(epoch=1, cu=Decimal("0.5"), max_cu=Decimal(1)))
    assert world.story[-2:] == ["follow 0.5", "room for 2048 MiB"]


@pytest.mark.parametrize(("owner", "told"), [(51_000, 51_000), (None, 7)])
async def test_its_address_names_the_user_that_postgres_runs_as(
    world: FakeCompute, owner: int | None, told: int
) -> None:
    agent = agent_of(world, [], user_id=7)
    storage = m.StoragePlace(directory="/v", user_id=owner)
    started = await agent.start(claim().model_copy(update={"storage": storage}))
    state = agent.state()
    assert started.address.user_id == told
    assert state.address == started.address
    await agent.end()


async def test_a_newer_generation_is_noted_after_it_was_applied(
    agent: Agent, world: FakeCompute
) -> None:
    started = await agent.start(claim(generation=2))
    assert world.story == ["take", "start", "make match", "applied 2"]
    assert started.facts is not None


@pytest.mark.parametrize(
    "disk",
    [Disk(records=[replace(BEFORE, facts_exported=False)]), Disk(is_clean=False)],
    ids=["not stored", "not stopped cleanly"],
)
async def test_facts_that_may_be_wrong_are_read_again(disk: Disk) -> None:
    world = FakeCompute()
    world.volume = FakeVolume(disk, "c1", world.story)
    agent = agent_of(world, [])
    assert (await agent.start(claim())).facts is not None
    await agent.end()


async def test_who_was_refused_may_ask_again(agent: Agent, world: FakeCompute) -> None:
    world.volume.take_fails = NotFenced("held")
    for _ in range(2):
        with pytest.raises(NotFenced):
            await agent.start(claim())
        assert agent.state().state == "refused"
    with pytest.raises(Conflict):
        await agent.start(claim(epoch=2))
    world.volume.take_fails = None
    await agent.start(claim())
    assert world.story == ["take", "take", "take", "start"]


async def test_a_failed_start_leaves_nothing_and_gives_the_volume_back(
    agent: Agent, world: FakeCompute
) -> None:
    world.postgres.starts = [StartFailed("no")]
    for _ in range(2):
        with pytest.raises(StartFailed, match="no"):
            await agent.start(claim())
    assert world.story == [
        *("take", "start", "immediate", "gone", "close", "flush"),
        "release without facts",
    ]
    assert agent.state().state == "failed"


async def test_a_warm_agent_has_nothing_to_stop(agent: Agent, world: FakeCompute) -> None:
    with pytest.raises(NotFound):
        await agent.stop(m.StopCompute(epoch=1))
    with pytest.raises(NotFound):
        await agent.role(m.AskRoleFacts(role="app"))
    assert world.story == []


async def test_a_stop_waits_for_the_start(agent: Agent, world: FakeCompute) -> None:
    world.postgres.start_may_end.clear()
    starting = asyncio.create_task(agent.start(claim()))
    stopping = asyncio.create_task(agent.stop(m.StopCompute(epoch=1)))
    await turns()
    assert world.story == ["take", "start"]
    world.postgres.start_may_end.set()
    await asyncio.gather(starting, stopping)
    assert world.story[-1] == "release" and agent.state().state == "stopped"


async def test_a_lost_postgres_comes_back(
    agent: Agent, world: FakeCompute, told: list[m.Event]
) -> None:
    await agent.start(claim())
    world.story.clear()
    world.postgres.die("was ended by signal SIGKILL")
    back: m.PostgresBack = await until_told(told, m.PostgresBack)
    assert back.started.was_recovery
    assert world.story == ["gone", "close", "flush", "check ours", "start"]
    assert isinstance(told[0], m.PostgresLost) and told[0].restarting
    assert await agent.start(claim()) == back.started


async def test_questions_wait_for_the_restart(
    agent: Agent, world: FakeCompute, told: list[m.Event]
) -> None:
    await agent.start(claim())
    world.postgres.start_may_end.clear()
    world.postgres.die("died")
    await until_told(told, m.PostgresLost)
    asking = asyncio.create_task(agent.role(m.AskRoleFacts(role="app")))
    await turns()
    assert not asking.done() and agent.state().state == "starting"
    world.postgres.start_may_end.set()
    assert await asking is not None


async def test_restarts_that_fail_come_to_an_end(
    agent: Agent, world: FakeCompute, told: list[m.Event]
) -> None:
    await agent.start(claim())
    world.postgres.starts = [StartFailed("still broken")] * 10
    world.postgres.die("died")
    await until_told(told, m.PostgresLost, 2)
    assert [e.restarting for e in told if isinstance(e, m.PostgresLost)] == [True, False]
    assert world.story.count("start") == 1 + RESTARTS_MAX
    assert agent.state().state == "failed" and not world.postgres.is_running
    assert not any(word.startswith("release") for word in world.story), "the record stays held"
    with pytest.raises(StartFailed, match="still broken"):
        await agent.role(m.AskRoleFacts(role="app"))


async def test_on_a_disk_that_fails_nothing_is_started_again_or_given_back(
    world: FakeCompute, told: list[m.Event]
) -> None:
    """Recovery would read what is in memory and not on disk."""
    agent = agent_of(world, told)
    await agent.start(claim())
    world.volume.flush_fails = DataDamaged("an I/O error")
    world.postgres.die("died")
    await until_told(told, m.PostgresLost, 2)
    assert [e.restarting for e in told if isinstance(e, m.PostgresLost)] == [True, False]
    assert world.story.count("start") == 1 and agent.state().state == "failed"
    await agent.end()
    assert world.disk.records[-1].state is Hold.HELD


async def test_a_stop_whose_flush_fails_gives_nothing_back(world: FakeCompute) -> None:
    agent = agent_of(world, [])
    await agent.start(claim())
    world.volume.flush_fails = DataDamaged("an I/O error")
    with pytest.raises(DataDamaged):
        await agent.stop(m.StopCompute(epoch=1))
    assert agent.state().state == "failed"
    await agent.end()
    assert world.disk.records[-1].state is Hold.HELD


def alter_role(world: FakeCompute) -> LoginFacts:
    world.postgres.server.alter_role("app")
    return world.login_facts


@pytest.mark.parametrize("generation", [1, 2])
async def test_a_changed_role_is_told_before_the_answer(
    agent: Agent, world: FakeCompute, told: list[m.Event], generation: int
) -> None:
    await agent.start(claim(generation))
    for times in (1, 2):
        facts = alter_role(world)
        await agent.activity()
        await agent.activity()
        assert [e.facts for e in told if isinstance(e, m.LoginFactsChanged)][times - 1 :] == [facts]


async def test_a_role_that_is_as_the_start_said_is_not_told_again(
    agent: Agent, world: FakeCompute, told: list[m.Event]
) -> None:
    started = await agent.start(claim(generation=2))
    assert started.facts == world.login_facts
    await agent.activity()
    world.postgres.server.changes += 1
    await agent.activity()
    assert told == []


async def test_a_change_that_could_not_be_read_is_told_at_the_next_question(
    agent: Agent, world: FakeCompute, told: list[m.Event]
) -> None:
    await agent.start(claim(generation=2))
    facts = alter_role(world)
    world.facts_fail = Unavailable("no answer")
    await agent.activity()
    assert told == []
    world.facts_fail = None
    await agent.activity()
    assert [e.facts for e in told if isinstance(e, m.LoginFactsChanged)] == [facts]


async def test_a_postgres_that_dies_in_its_stop_is_no_loss(
    agent: Agent, world: FakeCompute, told: list[m.Event]
) -> None:
    await agent.start(claim())
    await agent.stop(m.StopCompute(epoch=1))
    await turns()
    assert told == [] and world.story[-1] == "release"
    with pytest.raises(Unavailable):
        await agent.activity()


async def test_the_end_of_a_running_agent(agent: Agent, world: FakeCompute) -> None:
    await agent.start(claim())
    world.story.clear()
    await agent.end()
    assert world.story == ["fast", "gone", "close", "flush", "release without facts"]


async def test_the_end_in_the_middle_of_a_start(agent: Agent, world: FakeCompute) -> None:
    world.postgres.start_may_end.clear()
    world.postgres.starts = [StartFailed("ended early")]
    starting = asyncio.create_task(agent.start(claim()))
    await turns()
    await agent.end()
    with pytest.raises(StartFailed):
        await starting
    assert world.story.count("release without facts") == 1 and not world.postgres.is_running


async def test_the_end_after_a_stop_gives_back_nothing_twice(
    agent: Agent, world: FakeCompute
) -> None:
    await agent.start(claim())
    await agent.stop(m.StopCompute(epoch=1))
    await agent.end()
    assert [word for word in world.story if word.startswith("release")] == ["release"]


async def test_a_volume_that_may_be_made_is_made_first(agent: Agent, world: FakeCompute) -> None:
    world.disk.is_there, world.volume.may_create = False, True
    started = await agent.start(claim(generation=1))
    assert world.story[:3] == ["make", "take", "start"]
    assert started.steps[0].name == "new volume"
