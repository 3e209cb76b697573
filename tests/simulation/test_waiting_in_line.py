"""A fresh autoscaler asks for the login facts of every database, of a server that is slow."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from simulation import virtual_time
from simulation.kube_port import FailingKube
from simulation.kube_town import KubeTown
from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_kube.kinds import SECRET, SERVERLESS_DATABASE, Kind
from torpor_kube.port import Document

DATABASES = 200

SLOW_S = 2.0
"""For an answer about a Secret, or about a database that sleeps."""

WAKE_S_MAX = 5 * SLOW_S


def test_whoever_wakes_a_database_does_not_stand_in_that_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    get, apply = FailingKube.get, FailingKube.apply

    async def slow_get(self: FailingKube, kind: Kind, name: str, namespace: str = "") -> Document:
        await asyncio.sleep(SLOW_S if kind is SECRET else 0.0)
        return await get(self, kind, name, namespace)

    async def slow_apply(
        self: FailingKube, kind: Kind, document: Document, *, manager: str, subresource: str = ""
    ) -> Document:
        is_at_rest = (document.get("status") or {}).get("phase") == Phase.SUSPENDED
        await asyncio.sleep(SLOW_S if kind is SERVERLESS_DATABASE and is_at_rest else 0.0)
        return await apply(self, kind, document, manager=manager, subresource=subresource)

    monkeypatch.setattr(FailingKube, "get", slow_get)
    monkeypatch.setattr(FailingKube, "apply", slow_apply)

    async def story() -> None:
        town = KubeTown(Random(0))
        names = [f"db{number}" for number in range(DATABASES)]
        for name in names:
            town.cluster.apply({"metadata": {"name": name}, "spec": {"idleTimeout": "10m"}})
        town.begin()
        fleet = town.life.autoscaler.fleet
        # The last in the line for its facts, and when those are there for its word of rest.
        for name, others_known in ((names[-1], 0), (names[-2], DATABASES - 1)):
            while DATABASES - len(fleet.unknown()) < others_known:
                await asyncio.sleep(0.1)
            await asyncio.sleep(1.0)
            asked_at = town.clock.now()
            awake = await town.life.autoscaler.desk.wake(m.Wake(name=name, cause="a test"))
            assert awake.endpoint.facts.roles and awake.endpoint.address is not None
            assert town.clock.now() - asked_at < WAKE_S_MAX
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)
