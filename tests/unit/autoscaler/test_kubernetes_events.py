"""Events of many databases at once: all are told, a few at a time."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from torpor_autoscaler.adapters.kubernetes import events as adapter
from torpor_autoscaler.adapters.kubernetes.events import UNDER_WAY_MAX, DatabaseEvents
from torpor_autoscaler.lifecycle.actions import Tell
from torpor_kube.port import Document
from unit.autoscaler.story import resource


class Events:
    """Told when the API server answers."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.under_way = self.under_way_most = 0
        self.may_answer = asyncio.Event()

    async def tell(self, about: Document, reason: str, note: str, *, is_warning: bool) -> None:
        self.under_way += 1
        self.under_way_most = max(self.under_way, self.under_way_most)
        await self.may_answer.wait()
        self.under_way -= 1
        self.told.append(note)


def tell(of_databases: DatabaseEvents, count: int) -> None:
    for number in range(count):
        of_databases.tell(resource(), Tell("NotFenced", f"{number}", is_warning=True))


async def all_told(events: Events, of_databases: DatabaseEvents) -> None:
    await asyncio.sleep(0)
    events.may_answer.set()
    async with asyncio.timeout(5.0):
        await asyncio.gather(*of_databases._under_way)


async def test_a_node_with_many_databases_dies_and_each_is_told() -> None:
    events = Events()
    of_databases = DatabaseEvents(cast("Any", events))
    tell(of_databases, 100)
    await all_told(events, of_databases)
    assert {*map(int, events.told)} == {*range(100)} and events.under_way_most == UNDER_WAY_MAX
    tell(of_databases, 1)
    await all_told(events, of_databases)
    assert len(events.told) == 101
    await of_databases.close()


async def test_as_many_as_there_is_room_for_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "WAITING_MAX", 20)
    events = Events()
    of_databases = DatabaseEvents(cast("Any", events))
    tell(of_databases, 100)
    await all_told(events, of_databases)
    assert len(events.told) == 20
    await of_databases.close()
