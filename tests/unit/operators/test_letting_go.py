"""The pod of an ended compute: let go by the autoscaler's word, or after a while without it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.kube_people import ENDED, RUNNING
from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds
from torpor_kube.documents import name_of
from torpor_operator import pools

COMPUTE = "compute"
"""Its container."""


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(pools, "STILL_NEEDED_S", 0.02)
    monkeypatch.setattr(pools, "UNANSWERED_S", 0.02)
    async with serving() as fake:
        add_pool(fake)
        async with operating(fake, tmp_path) as world:
            yield world


async def used(world: World) -> str:
    """Its database sleeps, and it has ended."""
    await world.until("a compute is made", lambda: len(world.pods()) == 1)
    compute = name_of(world.pods()[0])
    for status in (RUNNING, ENDED):
        told = {
            **status,
            "containerStatuses": [{**status["containerStatuses"][0], "name": COMPUTE}],
        }
        world.fake.objects.patch((kinds.POD, SYSTEM, compute), {"status": told}, "status")
    return compute


def is_there(world: World, compute: str) -> bool:
    return world.get(kinds.POD, compute, SYSTEM) is not None


async def test_it_goes_as_soon_as_the_autoscaler_says_so(world: World) -> None:
    compute = await used(world)
    await world.until("it is asked", lambda: world.others.asked_about)
    assert is_there(world, compute)
    assert world.others.let_go_of is not None
    world.others.let_go_of.add(compute)
    await world.until("it is gone", lambda: not is_there(world, compute))
    assert set(world.others.asked_about) == {(compute,)}


async def test_a_drain_of_its_node_comes_to_its_end(world: World) -> None:
    """Who deletes it waits until the object is gone."""
    compute = await used(world)
    world.fake.objects.delete((kinds.POD, SYSTEM, compute), {}, 0)
    await world.until("it is asked", lambda: world.others.asked_about)
    assert is_there(world, compute)
    assert world.others.let_go_of is not None
    world.others.let_go_of.add(compute)
    await world.until("it is gone", lambda: not is_there(world, compute))


async def test_an_autoscaler_that_does_not_answer_holds_nothing_else_up(world: World) -> None:
    world.others.let_go_of = None
    compute = await used(world)
    await world.until("it was asked twice", lambda: len(world.others.asked_about) > 1)
    assert is_there(world, compute)
    await world.until("another is made", lambda: len(world.pods()) == 2)


async def test_one_that_a_database_names_is_not_asked_about(world: World) -> None:
    world.make("shop")
    await world.until("a compute is made", lambda: len(world.pods()) == 1)
    world.say("shop", phase="Suspended", epoch=1, compute=name_of(world.pods()[0]))
    compute = await used(world)
    await world.until("another is made", lambda: len(world.pods()) == 2)
    await world.settled()
    assert is_there(world, compute) and not world.others.asked_about
