"""What the cluster's port promises on Kubernetes, where its answers are others than locally."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.kube_people import ENDED, RUNNING
from support.kube_world import ANSWER_SECONDS_MAX, SYSTEM, World, opened
from torpor_api import messages as m
from torpor_api.failures import NotFenced, NotFound, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.adapters.kubernetes import computes as computes_module
from torpor_autoscaler.lifecycle.stock import Bounds, PoolRecord
from torpor_kube import watching
from torpor_kube.fencing import OUT_OF_SERVICE
from torpor_kube.kinds import NODE, POD, SERVERLESS_DATABASE, WARM_POOL


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(watching, "RETRY_S_MIN", 0.01)
    monkeypatch.setattr(computes_module, "FENCE_WAIT_S", 0.5)
    async with opened() as there:
        yield there


# --- resources --------------------------------------------------------------------------------


async def test_agents_are_told_before_the_databases_that_look_for_them(world: World) -> None:
    assert world.heard.lists == ["pools", "agents", "resources"]


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
    await until_labelled(world, compute, "shop")


async def test_another_label_stays_until_the_agent_has_said_whose_the_compute_is(
    world: World,
) -> None:
    """Else whoever erases data would lose the label by which its pod is kept."""
    stored = await world.apply()
    compute = await world.running()
    others = {"torpor.dev/database": "blog", "torpor.dev/database-namespace": "default"}
    await world.kube.patch(POD, compute, SYSTEM, {"metadata": {"labels": others}})
    stored = await world.write(stored, phase=Phase.RESUMING, epoch=1, compute=compute)
    another = await world.running("compute-default-b")
    await world.write(stored, phase=Phase.RESUMING, epoch=2, compute=another)
    await until_labelled(world, another, "shop")  # The one before it had its time, too.
    assert await label(world, compute) == "blog"
    now: m.Stored = await world.ask(m.GetResource(name="shop"))
    await world.write(now.resource, phase=Phase.ACTIVE, epoch=3, compute=compute)
    await until_labelled(world, compute, "shop")


async def label(world: World, compute: str) -> str | None:
    labels = (await world.kube.get(POD, compute, SYSTEM))["metadata"]["labels"]
    assert ("torpor.dev/database" in labels) == ("torpor.dev/database-namespace" in labels)
    found: str | None = labels.get("torpor.dev/database")
    return found


async def until_labelled(world: World, compute: str, database: str) -> None:
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while await label(world, compute) != database:
            await asyncio.sleep(0.01)


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


# --- the pool and its computes ------------------------------------------------------------------


async def test_how_many_shall_wait_stands_in_the_pools_status(world: World) -> None:
    with pytest.raises(NotFound):
        await world.ask(m.SetWarmPool(size=3, pool="default"))
    await world.people.make_pool()
    await world.ask(m.SetWarmPool(size=3, pool="default"))
    assert await world.people.wanted() == 3


async def test_of_each_pool_its_bounds_are_told_and_what_was_said_of_it_last(world: World) -> None:
    """To an autoscaler that comes after this one: it begins where this one ended."""
    await world.people.make_pool()
    word = m.SetWarmPool(size=3, pool="default", decision="3 wait", learned="eJwD")
    await world.ask(word)
    told = PoolRecord("default", Bounds(1, 10, 0.999), wanted=3, learned="eJwD")
    await world.until(lambda: world.heard.pools == {"default": told})
    pool = await world.kube.get(WARM_POOL, "default", SYSTEM)
    assert pool["status"]["decision"] == "3 wait"
    larger = {"spec": {"size": {"min": 2, "max": 20, "missesPerThousand": 5}}}
    await world.kube.patch(WARM_POOL, "default", SYSTEM, larger)
    bounds = Bounds(2, 20, 0.995)
    await world.until(lambda: world.heard.pools["default"].bounds == bounds)
    await world.ask(m.SetWarmPool(size=2, pool="default"))
    pool = await world.kube.get(WARM_POOL, "default", SYSTEM)
    assert pool["status"] == {"wanted": 2}
    await world.kube.delete(WARM_POOL, "default", SYSTEM)
    await world.until(lambda: not world.heard.pools)


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


async def test_one_that_is_evicted_is_told_as_leaving(world: World) -> None:
    compute = await world.running()
    assert not world.heard.agents[compute].is_leaving
    await world.kube.delete(POD, compute, SYSTEM, grace_s=150)
    await world.until(lambda: world.heard.agents[compute].is_leaving)
    assert not world.heard.agents[compute].is_gone


async def test_one_that_was_evicted_before_anybody_knew_it_is_told_all_the_same(
    world: World,
) -> None:
    """It may serve a database, which has to move."""
    await world.people.make_pod("compute-default-a", node="n1")
    await world.kube.delete(POD, "compute-default-a", SYSTEM, grace_s=150)
    await world.people.say_of_pod("compute-default-a", **RUNNING)
    await world.until(lambda: "compute-default-a" in world.heard.agents)
    assert world.heard.agents["compute-default-a"].is_leaving


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


async def test_what_its_kubelet_said_stays_true_when_its_pod_is_gone(world: World) -> None:
    """A claim may come to be that was sent before the compute ended."""
    await world.apply()
    compute = await world.running()
    await world.people.say_of_pod(compute, **ENDED)
    await world.until(lambda: world.heard.agents[compute].is_gone)
    await world.kube.patch(POD, compute, SYSTEM, {"metadata": {"finalizers": None}})
    await world.kube.delete(POD, compute, SYSTEM, grace_s=0)
    assert not await world.people.is_there(POD, compute)
    assert await world.gone(compute) == m.Done()


async def test_one_that_ended_before_it_was_ready_is_told_as_gone(world: World) -> None:
    """So that its pod may be let go."""
    await world.people.make_pod("compute-default-a", node="n1")
    await world.people.say_of_pod("compute-default-a", **ENDED)
    await world.until(lambda: "compute-default-a" in world.heard.agents)
    assert world.heard.agents["compute-default-a"].is_gone


async def test_a_persons_word_counts_only_where_no_kubelet_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.apply()
    compute = await world.running()
    await world.annotate(**{"torpor.dev/gone-compute": compute})
    monkeypatch.setattr(computes_module, "FENCE_WAIT_S", 60.0)
    asked = asyncio.create_task(world.gone(compute))
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while "deletionTimestamp" not in (await world.kube.get(POD, compute, SYSTEM))["metadata"]:
            await asyncio.sleep(0.01)
    assert not asked.done() and not world.heard.agents[compute].is_gone
    asked.cancel()
    monkeypatch.setattr(computes_module, "FENCE_WAIT_S", 0.01)
    assert await world.gone(compute) == m.Done()
    assert world.heard.agents[compute].is_gone


async def test_a_person_may_say_so_while_a_kubelet_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.apply()
    compute = await world.running()
    monkeypatch.setattr(computes_module, "FENCE_WAIT_S", 2.0)
    asked = asyncio.create_task(world.gone(compute))
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while "deletionTimestamp" not in (await world.kube.get(POD, compute, SYSTEM))["metadata"]:
            await asyncio.sleep(0.01)
    await world.annotate(**{"torpor.dev/gone-compute": compute})
    assert await asked == m.Done()


async def test_the_fencer_ends_a_compute_and_waits_for_the_kubelets_word(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.apply()
    compute = await world.running()
    with pytest.raises(NotFenced, match=r"compute-default-a on node n1 has ended: .* no kubelet"):
        await world.gone(compute)
    assert (await world.kube.get(POD, compute, SYSTEM))["metadata"]["deletionTimestamp"]
    monkeypatch.setattr(computes_module, "FENCE_WAIT_S", ANSWER_SECONDS_MAX)
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
