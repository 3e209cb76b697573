"""A volume of a database's own: its claim, the compute that is made with it, and its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds, names
from torpor_kube.port import Document
from torpor_operator.core.naming import Key
from torpor_operator.core.pods import PodSettings, compute_pod, template_hash
from torpor_operator.core.pool import BURST_MAX, PAUSE_S_MIN, USED_S_MAX
from torpor_operator.core.seen_pods import see_pod
from unit.operators.test_pool import NOW, SHOP, deleted, let_go, plan, pod, pool

CLAIM = "torpor-data-default.shop"

DEDICATED = {"storage": {"mode": "dedicated", "size": "3Gi"}}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving() as fake:
        add_pool(fake, storage={"dedicatedStorageClass": "fast"})
        async with operating(fake, tmp_path) as world:
            yield world


def status(world: World) -> dict[str, Any]:
    return world.database("shop").get("status") or {}


def claim(world: World) -> Document | None:
    return world.get(kinds.VOLUME_CLAIM, CLAIM, SYSTEM)


def own_pods(world: World) -> list[Document]:
    found = world.pods()
    return [one for one in found if names.DEDICATED_LABEL in one["metadata"]["labels"]]


def reason(world: World) -> str:
    conditions = status(world).get("conditions") or []
    return next((one["reason"] for one in conditions if one["type"] == "StorageReady"), "")


async def provided(world: World, **spec: Any) -> None:
    world.make("shop", **{**DEDICATED, **spec})
    await world.until("it is provided", lambda: "binding" in status(world))


async def asleep(world: World, **spec: Any) -> None:
    """It has been awake once."""
    await provided(world, **spec)
    world.say("shop", phase="Suspended", epoch=1, compute=None, observedGeneration=1)
    await world.until("its data counts as made", lambda: status(world)["storage"]["isMade"])


# --- the claim -----------------------------------------------------------------------------------


async def test_it_has_a_claim_of_its_size_before_it_is_served(world: World) -> None:
    await provided(world)
    made = claim(world)
    assert made is not None and made["spec"] == {
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": "3Gi"}},
        "storageClassName": "fast",
    }
    assert "ownerReferences" not in made["metadata"]
    storage = status(world)["storage"]
    assert (storage["claim"], storage["directory"]) == (CLAIM, "/volumes/default.shop")
    assert not own_pods(world)


async def test_a_claim_that_is_gone_is_said_and_never_made_anew(world: World) -> None:
    await asleep(world)
    world.delete(kinds.VOLUME_CLAIM, CLAIM, SYSTEM)
    await world.until("it is told", lambda: reason(world) == "VolumeLost")
    assert claim(world) is None


# --- its compute ---------------------------------------------------------------------------------


async def test_a_compute_is_made_for_who_awaits_one_with_that_volume(world: World) -> None:
    await asleep(world)
    world.say("shop", awaitsCompute=True)
    await world.until("it is made", lambda: own_pods(world))
    (made,) = own_pods(world)
    labels = made["metadata"]["labels"]
    assert labels[names.DATABASE_LABEL] == "shop" and labels[names.POOL_LABEL] == "default"
    volumes = {one["name"]: one for one in made["spec"]["volumes"]}
    assert volumes["volumes"]["persistentVolumeClaim"] == {"claimName": CLAIM}
    assert names.FENCE_FINALIZER in made["metadata"]["finalizers"]
    await world.settled()
    assert len(own_pods(world)) == 1


def own(name: str, **changes: Any) -> Any:
    return replace(pod(name, database=SHOP, is_dedicated=True), **changes)


def test_one_is_made_for_each_that_waits_and_only_where_none_can_be_claimed() -> None:
    assert plan(awaiting=[SHOP]).start_own == (SHOP,)
    assert plan(own("a"), awaiting=[SHOP]).start_own == ()
    assert plan(own("a", is_ready=False), awaiting=[SHOP]).start_own == ()
    assert plan(pod("a", database=SHOP), awaiting=[SHOP]).start_own == (SHOP,)
    assert plan(own("a", has_ended=True), awaiting=[SHOP]).start_own == (SHOP,)
    leaving = pool(deletionTimestamp="2027-01-01T00:00:00Z")
    assert plan(document=leaving, awaiting=[SHOP]).start_own == ()


def test_its_successor_is_made_while_the_last_one_still_holds_the_name() -> None:
    """The last one has released the data and ends: the volume is mounted when it has."""
    assert plan(own("a"), awaiting=[SHOP], named=("a",)).start_own == (SHOP,)
    assert plan(own("a"), own("b"), awaiting=[SHOP], named=("a",)).start_own == ()


def test_they_are_no_warm_computes() -> None:
    found = plan(own("a"), wanted=1)
    assert (found.warm, found.start) == (0, 1)


def test_who_waits_no_longer_leaves_none_behind() -> None:
    assert deleted(plan(own("a"))) == []
    assert deleted(plan(own("a"), unnamed_s={"a": USED_S_MAX})) == ["a"]


def test_when_its_database_is_deleted_nothing_of_it_holds_the_volume_up() -> None:
    ended, alive = own("a", has_ended=True, ended_at=NOW - 1.0), own("b")
    assert let_go(plan(ended)) == deleted(plan(ended, alive)) == []
    found = plan(ended, alive, ownerless=["a", "b"])
    assert let_go(found) == ["a"] and sorted(deleted(found)) == ["a", "b"]
    assert deleted(plan(alive, ownerless=["b"], named=("b",))) == []


def test_one_that_fails_is_no_storm() -> None:
    failed = own("a", has_ended=True, ended_at=NOW - 1.0, failure="exit code 1")
    found = plan(failed, awaiting=[SHOP], wanted=1)
    assert found.start_own == () and found.start == 1
    assert found.again_in_s is not None and found.again_in_s <= PAUSE_S_MIN
    assert plan(failed, awaiting=[SHOP], now=NOW + PAUSE_S_MIN).start_own == (SHOP,)
    others = [Key("default", f"db{number:03}") for number in range(BURST_MAX + 1)]
    assert len(plan(failed, awaiting=others).start_own) == BURST_MAX


def test_its_pod_is_like_those_that_wait_but_for_the_volume() -> None:
    settings = PodSettings(image="torpor/compute:test", namespace=SYSTEM)
    warm, made = (compute_pod(pool(), settings, "x", owner) for owner in (None, SHOP))
    assert made["metadata"]["annotations"] == warm["metadata"]["annotations"]
    assert template_hash(pool(), settings) in made["metadata"]["annotations"].values()
    assert see_pod(made).is_dedicated and not see_pod(warm).is_dedicated
    (argv, own_argv) = (one["spec"]["containers"][0]["args"] for one in (warm, made))
    assert own_argv[: len(argv)] == argv


def ended(world: World, made: Document) -> None:
    """It has served, and its kubelet says that it is over."""
    over = {
        "containerID": "containerd://1",
        "exitCode": 0,
        "finishedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    status = {"containerStatuses": [{"name": "compute", "state": {"terminated": over}}]}
    key = (kinds.POD, SYSTEM, made["metadata"]["name"])
    world.fake.objects.patch(key, {"status": status}, "status")


# --- its end -------------------------------------------------------------------------------------


async def test_deleted_with_its_data_its_claim_goes_and_no_agent_erases(world: World) -> None:
    await asleep(world, deletionPolicy="Delete")
    world.say("shop", awaitsCompute=True)
    await world.until("one is made", lambda: own_pods(world))
    ended(world, own_pods(world)[0])
    world.say("shop", awaitsCompute=False)
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: world.get(kinds.SERVERLESS_DATABASE, "shop") is None)
    assert claim(world) is None and not world.others.erased
    await world.until("no pod holds it", lambda: not own_pods(world))


async def test_one_that_was_never_awake_leaves_no_claim(world: World) -> None:
    await provided(world)
    world.say("shop", phase="Suspended", epoch=0)
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: world.get(kinds.SERVERLESS_DATABASE, "shop") is None)
    assert claim(world) is None


async def test_retained_it_is_taken_over_by_the_next_of_its_name_and_mode(world: World) -> None:
    await asleep(world)
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: world.get(kinds.SERVERLESS_DATABASE, "shop") is None)
    assert claim(world) is not None
    world.make("shop")
    await world.until("it is refused", lambda: reason(world) == "KeptElsewhere")
    assert "storage" not in status(world) and status(world).get("epoch", 0) == 0
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: world.get(kinds.SERVERLESS_DATABASE, "shop") is None)
    await provided(world)
    await world.until("it has its data", lambda: "storage" in status(world))
    found = status(world)
    assert (found["epoch"], found["storage"]["claim"]) == (1, CLAIM)
    assert found["storage"]["isMade"] is True and reason(world) == "Assigned"
