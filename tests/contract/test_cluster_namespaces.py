"""An autoscaler that serves the databases of some namespaces: of others it asks nothing, since it
has no right to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from support.fake_kube.server import FakeKube
from support.kube_cluster import Heard, client
from support.kube_people import People
from support.kube_world import SYSTEM, World
from torpor_api import messages as m
from torpor_api.failures import NotFound
from torpor_autoscaler.adapters.kubernetes import databases
from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
from torpor_kube import watching
from torpor_kube.kinds import NAMESPACE, SERVERLESS_DATABASE
from torpor_kube.login import at

OURS = ("shop", "default")


class Told(Heard):
    """And what was said to be gone."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[str] = []

    def resource_deleted(self, name: str) -> None:
        super().resource_deleted(name)
        self.gone.append(name)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """With a database in each of our namespaces, and in one that is somebody else's."""
    monkeypatch.setattr(watching, "RETRY_S_MIN", 0.01)
    async with contextlib.AsyncExitStack() as ending:
        fake = await ending.enter_async_context(FakeKube().serving())
        people_s = await ending.enter_async_context(client(at(fake.url)))
        people = People(people_s, SYSTEM)
        for namespace in (SYSTEM, "shop", "other"):
            await people_s.create(NAMESPACE, {"metadata": {"name": namespace}})
        for namespace in (*OURS, "other"):
            await people.apply({"metadata": {"name": "one", "namespace": namespace}})
        fake.requests.clear()
        kube = await ending.enter_async_context(client(at(fake.url)))
        cluster = KubernetesCluster(kube, system_namespace=SYSTEM, namespaces=OURS)
        ending.push_async_callback(cluster.close)
        heard = Told()
        await cluster.start(heard)
        yield World(fake, people_s, people, cluster, heard)


async def test_the_fleet_hears_of_all_of_them_at_once(world: World) -> None:
    assert world.heard.lists == ["pools", "agents", "resources"]
    assert sorted(world.heard.resources) == ["one", "one.shop"]


async def test_nothing_is_asked_of_other_namespaces(world: World) -> None:
    with pytest.raises(NotFound, match="one"):
        await world.ask(m.GetResource(name="one.other"))
    assert (await world.ask(m.GetResource(name="one.shop"))).resource.name == "one.shop"
    places = tuple(f"/namespaces/{namespace}/" for namespace in (*OURS, SYSTEM))
    assert [asked for asked in world.fake.requests if not any(p in asked for p in places)] == []


async def test_what_comes_and_goes_in_each_is_heard(world: World) -> None:
    await world.people.apply({"metadata": {"name": "two", "namespace": "shop"}})
    await world.people.apply({"metadata": {"name": "two", "namespace": "other"}})
    await world.kube.delete(SERVERLESS_DATABASE, "one", "default")
    await world.until(lambda: sorted(world.heard.resources) == ["one.shop", "two.shop"])


async def test_what_was_missed_in_one_is_made_up_for_and_no_other_is_lost(world: World) -> None:
    faults, objects, told = world.fake.faults, world.fake.objects, world.heard
    assert isinstance(told, Told)
    with faults.away():
        world.fake.cut_watches()
        objects.delete((SERVERLESS_DATABASE, "shop", "one"), {}, None)
        objects.compact()
    await world.until(lambda: sorted(world.heard.resources) == ["one"])
    assert world.heard.lists.count("resources") == 1, "of one namespace, and not all anew"
    assert told.gone == ["one.shop"]


@pytest.mark.parametrize("patience_s", [0.05, 0.0])
async def test_a_namespace_that_may_not_be_seen_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, patience_s: float
) -> None:
    """Its Role went with it; and it is not as if its databases had been deleted. Nor does it where
    the refusal itself comes late."""
    monkeypatch.setattr(databases, "REFUSED_S_MAX", patience_s)
    world.fake.faults.refuses = lambda method, path: "/namespaces/shop/" in path
    async with contextlib.AsyncExitStack() as ending:
        kube = await ending.enter_async_context(client(at(world.fake.url)))
        cluster = KubernetesCluster(kube, system_namespace=SYSTEM, namespaces=OURS)
        ending.push_async_callback(cluster.close)
        heard = Told()
        await cluster.start(heard)
        assert (sorted(heard.resources), heard.unheard) == (["one"], {"shop"})
        world.fake.faults.refuses = lambda method, path: False
        await world.until(lambda: sorted(heard.resources) == ["one", "one.shop"])
        assert (heard.lists.count("resources"), heard.unheard) == (1, set())
