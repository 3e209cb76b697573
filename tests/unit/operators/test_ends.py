"""The end of a database: it sleeps first, its data is kept or erased, and may be taken up again."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.operating import SYSTEM, WORKERS, World, add_pool, operating, serving
from torpor_api.failures import Busy, Unavailable
from torpor_kube import kinds
from torpor_kube.documents import metadata, version_of
from torpor_kube.server import ApiServer
from torpor_operator.core.naming import Key

SHOP = Key("default", "shop")


async def awake(world: World, **spec: Any) -> None:
    """It has been claimed for the seventh time, and serves."""
    world.make("shop", **spec)
    await world.until(
        "it is provided", lambda: "binding" in (world.database("shop").get("status") or {})
    )
    world.say("shop", phase="Active", epoch=7, compute="c1", observedGeneration=1)
    await world.until(
        "its data counts as made",
        lambda: world.database("shop")["status"]["storage"]["isMade"] is True,
    )
    world.others.on_suspend = lambda key: world.say("shop", phase="Suspended", compute=None)


async def run_pods(world: World, count: int) -> None:
    """One waits for databases, the others are made to erase."""
    await world.until("pods are made for it", lambda: len(world.pods()) == count)
    assert not is_gone(world)
    status = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.1"}
    for pod in world.pods():
        key = (kinds.POD, SYSTEM, pod["metadata"]["name"])
        world.fake.objects.patch(key, {"status": status}, "status")


def is_heard_of(world: World) -> bool:
    seen = world.operator.cache.databases.get(SHOP)
    return seen is not None and seen.version == version_of(world.database("shop"))


def is_gone(world: World) -> bool:
    return world.get(kinds.SERVERLESS_DATABASE, "shop") is None


async def test_it_is_put_to_sleep_and_its_data_is_kept(world: World) -> None:
    await awake(world)
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: is_gone(world))
    assert world.others.suspended == [SHOP]
    kept = world.get(kinds.CONFIG_MAP, "retained-default.shop", SYSTEM)
    assert kept and kept["data"] == {
        "pool": "default",
        "directory": "/volumes/default.shop",
        "userId": "100000",
        "claim": "torpor-pool-default",
        "epoch": "7",
        "generation": "1",
        "namespaceUid": world.fake.objects.get((kinds.NAMESPACE, "", "default"))["metadata"]["uid"],
    }
    await world.until(
        "nobody's verifiers are left",
        lambda: world.get(kinds.SECRET, "verifiers-default.shop", SYSTEM) is None,
    )
    assert world.others.erased == []


async def test_the_next_of_its_name_may_come_before_the_answer_that_let_the_last_one_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch tells of it once only."""
    await awake(world, deletionPolicy="Retain")
    patched, former = ApiServer.patch, metadata(world.database("shop"))["uid"]

    async def answered_late(self: ApiServer, kind: kinds.Kind, *where: Any, **how: Any) -> Any:
        answer = await patched(self, kind, *where, **how)
        if kind == kinds.SERVERLESS_DATABASE and is_gone(world):
            world.make("shop")
            await world.until("the operator has heard of it", lambda: is_heard_of(world))
        return answer

    monkeypatch.setattr(ApiServer, "patch", answered_late)
    world.delete(kinds.SERVERLESS_DATABASE, "shop")

    def is_provided() -> bool:
        there = world.get(kinds.SERVERLESS_DATABASE, "shop") or {}
        return metadata(there).get("uid") != former and "binding" in (there.get("status") or {})

    await world.until("the next one has what it needs", is_provided)


async def test_the_next_of_its_name_takes_over_data_and_counters(world: World) -> None:
    await awake(world)
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: is_gone(world))
    for name in ("another", "shop"):
        world.make(name)

    def are_provided() -> bool:
        both = (world.database("another"), world.database("shop"))
        return all("binding" in (one.get("status") or {}) for one in both)

    await world.until("both have what they need", are_provided)
    status = world.database("shop")["status"]
    assert status["epoch"] == 7
    assert (status["storage"]["userId"], status["storage"]["isMade"]) == (100000, True)
    assert status["storage"]["generationOffset"] == 1
    await world.until(
        "the note is gone",
        lambda: world.get(kinds.CONFIG_MAP, "retained-default.shop", SYSTEM) is None,
    )
    other = world.database("another")["status"]
    assert other["storage"]["userId"] != 100000


