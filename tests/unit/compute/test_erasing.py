"""An agent that erases: one volume after another, and it never serves anybody then."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from support.fakes.compute import FakeCompute
from support.fakes.files import BEFORE
from torpor_api import messages as m
from torpor_api.failures import Conflict, NotFenced, NotFound
from torpor_compute import erasing as limits
from torpor_compute.core.ownership import Hold
from torpor_compute.executor import Agent
from unit.compute.test_executor import claim, turns

ERASE = m.EraseStorage(database="shop", epoch=1, storage=m.StoragePlace(directory="/v"))


def erasing(database: str, epoch: int = 1, uid: str = "") -> m.EraseStorage:
    return ERASE.model_copy(update={"database": database, "epoch": epoch, "uid": uid})


async def test_who_has_erased_never_serves_anybody(
    agent: Agent, world: FakeCompute, told: list[m.Event]
) -> None:
    await agent.erase(ERASE)
    assert told == [m.AgentLeaving(compute="c1", leaves_in_s=0.0)], "nobody else claims it"
    assert world.story == ["erase"] and not world.disk.is_there
    assert agent.state().state == "erased"
    for other in (claim(), claim(epoch=2)):
        with pytest.raises(Conflict):
            await agent.start(other)
    with pytest.raises(NotFound):
        await agent.stop(m.StopCompute(epoch=1))


async def test_who_has_erased_one_erases_others(agent: Agent, world: FakeCompute) -> None:
    for database in ("shop", "blog", "shop"):
        await agent.erase(erasing(database))
        assert agent.state().database == database
    assert world.story == ["erase"] * 3
    with pytest.raises(Conflict):
        await agent.start(claim())


async def test_one_erasure_at_a_time_and_who_asks_for_it_again_waits_for_it(
    agent: Agent, world: FakeCompute
) -> None:
    world.volume.holds_erase = asyncio.Event()
    asked = [asyncio.create_task(agent.erase(erasing("shop", uid="u1"))) for _ in range(2)]
    await turns()
    for other in (
        erasing("blog", uid="u2"),
        erasing("shop", epoch=2, uid="u1"),
        erasing("shop", uid="u3"),
    ):
        with pytest.raises(Conflict, match="erases another database just now"):
            await agent.erase(other)
    asked.pop().cancel()
    world.volume.holds_erase.set()
    await asyncio.gather(*asked)
    assert world.story == ["erase"] and agent.state().state == "erased"


async def test_what_was_done_for_a_resource_is_not_done_again_to_the_next_of_its_name(
    agent: Agent, world: FakeCompute
) -> None:
    """By an operator that was stopped in its tracks, and asks only now."""
    await agent.erase(erasing("shop", epoch=8, uid="u1"))
    await agent.erase(erasing("blog", epoch=3, uid="u2"))
    world.disk.is_there, world.disk.records = True, []
    for epoch in (7, 8):
        await agent.erase(erasing("shop", epoch=epoch, uid="u1"))
    assert world.disk.is_there and world.story == ["erase"] * 2
    await agent.erase(erasing("shop", epoch=8, uid="u3"))
    await agent.erase(erasing("shop", epoch=9, uid="u1"))  # It was awake once more since.
    assert world.story == ["erase"] * 4


async def test_another_compute_is_meant(agent: Agent, world: FakeCompute) -> None:
    with pytest.raises(Conflict, match="this is compute c1, not c2"):
        await agent.erase(ERASE.model_copy(update={"compute": "c2"}))
    await agent.erase(ERASE.model_copy(update={"compute": "c1"}))
    assert world.story == ["erase"]


async def test_how_many_it_remembers_is_bounded(
    agent: Agent, world: FakeCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ERASED_MAX", 2)
    for uid in ("u1", "u2"):
        await agent.erase(erasing("shop", uid=uid))
    with pytest.raises(Conflict, match="data of 2 databases"):
        await agent.erase(erasing("shop", uid="u3"))


async def test_who_serves_a_database_erases_nothing(agent: Agent, world: FakeCompute) -> None:
    await agent.start(claim())
    with pytest.raises(Conflict, match="is running: claim another one"):
        await agent.erase(ERASE)
    assert world.disk.is_there and "erase" not in world.story


async def test_an_erasure_that_was_refused_may_be_asked_for_again(
    agent: Agent, world: FakeCompute
) -> None:
    world.disk.records = [replace(BEFORE, state=Hold.HELD)]
    with pytest.raises(NotFenced):
        await agent.erase(ERASE)
    assert agent.state().state == "refused" and world.disk.is_there
    later = ERASE.model_copy(update={"epoch": 2, "fenced": ("before",)})
    await agent.erase(later)
    assert not world.disk.is_there
