"""What the cluster's port promises on Kubernetes, where its answers are others than locally."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from support.fake_kube.server import FakeKube
from support.kube_cluster import Heard, client
from support.kube_people import ENDED, RUNNING, People
from torpor_api import messages as m
from torpor_api.facts import LoginFacts
from torpor_api.failures import NotFenced, NotFound, StaleEpoch, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_autoscaler.adapters.kubernetes import computes as computes_module
from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
from torpor_autoscaler.adapters.kubernetes.login_facts import FactsStore
from torpor_autoscaler.adapters.kubernetes.secrets import facts_of
from torpor_kube import watching
from torpor_kube.fencing import OUT_OF_SERVICE
from torpor_kube.kinds import NAMESPACE, NODE, POD, SECRET, SERVERLESS_DATABASE, Kind
from torpor_kube.login import at
from torpor_kube.port import Document, Kube
from torpor_kube.server import ApiServer

SYSTEM = "torpor-system"
ANSWER_SECONDS_MAX = 10.0


@dataclass(slots=True)
class World:
    fake: FakeKube
    kube: ApiServer
    people: People
    cluster: KubernetesCluster
    heard: Heard

    async def ask(self, request: m.Request[Any]) -> Any:
        return await self.cluster.ask(request, timeout_s=ANSWER_SECONDS_MAX)

    async def apply(self, name: str = "shop", **spec: Any) -> ServerlessDatabase:
        return await self.people.apply({"metadata": {"name": name}, "spec": spec})

    async def write(self, stored: ServerlessDatabase, **status: Any) -> ServerlessDatabase:
        request = m.WriteStatus(
            name=stored.name,
            resource_version=stored.metadata.resource_version,
            status=DatabaseStatus(**status),
        )
        answer: m.Stored = await self.ask(request)
        return answer.resource

    async def document(self, name: str = "shop") -> dict[str, Any]:
        return await self.kube.get(SERVERLESS_DATABASE, name, "default")

    async def annotate(self, **annotations: str) -> None:
        patch = {"metadata": {"annotations": annotations}}
        await self.kube.patch(SERVERLESS_DATABASE, "shop", "default", patch)

    async def running(self, compute: str = "compute-default-a", *, node: str = "n1") -> str:
        """A claimed compute whose agent the fleet knows."""
        await self.people.make_pod(compute, node=node)
        await self.people.say_of_pod(compute, **RUNNING)
        await self.until(lambda: compute in self.heard.agents)
        return compute

    async def gone(self, compute: str) -> m.Done:
        answer: m.Done = await self.ask(m.ConfirmGone(compute=compute, database="shop"))
        return answer

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while not holds():
                await asyncio.sleep(0.01)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(watching, "RETRY_S_MIN", 0.01)
    monkeypatch.setattr(computes_module, "FENCE_WAIT_S", 0.5)
    async with contextlib.AsyncExitStack() as ending:
        fake = await ending.enter_async_context(FakeKube().serving())
        kube = await ending.enter_async_context(client(at(fake.url)))
        await kube.create(NAMESPACE, {"metadata": {"name": SYSTEM}})
        cluster = KubernetesCluster(kube, system_namespace=SYSTEM, pool="default")
        ending.push_async_callback(cluster.close)
        heard = Heard()
        await cluster.start(heard)
        yield World(fake, kube, People(kube, SYSTEM), cluster, heard)


# --- resources --------------------------------------------------------------------------------


async def test_agents_are_told_before_the_databases_that_look_for_them(world: World) -> None:
    assert world.heard.lists == ["agents", "resources"]


async def test_where_the_data_is_stands_in_the_status(world: World) -> None:
    await world.apply()
    place: m.StoragePlace = await world.ask(m.LocateStorage(name="shop"))
    assert place == m.StoragePlace(
        directory="/volumes/default.shop", user_id=100_001, may_create=True
    )


async def test_what_was_once_made_is_never_made_anew(world: World) -> None:
    stored = await world.apply()
    await world.write(stored, epoch=1, observed_generation=1)
    assert not (await world.ask(m.LocateStorage(name="shop"))).may_create
    await world.apply("kept")
    await world.people.provide(await world.document("kept"), isMade=True)
    await world.until(lambda: "kept" in world.heard.resources)
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while (await world.ask(m.LocateStorage(name="kept"))).may_create:
            await asyncio.sleep(0.01)


async def test_a_database_without_storage_is_told_to_nobody(world: World) -> None:
    bare = {"metadata": {"name": "bare", "namespace": "default"}, "spec": {}}
    await world.kube.create(SERVERLESS_DATABASE, bare)
    await world.apply("shop")
    await world.until(lambda: "shop" in world.heard.resources)
    assert set(world.heard.resources) == {"shop"}
    with pytest.raises(Unavailable, match="bare: the operator has not made its storage"):
        await world.ask(m.LocateStorage(name="bare"))


async def test_a_claim_labels_the_pod(world: World) -> None:
    stored = await world.apply()
    compute = await world.running()
    await world.write(stored, phase=Phase.RESUMING, epoch=1, compute=compute)
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while True:
            labels = (await world.kube.get(POD, compute, SYSTEM))["metadata"]["labels"]
            if labels.get("torpor.dev/database") == "shop":
                break
            await asyncio.sleep(0.01)
    assert labels["torpor.dev/database-namespace"] == "default"


async def test_nothing_is_claimed_by_what_may_be_old_news(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await world.apply()
    monkeypatch.setattr(watching, "IN_TOUCH_S_MAX", 0.0)
    with pytest.raises(Unavailable, match="has long told nothing of computes"):
        await world.write(stored, phase=Phase.RESUMING, epoch=1, compute="c")
    await world.write(stored, phase=Phase.SUSPENDED, epoch=1)


async def test_neither_writer_of_a_status_touches_the_others_part(world: World) -> None:
    stored = await world.apply()
    await world.write(stored, phase=Phase.RESUMING, epoch=1, compute="c")
    await world.people.provide(await world.document())
    status = (await world.document())["status"]
    assert (status["epoch"], status["compute"]) == (1, "c")
    assert status["storage"]["directory"] == "/volumes/default.shop"


async def test_a_write_whose_answer_was_lost_is_found_done(world: World) -> None:
    stored = await world.apply()
    with world.fake.faults.lose_replies(), pytest.raises(Unavailable):
        await world.write(stored, phase=Phase.RESUMING, epoch=1, compute="c")
    now: m.Stored = await world.ask(m.GetResource(name="shop"))
    assert now.resource.status.compute == "c"


async def test_one_that_was_deleted_is_gone_once_it_sleeps_and_not_claimed_again(
    world: World,
) -> None:
    stored = await world.apply()
    finalizers = {"metadata": {"finalizers": ["torpor.dev/storage"]}}
    await world.kube.patch(SERVERLESS_DATABASE, "shop", "default", finalizers)
    now: m.Stored = await world.ask(m.GetResource(name="shop"))
    stored = await world.write(now.resource, phase=Phase.ACTIVE, epoch=1, compute="c")
    await world.kube.delete(SERVERLESS_DATABASE, "shop", "default")
    await world.until(lambda: world.heard.resources["shop"].metadata.generation == 1)
    now = await world.ask(m.GetResource(name="shop"))
    stored = await world.write(now.resource, phase=Phase.SUSPENDED, epoch=1)
    await world.until(lambda: "shop" not in world.heard.resources)
    with pytest.raises(NotFound, match="was deleted"):
        await world.write(stored, phase=Phase.RESUMING, epoch=2, compute="d")


async def test_a_resource_that_can_not_be_read_says_so_and_stops_nobody(world: World) -> None:
    odd = {"metadata": {"name": "odd", "namespace": "default"}, "spec": {"minCU": 9, "maxCU": 1}}
    await world.kube.create(SERVERLESS_DATABASE, odd)
    await world.apply()
    await world.until(lambda: "shop" in world.heard.resources)
    assert "minCU" in (await condition(world, "odd", "Accepted"))["message"]
    assert "odd" not in world.heard.resources
    patch = {"spec": {"minCU": None}}
    mended = await world.kube.patch(SERVERLESS_DATABASE, "odd", "default", patch)
    await world.people.provide(mended)
    await world.until(lambda: "odd" in world.heard.resources)
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while (await world.document("odd"))["status"].get("conditions"):
            await asyncio.sleep(0.01)


async def condition(world: World, name: str, type: str) -> dict[str, Any]:
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while True:
            status = (await world.document(name)).get("status") or {}
            found = [one for one in status.get("conditions") or [] if one["type"] == type]
            if found:
                return dict(found[0])
            await asyncio.sleep(0.01)


# --- secrets ----------------------------------------------------------------------------------


async def test_verifiers_are_those_that_the_operator_made(world: World) -> None:
    await world.apply(roles=[{"name": "app"}, {"name": "ö/x"}])
    verifiers = (await world.ask(m.FetchVerifiers(name="shop"))).verifiers
    assert verifiers == {role: f"SCRAM-SHA-256${role}" for role in ("app", "ö/x")}


async def test_verifiers_that_are_not_made_yet_are_waited_for(world: World) -> None:
    await world.apply()
    await world.kube.delete(SECRET, "verifiers-default.shop", SYSTEM)
    with pytest.raises(Unavailable, match="no verifier of app"):
        await world.ask(m.FetchVerifiers(name="shop"))


async def test_facts_of_an_older_epoch_come_too_late(world: World) -> None:
    await world.apply()
    newer, older = LoginFacts(databases=("new",)), LoginFacts(databases=("old",))
    await world.ask(m.StoreLoginFacts(name="shop", epoch=2, facts=newer))
    with pytest.raises(StaleEpoch):
        await world.ask(m.StoreLoginFacts(name="shop", epoch=1, facts=older))
    stored: m.Stored = await world.ask(m.GetResource(name="shop"))
    await world.write(stored.resource, epoch=2, observed_generation=1)
    await world.until(lambda: world.heard.resources["shop"].status.epoch == 2)
    assert (await world.ask(m.FetchLoginFacts(name="shop"))).facts == newer


async def test_of_two_autoscalers_the_later_epochs_facts_stay(world: World) -> None:
    """The one that was slower had read before the other wrote."""
    await world.apply()
    late = Late(world.kube)
    quick, slow = FactsStore(world.kube, SYSTEM), FactsStore(cast(Kube, late), SYSTEM)
    newer, older = LoginFacts(databases=("new",)), LoginFacts(databases=("old",))
    await quick.store("shop", 1, older)
    storing = asyncio.create_task(slow.store("shop", 2, older))
    await late.has_read.wait()
    await quick.store("shop", 3, newer)
    late.may_write.set()
    with pytest.raises(StaleEpoch):
        await storing
    stored = await world.kube.get(SECRET, "login-facts-default.shop", SYSTEM)
    assert facts_of(stored) == (3, newer)


class Late:
    """It reads, and writes when the test lets it."""

    def __init__(self, kube: ApiServer) -> None:
        self._kube = kube
        self.has_read, self.may_write = asyncio.Event(), asyncio.Event()

    async def get(self, kind: Kind, name: str, namespace: str) -> Document:
        found = await self._kube.get(kind, name, namespace)
        self.has_read.set()
        return found

    async def patch(self, kind: Kind, name: str, namespace: str, patch: Document) -> Document:
        await self.may_write.wait()
        return await self._kube.patch(kind, name, namespace, patch)


async def test_how_many_shall_wait_stands_in_the_pools_status(world: World) -> None:
    with pytest.raises(NotFound):
        await world.ask(m.SetWarmPool(size=3))
    await world.people.make_pool()
    await world.ask(m.SetWarmPool(size=3))
    assert await world.people.wanted() == 3


# --- computes ---------------------------------------------------------------------------------


async def test_a_compute_is_told_once_it_is_ready(world: World) -> None:
    await world.people.make_pod("compute-default-a", node="n1")
    await world.people.say_of_pod("compute-default-a", podIP="10.1.2.3", phase="Running")
    await world.running("compute-default-b")
    assert set(world.heard.agents) == {"compute-default-b"}
    await world.people.say_of_pod("compute-default-a", **RUNNING)
    await world.until(lambda: "compute-default-a" in world.heard.agents)
    agent = world.heard.agents["compute-default-a"]
    assert (agent.address, agent.postgres_version) == ("10.1.2.3:7433", "17")
    assert not agent.is_gone


async def test_one_that_is_no_longer_ready_is_not_gone(world: World) -> None:
    compute = await world.running()
    unready = {"conditions": [{"type": "Ready", "status": "Unknown"}], "phase": "Failed"}
    await world.people.say_of_pod(compute, **unready)
    await world.running("compute-default-b")
    assert not world.heard.agents[compute].is_gone


async def test_the_kubelets_word_is_told(world: World) -> None:
    await world.apply()
    compute = await world.running()
    await world.people.say_of_pod(compute, **ENDED)
    await world.until(lambda: world.heard.agents[compute].is_gone)
    assert await world.gone(compute) == m.Done()


async def test_a_pod_that_vanished_proves_nothing(world: World) -> None:
    await world.apply()
    compute = await world.running()
    await world.kube.patch(POD, compute, SYSTEM, {"metadata": {"finalizers": None}})
    await world.kube.delete(POD, compute, SYSTEM, grace_s=0)
    await world.until(lambda: compute not in world.heard.agents)
    with pytest.raises(NotFenced, match="vanished"):
        await world.gone(compute)
    await world.annotate(**{"torpor.dev/gone-compute": "another"})
    with pytest.raises(NotFenced):
        await world.gone(compute)
    await world.annotate(**{"torpor.dev/gone-compute": compute})
    assert await world.gone(compute) == m.Done()


async def test_the_fencer_ends_a_compute_and_waits_for_the_kubelets_word(world: World) -> None:
    await world.apply()
    compute = await world.running()
    with pytest.raises(NotFenced, match=r"compute-default-a on node n1 has ended: .* no kubelet"):
        await world.gone(compute)
    assert (await world.kube.get(POD, compute, SYSTEM))["metadata"]["deletionTimestamp"]
    asked = asyncio.create_task(world.gone(compute))
    await world.people.say_of_pod(compute, **ENDED)
    assert await asked == m.Done()
    assert world.heard.agents[compute].is_gone


async def test_a_phase_that_a_controller_wrote_does_not_convince_the_fencer(world: World) -> None:
    await world.apply()
    compute = await world.running()
    await world.people.say_of_pod(compute, phase="Failed", reason="NodeLost")
    with pytest.raises(NotFenced):
        await world.gone(compute)
    assert not world.heard.agents[compute].is_gone


async def test_a_node_that_is_off_by_a_persons_word_fences(world: World) -> None:
    await world.apply()
    compute = await world.running()
    await world.kube.create(NODE, {"metadata": {"name": "n1"}})
    taint = {"spec": {"taints": [{"key": OUT_OF_SERVICE, "effect": "NoExecute"}]}}
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await world.kube.patch(NODE, "n1", "", taint)
    await world.kube.patch(NODE, "n1", "", ready, subresource="status")
    with pytest.raises(NotFenced):
        await world.gone(compute)
    silent = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    await world.kube.patch(NODE, "n1", "", silent, subresource="status")
    assert await world.gone(compute) == m.Done()
    assert world.heard.agents[compute].is_gone


async def test_a_claimed_compute_that_was_never_told_is_told_and_not_ended(world: World) -> None:
    """It was claimed by an autoscaler before, and is not ready at this moment."""
    await world.apply()
    await world.people.make_pod("compute-default-a", node="n1")
    unready = {**RUNNING, "conditions": [{"type": "Ready", "status": "False"}]}
    await world.people.say_of_pod("compute-default-a", **unready)
    with pytest.raises(NotFenced, match="only now become known"):
        await world.gone("compute-default-a")
    assert "compute-default-a" in world.heard.agents
    pod = await world.kube.get(POD, "compute-default-a", SYSTEM)
    assert "deletionTimestamp" not in pod["metadata"]


async def test_every_question_ends_in_time(world: World) -> None:
    with pytest.raises(Unavailable, match="in time"):
        with world.fake.faults.away():
            await world.cluster.ask(m.GetResource(name="shop"), timeout_s=0)
