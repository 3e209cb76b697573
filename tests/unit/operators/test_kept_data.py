"""Data that outlives its resource: whose it is, how it is erased after all, and what becomes of it
where somebody goes past the operator."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds
from torpor_operator.core import targets
from torpor_operator.core.naming import Key
from torpor_operator.core.targets import Sort

NOTE = "retained-team.shop"
FACTS = "login-facts-team.shop"


def database(world: World) -> dict[str, Any] | None:
    return world.get(kinds.SERVERLESS_DATABASE, "shop", "team")


def note(world: World) -> dict[str, Any] | None:
    return world.get(kinds.CONFIG_MAP, NOTE, SYSTEM)


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (database(world) or {}).get("status") or {}
    return found


def storage_reason(world: World) -> str:
    conditions = status(world).get("conditions") or ()
    return next((one["reason"] for one in conditions if one["type"] == "StorageReady"), "")


def notes(world: World) -> list[str]:
    return [one["note"] for one in world.fake.objects.all(kinds.EVENT, "team")]


def make_namespace(world: World) -> None:
    world.fake.objects.create(kinds.NAMESPACE, {"metadata": {"name": "team"}})


async def provided(world: World, **spec: Any) -> None:
    world.make("shop", "team", **spec)
    await world.until("it is provided", lambda: "storage" in status(world))
    await world.settled()


async def kept(world: World) -> None:
    """It was awake for the seventh time, and was deleted."""
    make_namespace(world)
    await provided(world)
    world.say("shop", "team", phase="Suspended", epoch=7, observedGeneration=1)
    await world.until("it counts as made", lambda: status(world)["storage"]["isMade"] is True)
    facts = {"metadata": {"name": FACTS, "namespace": SYSTEM}, "data": {}}
    world.fake.objects.create(kinds.SECRET, facts)
    await deleted(world)
    assert note(world) is not None


async def deleted(world: World) -> None:
    world.delete(kinds.SERVERLESS_DATABASE, "shop", "team")
    await world.until("it is gone", lambda: database(world) is None)
    await world.settled()


async def erased(
    world: World, is_over: Callable[[World], bool] = lambda world: database(world) is None
) -> None:
    """Computes become ready, as they do."""

    def is_gone() -> bool:
        make_ready(world)
        return is_over(world)

    world.delete(kinds.SERVERLESS_DATABASE, "shop", "team")
    await world.until("it is gone", is_gone)
    await world.settled()


def make_ready(world: World) -> None:
    for pod in world.pods():
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.1"}
        key = (kinds.POD, SYSTEM, pod["metadata"]["name"])
        world.fake.objects.patch(key, {"status": ready}, "status")


async def test_another_namespace_of_the_name_does_not_get_it(world: World) -> None:
    await kept(world)
    world.delete(kinds.NAMESPACE, "team", "")
    make_namespace(world)
    world.make("shop", "team")
    await world.until("it is told", lambda: storage_reason(world) == "KeptOfOthers")
    await world.settled()
    assert "storage" not in status(world) and status(world).get("epoch") is None
    # Nor does it take that along when it goes.
    key = (kinds.SERVERLESS_DATABASE, "team", "shop")
    world.fake.objects.patch(key, {"spec": {"deletionPolicy": "Delete"}}, "")
    await deleted(world)
    assert note(world) and world.get(kinds.SECRET, FACTS, SYSTEM)
    assert world.others.erased == []
    assert any("nothing is erased" in one for one in notes(world))


async def test_it_does_once_somebody_who_runs_torpor_says_so(world: World) -> None:
    await kept(world)
    world.delete(kinds.NAMESPACE, "team", "")
    make_namespace(world)
    world.make("shop", "team")
    await world.until("it is told", lambda: storage_reason(world) == "KeptOfOthers")
    key = (kinds.CONFIG_MAP, SYSTEM, NOTE)
    world.fake.objects.patch(key, {"data": {"namespaceUid": None}}, "")
    await world.until("it takes over the data", lambda: status(world).get("epoch") == 7)
    await world.until("it is served", lambda: "storage" in status(world))


async def test_applied_again_with_the_policy_delete_and_deleted_it_is_erased(
    world: World,
) -> None:
    """At once, as a script does it: nothing of it was taken over yet."""
    await kept(world)
    world.fake.faults.refuses = lambda method, path: path.endswith("/shop/status")
    world.make("shop", "team", deletionPolicy="Delete")
    await world.until(
        "it has its finalizer", lambda: (database(world) or {})["metadata"].get("finalizers")
    )
    await erased(world)
    (_, order), *_ = world.others.erased
    assert (order.epoch, order.directory) == (8, "/volumes/team.shop")
    assert note(world) is None and world.get(kinds.SECRET, FACTS, SYSTEM) is None


async def test_one_that_was_refused_the_data_takes_nothing_of_it_along(world: World) -> None:
    await kept(world)
    world.make("shop", "team", pool="large", deletionPolicy="Delete")
    await world.until("it is told", lambda: storage_reason(world) == "KeptElsewhere")
    await deleted(world)
    assert note(world) and world.get(kinds.SECRET, FACTS, SYSTEM)


async def test_one_that_can_not_be_read_can_be_deleted(world: World) -> None:
    """After a roll-back of a release that knew another value."""
    make_namespace(world)
    await provided(world)
    world.say("shop", "team", phase="Suspended", epoch=7, observedGeneration=1)
    key = (kinds.SERVERLESS_DATABASE, "team", "shop")
    world.fake.objects.patch(key, {"spec": {"keepalives": "sometimes"}}, "")
    await world.until("it is told", lambda: any("keepalives" in one for one in notes(world)))
    await deleted(world)
    assert (note(world) or {})["data"]["epoch"] == "7"


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
@pytest.mark.parametrize("is_first", [False, True], ids=["while it is deleted", "before"])
async def test_without_its_finalizer_its_data_and_its_user_id_are_not_forgotten(
    tmp_path: Path, policy: str, is_first: bool
) -> None:
    """Its compute may still run under that id."""
    async with serving() as fake:
        add_pool(fake)
        async with operating(fake, tmp_path / "first") as world:
            make_namespace(world)
            await provided(world, deletionPolicy=policy)
            world.say("shop", "team", phase="Active", epoch=7, compute="c1", observedGeneration=1)
            await world.until("it is made", lambda: status(world)["storage"]["isMade"] is True)
            await world.settled()
            user_id = status(world)["storage"]["userId"]
            with fake.faults.away():
                world.fake.cut_watches()
                key = (kinds.SERVERLESS_DATABASE, "team", "shop")
                strip = partial(fake.objects.patch, key, {"metadata": {"finalizers": []}}, "")
                if is_first:
                    strip()
                world.delete(kinds.SERVERLESS_DATABASE, "shop", "team")
                if not is_first:
                    strip()
            await world.until("it is on record", partial(note, world))
            assert (note(world) or {})["data"]["compute"] == "c1"
        async with operating(fake, tmp_path / "second") as world:
            world.make("other", "team")
            other = partial(world.database, "other", "team")
            await world.until("it is provided", lambda: "storage" in (other().get("status") or {}))
            assert other()["status"]["storage"]["userId"] != user_id


async def test_whose_deletion_waits_is_on_record_as_to_be_erased(tmp_path: Path) -> None:
    """Which is when people take finalizers off. Nobody has its data then, until it is erased."""
    async with serving() as fake:
        add_pool(fake, size={"min": 0, "max": 0})
        async with operating(fake, tmp_path / "first") as world:
            make_namespace(world)
            await provided(world, deletionPolicy="Delete")
            world.say("shop", "team", phase="Suspended", epoch=7, observedGeneration=1)
            await world.until("it is made", lambda: status(world)["storage"]["isMade"] is True)
            user_id = status(world)["storage"]["userId"]
            world.delete(kinds.SERVERLESS_DATABASE, "shop", "team")
            await world.until("it waits", lambda: world.operator.cache.erasers.first("default", 1))
            key = (kinds.SERVERLESS_DATABASE, "team", "shop")
            fake.objects.patch(key, {"metadata": {"finalizers": []}}, "")
            await world.until("it is on record", partial(note, world))
        async with operating(fake, tmp_path / "second") as world:
            world.make("other", "team")
            other = partial(world.database, "other", "team")
            await world.until("it is provided", lambda: "storage" in (other().get("status") or {}))
            assert other()["status"]["storage"]["userId"] != user_id
            world.make("shop", "team", deletionPolicy="Delete")
            await world.until("it is told", lambda: storage_reason(world) == "KeptToErase")
            await erased(world)
            (_, order), *_ = world.others.erased
            assert (order.epoch, order.user_id) == (8, user_id)
            assert note(world) is None
            await provided(world)
            assert status(world).get("epoch") is None


async def test_what_the_leader_before_has_erased_is_not_on_record_as_left_behind(
    tmp_path: Path,
) -> None:
    """It lets go what the next one has seen already: all that this one knows is the record."""
    async with serving() as fake:
        add_pool(fake)
        async with operating(fake, tmp_path / "first") as first:
            make_namespace(first)
            await provided(first, deletionPolicy="Delete")
            first.say("shop", "team", phase="Suspended", epoch=7, observedGeneration=1)
            await first.settled()
            async with operating(fake, tmp_path / "second") as second:
                await second.settled()
                key, known = Key("team", "shop"), second.operator.cache.databases
                looks = dict(second.operator.leading._looks)
                second.operator.leading._looks = {**looks, Sort.DATABASE: look_later}
                await erased(first)
                await second.until("it has heard of it", lambda: key not in known)
                second.operator.leading._looks = looks
                second.operator.leading.report([targets.database(key)])
                await second.settled()
                assert len(first.others.erased) == 1 and note(second) is None
                second.make("shop", "team")
                await second.until("the next is provided", lambda: "storage" in status(second))


async def look_later(key: Key) -> float | None:
    """The other leader is faster."""
    return None


async def test_an_end_is_no_less_one_where_the_namespace_can_not_be_asked_for(
    world: World,
) -> None:
    """It is being deleted, and its Role is gone. Nobody else of its name has the data then."""
    make_namespace(world)
    await provided(world)
    world.say("shop", "team", phase="Suspended", epoch=7, observedGeneration=1)
    world.fake.faults.refuses = lambda method, path: path == "/api/v1/namespaces/team"
    await deleted(world)
    assert (note(world) or {})["data"]["namespaceUid"] == "unknown"


async def test_one_whose_policy_can_not_be_read_keeps_its_data_where_it_is(world: World) -> None:
    make_namespace(world)
    world.make("shop", "team", pool="large")
    world.fake.objects.create(
        kinds.WARM_POOL,
        {"metadata": {"name": "large", "namespace": SYSTEM}, "spec": {"size": {"min": 0}}},
    )
    await world.until("it is provided", lambda: "storage" in status(world))
    world.say("shop", "team", phase="Suspended", epoch=7, observedGeneration=1)
    key = (kinds.SERVERLESS_DATABASE, "team", "shop")
    world.fake.objects.patch(key, {"spec": {"deletionPolicy": "Archive"}}, "")
    await deleted(world)
    assert (note(world) or {})["data"]["pool"] == "large"


async def test_what_is_let_go_by_the_operator_is_not_on_record_as_left_behind(
    world: World,
) -> None:
    make_namespace(world)
    await provided(world, deletionPolicy="Delete")
    world.say("shop", "team", phase="Suspended", epoch=7, observedGeneration=1)
    await erased(world)
    assert note(world) is None
    assert Key("team", "shop") not in world.operator.cache.endings.stripped


async def test_of_what_the_operator_itself_has_let_go_nothing_is_looked_for(world: World) -> None:
    make_namespace(world)
    await provided(world)
    await deleted(world)
    assert world.fake.requests.count("GET /api/v1/namespaces/team") == 1


async def test_a_note_that_somebody_spoils_keeps_its_user_id(world: World) -> None:
    await kept(world)
    user_id = int((note(world) or {})["data"]["userId"])
    key = (kinds.CONFIG_MAP, SYSTEM, NOTE)
    world.fake.objects.patch(key, {"data": {"epoch": base64.b64encode(b"x").decode()}}, "")
    world.make("other", "team")
    other = partial(world.database, "other", "team")
    await world.until("it is provided", lambda: "storage" in (other().get("status") or {}))
    assert other()["status"]["storage"]["userId"] != user_id
