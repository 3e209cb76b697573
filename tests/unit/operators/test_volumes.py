"""Volumes that shall be larger, that go, and that come back; and two databases with one user id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds

OWN = "torpor-data-default.shop"

POOLS = "torpor-pool-default"

DEDICATED: dict[str, Any] = {"storage": {"mode": "dedicated", "size": "3Gi"}}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving() as fake:
        add_pool(fake, storage={"size": "10Gi"})
        async with operating(fake, tmp_path) as world:
            yield world


def status(world: World, name: str = "shop") -> dict[str, Any]:
    found: dict[str, Any] = world.database(name).get("status") or {}
    return found


def reason(status: dict[str, Any], type: str) -> str:
    found = [one for one in status.get("conditions") or () if one["type"] == type]
    return found[0]["reason"] if found else ""


def pool_status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (world.get(kinds.WARM_POOL, "default", SYSTEM) or {}).get("status", {})
    return found


def asked_for(world: World, claim: str) -> str:
    found = world.get(kinds.VOLUME_CLAIM, claim, SYSTEM) or {}
    return str(found["spec"]["resources"]["requests"]["storage"])


async def bound(world: World, claim: str) -> None:
    await world.until("it has a claim", lambda: world.get(kinds.VOLUME_CLAIM, claim, SYSTEM))
    key = (kinds.VOLUME_CLAIM, SYSTEM, claim)
    world.fake.objects.patch(key, {"status": {"phase": "Bound"}}, "")


async def with_volume(world: World) -> None:
    """Its own; it has been awake once."""
    world.make("shop", **DEDICATED)
    await bound(world, OWN)
    await world.until("it is provided", lambda: "binding" in status(world))
    world.say("shop", phase="Suspended", epoch=1, compute=None, observedGeneration=1)
    await world.until("its data counts as made", lambda: status(world)["storage"]["isMade"])


def wish(world: World, size: str) -> None:
    key = (kinds.SERVERLESS_DATABASE, "default", "shop")
    world.fake.objects.patch(key, {"spec": {"storage": {"size": size}}}, "")


async def test_a_volume_grows_with_its_database(world: World) -> None:
    await with_volume(world)
    wish(world, "4Gi")
    await world.until("it grows", lambda: asked_for(world, OWN) == "4Gi")
    wish(world, "4096Mi")
    wish(world, "1Gi")  # Somebody got past the rules.
    world.make("marker")
    await world.until("all was heard", lambda: "binding" in status(world, "marker"))
    await world.settled()
    assert asked_for(world, OWN) == "4Gi"


async def test_a_class_that_lets_none_grow_is_the_databases_condition(world: World) -> None:
    await with_volume(world)
    world.fake.faults.refuses = lambda method, path: method == "PATCH" and path.endswith(OWN)
    wish(world, "4Gi")
    await world.until("it is told", lambda: reason(status(world), "VolumeSized") == "Refused")
    assert reason(status(world), "StorageReady") == "Assigned"
    world.fake.faults.refuses = lambda method, path: False
    world.say("shop", sessions=1)
    await world.until("it grows", lambda: asked_for(world, OWN) == "4Gi")
    await world.until("that is over", lambda: reason(status(world), "VolumeSized") == "")


async def test_a_pools_volume_grows_with_it_or_says_why_not(world: World) -> None:
    await bound(world, POOLS)
    world.fake.faults.refuses = lambda method, path: method == "PATCH" and path.endswith(POOLS)
    key = (kinds.WARM_POOL, SYSTEM, "default")
    world.fake.objects.patch(key, {"spec": {"storage": {"size": "20Gi"}}}, "")
    await world.until("it is told", lambda: reason(pool_status(world), "VolumeSized") == "Refused")
    assert reason(pool_status(world), "Ready") == "Filling"
    world.fake.faults.refuses = lambda method, path: False
    await world.until("it grows", lambda: asked_for(world, POOLS) == "20Gi")
    await world.until("that is over", lambda: reason(pool_status(world), "VolumeSized") == "")


async def test_a_pools_claim_may_be_made_beforehand_by_a_person(tmp_path: Path) -> None:
    async with serving() as fake:
        metadata = {"name": POOLS, "namespace": SYSTEM}
        fake.objects.create(kinds.VOLUME_CLAIM, {"metadata": metadata, "spec": {"volumeName": "v"}})
        add_pool(fake, storage={"size": "10Gi"})
        async with operating(fake, tmp_path) as world:
            await world.until("a compute is started", world.pods)
            await world.settled()
            there = world.get(kinds.VOLUME_CLAIM, POOLS, SYSTEM)
            assert there and there["spec"] == {"volumeName": "v"}
            assert fake.requests.count(f"PATCH {path(POOLS)}") == 1


async def test_that_it_is_gone_is_noticed_when_it_goes(world: World) -> None:
    await with_volume(world)
    world.delete(kinds.VOLUME_CLAIM, OWN, SYSTEM)
    await world.until("it is told", lambda: reason(status(world), "StorageReady") == "VolumeLost")


async def test_the_next_one_of_its_name_waits_until_the_last_ones_volume_is_gone(
    world: World,
) -> None:
    """Its pod holds the claim for as long as it runs."""
    old = {"name": OWN, "namespace": SYSTEM, "finalizers": ["kubernetes.io/pvc-protection"]}
    labels = {"torpor.dev/pool": "default", "app.kubernetes.io/managed-by": "torpor-operator"}
    world.fake.objects.create(kinds.VOLUME_CLAIM, {"metadata": {**old, "labels": labels}})
    world.delete(kinds.VOLUME_CLAIM, OWN, SYSTEM)
    world.make("shop", **DEDICATED)
    await world.until("it is tried", lambda: f"PATCH {path(OWN)}" in world.fake.requests)
    assert "storage" not in status(world)
    key = (kinds.VOLUME_CLAIM, SYSTEM, OWN)
    world.fake.objects.patch(key, {"metadata": {"finalizers": []}}, "")
    await world.until("it is provided", lambda: "storage" in status(world))
    assert asked_for(world, OWN) == "3Gi"


def path(claim: str) -> str:
    return f"/api/v1/namespaces/{SYSTEM}/persistentvolumeclaims/{claim}"


async def test_one_that_was_restored_without_its_label_is_not_called_lost(world: World) -> None:
    await with_volume(world)
    world.delete(kinds.VOLUME_CLAIM, OWN, SYSTEM)
    await world.until("it is gone", lambda: world.get(kinds.VOLUME_CLAIM, OWN, SYSTEM) is None)
    restored = {"metadata": {"name": OWN, "namespace": SYSTEM}, "spec": {"volumeName": "restored"}}
    world.fake.objects.create(kinds.VOLUME_CLAIM, restored)
    world.say("shop", sessions=1)
    await world.until(
        "it is told", lambda: reason(status(world), "StorageReady") == "VolumeUnlabelled"
    )
    labels = {"metadata": {"labels": {"torpor.dev/pool": "default"}}}
    world.fake.objects.patch((kinds.VOLUME_CLAIM, SYSTEM, OWN), labels, "")
    await world.until("it is found", lambda: reason(status(world), "StorageReady") == "Assigned")


async def test_two_that_were_started_with_one_user_id_say_so(tmp_path: Path) -> None:
    """Two operators led at once."""
    async with serving() as fake:
        add_pool(fake)
        for name in ("shop", "other"):
            metadata = {"name": name, "namespace": "default"}
            fake.objects.create(kinds.SERVERLESS_DATABASE, {"metadata": metadata, "spec": {}})
            storage = {"userId": 100000, "directory": f"/volumes/default.{name}", "isMade": True}
            place = {**storage, "namespace": SYSTEM, "claim": POOLS, "generationOffset": 0}
            said = {"storage": place, "epoch": 1, "observedGeneration": 1}
            key = (kinds.SERVERLESS_DATABASE, "default", name)
            fake.objects.patch(key, {"status": said}, "status")
        async with operating(fake, tmp_path) as world:

            def told() -> list[str]:
                both = (status(world), status(world, "other"))
                return sorted(reason(one, "UserIdUnique") for one in both)

            await world.until("one of them says so", lambda: told() == ["", "UserIdShared"])