async def test_kept_data_is_not_forgotten_for_a_spec_that_names_another_pool(world: World) -> None:
    await awake(world)
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: is_gone(world))
    world.make("shop", pool="large")

    def reason() -> str:
        conditions = (world.database("shop").get("status") or {}).get("conditions") or []
        return next((one["reason"] for one in conditions if one["type"] == "StorageReady"), "")

    await world.until("it is told", lambda: reason() == "KeptElsewhere")
    assert world.get(kinds.CONFIG_MAP, "retained-default.shop", SYSTEM) is not None


async def test_it_is_not_served_before_its_new_password_is_in_force(world: World) -> None:
    """Where the data is comes last: from then on its clients are let in."""
    await awake(world)
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: is_gone(world))
    assert [world.get(kinds.SECRET, "shop-app"), world.get(kinds.SERVICE, "shop")] == [None, None]
    before = world.fake.objects.version
    world.make("shop")
    await world.until(
        "it has its data",
        lambda: "storage" in (world.database("shop").get("status") or {}),
    )
    happened = [
        (one.key[2], one.document.get("status") or {})
        for one in world.fake.objects.since(before)
        if one.key[2] in ("shop", "verifiers-default.shop")
    ]
    served = next(number for number, (_, status) in enumerate(happened) if "storage" in status)
    assert "verifiers-default.shop" in [name for name, _ in happened[:served]]
    assert happened[served][1]["epoch"] == 7


async def test_it_stays_while_nobody_can_be_asked_and_says_so(world: World) -> None:
    await awake(world)
    world.others.refusal = Unavailable("nobody answers")
    world.delete(kinds.SERVERLESS_DATABASE, "shop")

    def notes() -> list[str]:
        return [one["note"] for one in world.fake.objects.all(kinds.EVENT, "default")]

    await world.until("it is told", lambda: any("nobody answers" in note for note in notes()))
    world.others.refusal = None
    await world.until("it is gone", lambda: is_gone(world))


async def test_it_stays_while_a_session_keeps_it_awake(world: World) -> None:
    await awake(world)
    world.others.refusal = Busy("session 17 holds an advisory lock")
    world.delete(kinds.SERVERLESS_DATABASE, "shop")

    def notes() -> list[str]:
        return [one["note"] for one in world.fake.objects.all(kinds.EVENT, "default")]

    await world.until("it is told", lambda: any("advisory lock" in note for note in notes()))
    assert not is_gone(world)
    world.others.refusal = None
    await world.until("it is gone", lambda: is_gone(world))


async def test_with_the_policy_delete_an_agent_erases_the_data_first(world: World) -> None:
    await awake(world, deletionPolicy="Delete")
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await run_pods(world, 2)
    await world.until("it is gone", lambda: is_gone(world))
    (_, order), *_ = world.others.erased
    assert (order.directory, order.epoch, order.user_id) == ("/volumes/default.shop", 8, 100000)
    assert world.get(kinds.CONFIG_MAP, "retained-default.shop", SYSTEM) is None


async def test_an_empty_pool_starts_an_agent_to_erase(tmp_path: Path) -> None:
    async with serving() as fake:
        add_pool(fake, size={"min": 0, "max": 1})
        async with operating(fake, tmp_path) as world:
            await awake(world, deletionPolicy="Delete")
            world.say("shop", phase="Suspended", compute=None)
            world.make("other")  # Whose provision proves that the news before it has been heard.
            await world.until(
                "it is provided",
                lambda: "binding" in (world.database("other").get("status") or {}),
            )
            await world.settled()
            assert world.pods() == []
            world.delete(kinds.SERVERLESS_DATABASE, "shop")
            await world.until("a pod is made for it", lambda: world.pods())


async def test_without_its_pool_nobody_can_erase_and_that_is_told(tmp_path: Path) -> None:
    async with serving() as fake:
        add_pool(fake, size={"min": 0, "max": 1})
        async with operating(fake, tmp_path) as world:
            await awake(world, deletionPolicy="Delete")
            world.say("shop", phase="Suspended", compute=None)
            world.delete(kinds.WARM_POOL, "default", SYSTEM)
            await world.until(
                "the pool is gone", lambda: world.get(kinds.WARM_POOL, "default", SYSTEM) is None
            )
            world.delete(kinds.SERVERLESS_DATABASE, "shop")

            def notes() -> list[str]:
                return [one["note"] for one in fake.objects.all(kinds.EVENT, "default")]

            await world.until(
                "it is told", lambda: any("no WarmPool 'default'" in note for note in notes())
            )


async def test_nobody_is_kept_to_erase_for_one_whose_finalizer_was_taken_away(
    world: World,
) -> None:
    await awake(world, deletionPolicy="Delete")
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    erasers = world.operator.cache.erasers
    await world.until("an agent is wanted", lambda: erasers.first("default", 1))
    key = (kinds.SERVERLESS_DATABASE, "default", "shop")
    world.fake.objects.patch(key, {"metadata": {"finalizers": []}}, "")
    await world.until("it is gone", lambda: is_gone(world))
    await world.until("nobody is wanted", lambda: not erasers.first("default", 1))


