"""What the API server will not have (a quota, Pod Security, a spec): it is said where people look,
and nothing else waits for it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.fake_kube.server import FakeKube
from support.kube_people import ENDED, RUNNING
from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds
from torpor_kube.documents import name_of
from torpor_operator import databases, pools
from torpor_operator.core import pool

PODS = f"/api/v1/namespaces/{SYSTEM}/pods"
CLAIMS = f"/api/v1/namespaces/{SYSTEM}/persistentvolumeclaims"


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeKube]:
    monkeypatch.setattr(pool, "YOUNG_S", 0.0)
    monkeypatch.setattr(pools, "REFUSED_AGAIN_S", 0.1)
    monkeypatch.setattr(pools, "STILL_NEEDED_S", 0.05)
    async with serving() as fake:
        yield fake


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.get(kinds.WARM_POOL, "default", SYSTEM) or {}
    return found.get("status") or {}


def ready(world: World) -> dict[str, Any]:
    found = [one for one in status(world).get("conditions") or () if one["type"] == "Ready"]
    return found[0] if found else {}


def reasons(world: World, namespace: str = SYSTEM) -> set[str]:
    return {one["reason"] for one in world.fake.objects.all(kinds.EVENT, namespace)}


async def test_computes_that_are_refused_are_the_pools_condition(
    fake: FakeKube, tmp_path: Path
) -> None:
    fake.faults.refuses = lambda method, path: (method, path) == ("POST", PODS)
    add_pool(fake)
    async with operating(fake, tmp_path) as world:
        await world.until("it is told", lambda: ready(world).get("reason") == "ComputesRefused")
        assert "exceeded quota" in ready(world)["message"]
        assert "ComputesRefused" in reasons(world)
        fake.faults.refuses = lambda method, path: False
        await world.until("one is started", world.pods)
        await world.until("it is over", lambda: ready(world).get("reason") == "Filling")


async def test_a_pools_claim_that_is_refused_is_its_condition(
    fake: FakeKube, tmp_path: Path
) -> None:
    fake.faults.refuses = lambda method, path: path.startswith(CLAIMS + "/")
    add_pool(fake)
    async with operating(fake, tmp_path) as world:
        await world.until("it is told", lambda: ready(world).get("reason") == "ClaimRefused")
        assert "exceeded quota" in ready(world)["message"]
        await world.until("its computes are made all the same", world.pods)


async def test_a_pod_that_can_not_be_let_go_holds_up_no_other(
    fake: FakeKube, tmp_path: Path
) -> None:
    add_pool(fake, size={"min": 3, "max": 3})
    async with operating(fake, tmp_path) as world:
        await world.until("three wait", lambda: len(world.pods()) == 3)
        pods = [name_of(pod) for pod in world.pods()]
        kept = min(pods)
        fake.faults.refuses = lambda method, path: method == "DELETE" and path == f"{PODS}/{kept}"
        patch = {"spec": {"size": {"min": 0, "max": 0}}}
        fake.objects.patch((kinds.WARM_POOL, SYSTEM, "default"), patch, "")

        def deleted() -> set[str]:
            found = world.pods()
            return {name_of(pod) for pod in found if "deletionTimestamp" in pod["metadata"]}

        gone = {*pods} - {kept}
        await world.until(
            "the others go",
            lambda: gone <= deleted() | (gone - {name_of(pod) for pod in world.pods()}),
        )
        await world.until("it is told", lambda: "ComputesStay" in reasons(world))
        await world.until(
            "the pool says what it has",
            lambda: ready(world).get("observedGeneration") == 2,
        )


async def test_ended_computes_are_let_go_though_others_are_refused(
    fake: FakeKube, tmp_path: Path
) -> None:
    """Else a quota stays full of them."""
    add_pool(fake)
    async with operating(fake, tmp_path) as world:
        await world.until("one waits", lambda: len(world.pods()) == 1)
        await world.settled()
        compute = name_of(world.pods()[0])
        fake.faults.refuses = lambda method, path: (method, path) == ("POST", PODS)
        for told in (RUNNING, ENDED):
            statuses = [{**told["containerStatuses"][0], "name": "compute"}]
            patch = {"status": {**told, "containerStatuses": statuses}}
            fake.objects.patch((kinds.POD, SYSTEM, compute), patch, "status")
        await world.until("the next is refused", lambda: "ComputesRefused" in reasons(world))
        await world.until("it is asked about", lambda: world.others.asked_about)
        assert world.others.let_go_of is not None
        world.others.let_go_of.add(compute)
        await world.until("it is gone", lambda: not world.pods())


async def test_before_warm_computes_end_the_databases_are_listed_once(
    fake: FakeKube, tmp_path: Path
) -> None:
    add_pool(fake, size={"min": 5, "max": 5})
    async with operating(fake, tmp_path) as world:
        await world.until("five wait", lambda: len(world.pods()) == 5)
        for pod in world.pods():
            key = (kinds.POD, SYSTEM, name_of(pod))
            fake.objects.patch(key, {"status": RUNNING}, "status")
        await world.until("they are warm", lambda: status(world).get("warm") == 5)
        await world.settled()
        fake.requests.clear()
        patch = {"spec": {"size": {"min": 0, "max": 0}}}
        fake.objects.patch((kinds.WARM_POOL, SYSTEM, "default"), patch, "")
        listed = "GET /apis/torpor.dev/v1alpha1/serverlessdatabases"

        def told() -> list[str]:
            found = [one.partition(f"{PODS}/")[0] for one in fake.requests]
            return [one for one in found if one in ("DELETE ", listed)]

        await world.until("all are ended", lambda: told().count("DELETE ") >= 5)
        assert told()[:6] == [listed, *["DELETE "] * 5]


async def test_one_that_was_claimed_a_moment_ago_does_not_end_with_the_others(
    fake: FakeKube, tmp_path: Path
) -> None:
    """No watch has told of it."""
    add_pool(fake, size={"min": 2, "max": 2})
    async with operating(fake, tmp_path) as world:
        world.make("shop")
        await world.until("two wait", lambda: len(world.pods()) == 2)
        pods = sorted(name_of(pod) for pod in world.pods())
        for name in pods:
            fake.objects.patch((kinds.POD, SYSTEM, name), {"status": RUNNING}, "status")
        await world.until("they are warm", lambda: status(world).get("warm") == 2)
        await world.until("it is provided", lambda: condition(world, "StorageReady"))
        await world.settled()
        claimed = pods[0]
        fake.cut_watches()
        world.say("shop", compute=claimed, epoch=1)
        patch = {"metadata": {"name": "default", "namespace": SYSTEM}}
        pool_now = world.operator.cache.pools["default"]
        smaller = {**pool_now, **patch, "spec": {**pool_now["spec"], "size": {"min": 0, "max": 0}}}
        smaller["metadata"] = pool_now["metadata"]
        world.operator.leading.pool_changed(smaller, is_gone=False)
        await world.until("the other ends", lambda: f"DELETE {PODS}/{pods[1]}" in fake.requests)
        await world.settled()
        assert f"DELETE {PODS}/{claimed}" not in fake.requests


async def test_pods_of_a_pool_that_is_gone_are_let_go(fake: FakeKube, tmp_path: Path) -> None:
    """Somebody took its finalizer away, or its kind."""
    add_pool(fake)
    async with operating(fake, tmp_path) as world:
        await world.until("a compute waits", lambda: len(world.pods()) == 1)
        await world.settled()
        key = (kinds.WARM_POOL, SYSTEM, "default")
        fake.objects.patch(key, {"metadata": {"finalizers": []}}, "")
        world.delete(kinds.WARM_POOL, "default", SYSTEM)
        await world.until("nothing is left of it", lambda: not world.pods())


async def test_a_pool_that_can_not_be_read_can_be_deleted(fake: FakeKube, tmp_path: Path) -> None:
    add_pool(fake)
    async with operating(fake, tmp_path) as world:
        await world.until("a compute waits", lambda: len(world.pods()) == 1)
        patch = {"spec": {"size": {"min": "many"}}}
        fake.objects.patch((kinds.WARM_POOL, SYSTEM, "default"), patch, "")
        await world.until("it is told", lambda: ready(world).get("reason") == "Invalid")
        world.delete(kinds.WARM_POOL, "default", SYSTEM)
        there = partial(world.get, kinds.WARM_POOL, "default", SYSTEM)
        await world.until("it is gone", lambda: not there() and not world.pods())


def condition(world: World, type: str) -> dict[str, Any]:
    found: dict[str, Any] = world.database("shop").get("status") or {}
    return next((one for one in found.get("conditions") or () if one["type"] == type), {})


@pytest.mark.parametrize(
    ("refused", "type", "spec"),
    [
        ("/namespaces/default/secrets/", "CredentialsReady", {}),
        ("/namespaces/default/services/", "EndpointReady", {}),
        (
            "/persistentvolumeclaims/torpor-data-",
            "StorageReady",
            {"storage": {"mode": "dedicated"}},
        ),
    ],
    ids=["secret", "service", "claim"],
)
async def test_what_a_database_is_refused_is_its_condition_and_the_rest_is_made(
    fake: FakeKube, tmp_path: Path, refused: str, type: str, spec: dict[str, Any]
) -> None:
    add_pool(fake)
    fake.faults.refuses = lambda method, path: method == "PATCH" and refused in path
    async with operating(fake, tmp_path) as world:
        world.make("shop", **spec)
        await world.until("it is told", lambda: condition(world, type).get("reason") == "Refused")
        await world.settled()
        assert "exceeded quota" in condition(world, type)["message"]
        assert "Refused" in reasons(world, "default")
        types = ("CredentialsReady", "EndpointReady", "StorageReady")
        told = {one: condition(world, one)["status"] for one in types}
        assert told == {one: "False" if one == type else "True" for one in types}
        assert ("storage" in world.database("shop")["status"]) is (type != "StorageReady")
        before = world.get(kinds.SECRET, "verifiers-default.shop", SYSTEM)
        world.say("shop", sessions=1)
        await world.until("it is looked at again", lambda: len(world.operator.leading.queue) == 0)
        assert world.get(kinds.SECRET, "verifiers-default.shop", SYSTEM) == before


async def test_a_password_that_was_refused_for_a_while_is_in_force_after_that(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody is told of a newer one before."""
    monkeypatch.setattr(databases, "TAKEN_AGAIN_S", 0.1)
    add_pool(fake)

    def verifiers() -> Any:
        return (world.get(kinds.SECRET, "verifiers-default.shop", SYSTEM) or {}).get("data")

    def offset() -> int:
        return int(world.database("shop")["status"]["storage"]["generationOffset"])

    async with operating(fake, tmp_path) as world:
        world.make("shop")
        await world.until("it is provided", lambda: condition(world, "CredentialsReady"))
        await world.settled()
        before = verifiers()
        fake.faults.refuses = lambda method, path: method == "PATCH" and "/verifiers-" in path
        mine = {"data": {"password": base64.b64encode(b"mine").decode()}}
        fake.objects.patch((kinds.SECRET, "default", "shop-app"), mine, "")
        await world.until(
            "it is told", lambda: condition(world, "CredentialsReady").get("reason") == "Refused"
        )
        await world.settled()
        assert verifiers() == before and offset() == 0
        fake.faults.refuses = lambda method, path: False
        await world.until("it is in force", lambda: verifiers() != before)
        await world.until("that is told", lambda: offset() == 1)


async def test_all_names_that_are_taken_are_found_in_one_look(
    fake: FakeKube, tmp_path: Path
) -> None:
    add_pool(fake)
    roles = [{"name": f"role-{number}"} for number in range(20)]
    for role in roles:
        metadata = {"name": f"shop-{role['name']}", "namespace": "default"}
        fake.objects.create(kinds.SECRET, {"metadata": metadata, "data": {}})
    async with operating(fake, tmp_path) as world:
        inner = [{"name": "app", "owner": "role-0"}]
        world.make("shop", roles=roles, databases=inner)
        await world.until(
            "it is told", lambda: condition(world, "CredentialsReady").get("reason") == "NameTaken"
        )
