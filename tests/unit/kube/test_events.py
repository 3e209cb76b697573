"""Events: what a person reads once, however often it is so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.fake_kube.server import FakeKube
from support.kube_cluster import client
from torpor_kube import events as events_module
from torpor_kube.events import LOST_QUIET_S, NOTE_BYTES_MAX, QUIET_S, Events
from torpor_kube.kinds import EVENT, SERVERLESS_DATABASE
from torpor_kube.login import at

SHOP = {
    "apiVersion": SERVERLESS_DATABASE.api_version,
    "kind": "ServerlessDatabase",
    "metadata": {"name": "shop", "namespace": "default", "uid": "u"},
}


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def wall_s(self) -> float:
        return self.at


class World:
    def __init__(self, fake: FakeKube, kube: Any) -> None:
        self.fake = fake
        self.clock = Clock()
        self.events = Events(kube, self.clock, controller="c", instance="i", action="Serve")

    async def tell(self, reason: str = "NotFenced", note: str = "nobody says so") -> None:
        await self.events.tell(SHOP, reason, note, is_warning=True)

    def told(self) -> list[dict[str, Any]]:
        return list(self.fake.objects.all(EVENT, "default"))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with FakeKube().serving() as fake, client(at(fake.url)) as kube:
        yield World(fake, kube)


async def test_it_is_of_its_object_and_says_who_tells_it(world: World) -> None:
    await world.tell()
    (told,) = world.told()
    assert told["regarding"] == {
        "apiVersion": "torpor.dev/v1alpha1",
        "kind": "ServerlessDatabase",
        "name": "shop",
        "namespace": "default",
        "uid": "u",
    }
    assert (told["type"], told["reason"], told["note"]) == (
        "Warning",
        "NotFenced",
        "nobody says so",
    )
    assert (told["reportingController"], told["reportingInstance"], told["action"]) == (
        "c",
        "i",
        "Serve",
    )
    assert told["eventTime"] == "1970-01-01T00:16:40.000000Z"


async def test_the_same_is_not_told_twice_in_a_while(world: World) -> None:
    for _ in range(3):
        await world.tell()
    await world.tell(note="something else")
    assert len(world.told()) == 2
    world.clock.at += QUIET_S
    await world.tell()
    assert len(world.told()) == 3


async def test_what_is_too_long_for_the_api_is_cut(world: World) -> None:
    """It counts bytes, and refuses an event whose note has too many."""
    await world.tell(note="x" + "é" * 5000)
    assert world.told()[0]["note"] == "x" + "é" * (NOTE_BYTES_MAX // 2 - 1)


async def test_what_can_not_be_told_is_lost_and_hurts_nobody(world: World) -> None:
    with world.fake.faults.away():
        await world.tell()
    await world.tell(note="something else")
    assert "something else" in [one["note"] for one in world.told()]


async def test_what_was_lost_is_told_when_it_is_said_again(world: World) -> None:
    """Not at once: it may be said many times a second, to a server that does not take it."""
    world.fake.faults.refuses = lambda method, path: True
    await world.tell()
    world.fake.faults.refuses = lambda method, path: False
    await world.tell()
    assert not world.told()
    world.clock.at += LOST_QUIET_S
    for _ in range(2):
        await world.tell()
    assert len(world.told()) == 1


async def test_what_may_be_told_again_is_not_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing new would be: what many objects were told long ago filled the memory."""
    monkeypatch.setattr(events_module, "REMEMBERED_MAX", 3)
    for note in ("a", "b"):
        await world.tell(note=note)
    world.clock.at += QUIET_S
    for note in ("c", "a", "d", "c"):
        await world.tell(note=note)
    assert sorted(one["note"] for one in world.told()) == ["a", "a", "b", "c", "d"]


async def test_not_everything_is_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "REMEMBERED_MAX", 2)
    for note in ("a", "b", "c", "a"):
        world.clock.at += 1.0
        await world.tell(note=note)
    assert len(world.told()) == 4