async def test_one_that_was_never_claimed_goes_at_once(world: World) -> None:
    world.make("shop", deletionPolicy="Delete")
    await world.until(
        "it is provided", lambda: "binding" in (world.database("shop").get("status") or {})
    )
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: is_gone(world))
    assert (world.others.suspended, world.others.erased) == ([], [])


async def test_a_claim_that_comes_in_between_holds_the_end_up(world: World) -> None:
    await awake(world)

    def suspended_and_woken(key: Key) -> None:
        world.say("shop", phase="Suspended", compute=None)
        world.say("shop", phase="Resuming", epoch=8, compute="c2")
        world.others.on_suspend = lambda key: world.say("shop", phase="Suspended", compute=None)

    world.others.on_suspend = suspended_and_woken
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: is_gone(world))
    assert world.others.suspended == [SHOP, SHOP]
    kept = world.get(kinds.CONFIG_MAP, "retained-default.shop", SYSTEM)
    assert kept and kept["data"]["epoch"] == "8"


async def test_of_two_torpors_the_first_one_serves_it(world: World) -> None:
    """Here the other one was first; whoever asks why nothing is made for it is told."""
    elsewhere = {"userId": 100003, "directory": "/volumes/default.shop", "namespace": "other"}
    with world.fake.faults.away():
        world.fake.cut_watches()
        world.make("shop", deletionPolicy="Delete")
        world.say("shop", storage=elsewhere, epoch=3)

    def notes() -> list[str]:
        return [one["note"] for one in world.fake.objects.all(kinds.EVENT, "default")]

    words = "the Torpor in namespace other serves it"
    await world.until("it is told", lambda: any(words in note for note in notes()))
    await world.settled()
    assert world.get(kinds.SECRET, "shop-app") is None
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.settled()
    assert (world.others.suspended, world.others.erased) == ([], [])


async def test_of_two_that_are_at_it_together_the_first_word_counts(world: World) -> None:
    other = {"userId": 100003, "directory": "/volumes/default.shop", "namespace": "other"}
    world.make("shop")

    def other_is_faster() -> None:
        """As soon as there is a password, just before it is said where the data is."""
        if world.get(kinds.SECRET, "shop-app") and not storage():
            world.fake.objects.listeners.discard(other_is_faster)
            world.say("shop", storage=other)

    def storage() -> object:
        return (world.database("shop").get("status") or {}).get("storage")

    world.fake.objects.listeners.add(other_is_faster)
    await world.until("somebody serves it", storage)
    await world.settled()
    assert storage() == other


async def test_one_whose_compute_was_lost_can_be_deleted(world: World) -> None:
    await awake(world, deletionPolicy="Delete")
    world.say("shop", phase="Suspended", compute="c1", fenced=["c0", "c1"])
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await run_pods(world, 2)
    await world.until("it is gone", lambda: is_gone(world))
    assert world.others.suspended == []
    assert world.others.erased[0][1].fenced == ("c0", "c1")


async def test_whoever_takes_over_kept_data_knows_which_computes_were_lost(world: World) -> None:
    await awake(world)
    world.say("shop", phase="Suspended", compute="c1", fenced=["c0", "c1"])
    world.delete(kinds.SERVERLESS_DATABASE, "shop")
    await world.until("it is gone", lambda: is_gone(world))
    world.make("shop")
    await world.until(
        "it is provided for", lambda: "storage" in (world.database("shop").get("status") or {})
    )
    status = world.database("shop")["status"]
    assert (status["epoch"], status["compute"]) == (7, "c1")
    assert status["fenced"] == ["c0", "c1"]


async def test_deletions_that_wait_hold_up_nobody_else(world: World) -> None:
    """As many as there are workers: each waits for a session that is busy."""
    names = [f"busy{number}" for number in range(WORKERS)]
    for name in names:
        world.make(name)
        await world.until("it is provided", partial(is_provided, world, name))
        world.say(name, phase="Active", epoch=1, compute=f"c-{name}", observedGeneration=1)
    released = world.others.holds_suspends = asyncio.Event()
    for name in names:
        world.delete(kinds.SERVERLESS_DATABASE, name)
    await world.until("all wait", lambda: len(world.others.suspended) == len(names))
    world.make("another")
    await world.until("another is provided", lambda: is_provided(world, "another"))
    released.set()


def is_provided(world: World, name: str) -> bool:
    return "binding" in (world.database(name).get("status") or {})
