"""Whom an erase takes, and how the next one goes on where one died in its midst."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from support.kube_people import ENDED, RUNNING
from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_api.failures import Conflict, Unavailable
from torpor_api.identity import ComputeId, Epoch
from torpor_compute.adapters.volume import FileVolume
from torpor_kube import kinds, names
from torpor_operator.core.actions import Action, Erase, Patch
from torpor_operator.core.cache import Cache
from torpor_operator.core.erasing import ERASER_WAIT_S, ERASERS_MAX, candidates
from torpor_operator.core.naming import Key
from torpor_operator.core.seen_pods import SeenPod
from torpor_operator.core.targets import Sort
from torpor_operator.erasing import Eraser, NoEraser

SHOP = Key("default", "shop")
BLOG = Key("default", "blog")
ORDER = Erase(SHOP, "u1", "default", 8, "/volumes/default.shop", 100_000)


@pytest.fixture
async def asleep(tmp_path: Path) -> AsyncIterator[World]:
    """The database ``shop`` sleeps, is to be erased with its resource, and one compute waits."""
    async with serving() as fake:
        add_pool(fake, size={"min": 1, "max": 1})
        async with operating(fake, tmp_path) as world:
            world.make("shop", deletionPolicy="Delete")
            await world.until(
                "it is provided", lambda: "binding" in (world.database("shop").get("status") or {})
            )
            world.say("shop", phase="Suspended", epoch=7, observedGeneration=1)
            await world.until("one waits", world.pods)
            run(world, world.pods()[0]["metadata"]["name"])
            yield world


def run(world: World, pod: str) -> None:
    world.fake.objects.patch((kinds.POD, SYSTEM, pod), {"status": RUNNING}, "status")


def end(world: World, pod: str) -> None:
    (ended,) = ENDED["containerStatuses"]
    status = {**ENDED, "containerStatuses": [{**ended, "name": "compute"}]}
    world.fake.objects.patch((kinds.POD, SYSTEM, pod), {"status": status}, "status")


def pod_names(world: World) -> set[str]:
    return {pod["metadata"]["name"] for pod in world.pods()}


def is_gone(world: World) -> bool:
    return world.get(kinds.SERVERLESS_DATABASE, "shop") is None


def run_new(world: World) -> None:
    """Whoever has been made becomes ready."""
    for pod in world.pods():
        if "podIP" not in (pod.get("status") or {}):
            run(world, pod["metadata"]["name"])


async def until(world: World, what: str, holds: Callable[[], object]) -> None:
    """With as many computes as the operator makes."""

    def holds_now() -> object:
        run_new(world)
        return holds()

    await world.until(what, holds_now)


async def test_it_has_a_compute_of_its_own_made_and_leaves_a_warm_one(asleep: World) -> None:
    asleep.delete(kinds.SERVERLESS_DATABASE, "shop")
    await asleep.until("another is made", lambda: len(asleep.pods()) == 2)
    assert asleep.others.erased == []
    await until(asleep, "it is gone", lambda: is_gone(asleep))
    ((eraser, _),) = asleep.others.erased
    labels = {pod["metadata"]["name"]: pod["metadata"]["labels"] for pod in asleep.pods()}
    assert labels.pop(eraser)[names.DATABASE_LABEL] == "shop"
    ((_, warm),) = labels.items()
    assert names.DATABASE_LABEL not in warm


def pod(name: str, created_at: float, **known: object) -> SeenPod:
    return SeenPod(name, "1", "default", "t", created_at, is_ready=True, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kept", "waited_s", "taken"),
    [
        (1, 0.0, ["young", "old"]),
        (3, 0.0, []),
        (3, ERASER_WAIT_S - 1.0, []),
        (3, ERASER_WAIT_S, ["young", "old", "oldest"]),
    ],
)
def test_none_of_those_that_the_pool_keeps_until_it_has_waited_for_long(
    kept: int, waited_s: float, taken: list[str]
) -> None:
    pods = [
        pod("old", 2.0),
        pod("young", 3.0),
        pod("oldest", 1.0),
        pod("claimed", 4.0),
        pod("labelled", 5.0, database=BLOG),
        pod("leaves", 6.0, is_deleting=True),
    ]
    found = candidates(SHOP, pods, ["claimed"], [], kept, waited_s)
    assert [one.name for one in found] == taken


def test_whoever_was_asked_before_is_asked_first_and_then_who_has_erased_another_one() -> None:
    pods = [pod("warm", 1.0), *(pod(name, 2.0, database=BLOG) for name in ("other", "free"))]
    pods.append(pod("asked", 3.0, database=SHOP))
    found = candidates(SHOP, pods, [], ["free"], 1, 0.0)
    assert [one.name for one in found] == ["asked", "free"]
    assert candidates(SHOP, pods, ["asked", "free"], ["free"], 1, 0.0) == []


def test_a_compute_is_offered_to_those_who_have_waited_for_longest() -> None:
    """Also where one of them has asked another in vain since."""
    cache = Cache(SYSTEM)
    waiting = [Key("default", f"many{number}") for number in range(ERASERS_MAX + 2)]
    for since, database in enumerate(waiting):
        cache.eraser_wanted(database, "default", float(since))
    cache.erasers.wait_no_more(waiting[0])
    cache.eraser_wanted(waiting[0], "default", 0.0)
    found = cache.pod_seen(pod("new", 1.0))
    assert {one.key for one in found if one.sort is Sort.DATABASE} == {*waiting[:ERASERS_MAX]}


async def test_one_that_was_claimed_in_the_same_moment_is_not_asked() -> None:
    """Its label says so, and the watch has not told it yet."""
    cache, asked = Cache(SYSTEM), list[str]()
    cache.pool_seen({"metadata": {"name": "default"}, "spec": {"size": {"min": 0, "max": 1}}})
    cache.pod_seen(pod("warm", 1.0))

    async def carry_out(action: Action) -> None:
        assert isinstance(action, Patch)
        if action.patch["metadata"].get("resourceVersion") == "1":
            raise Conflict("it is in version 2")

    async def erase(pod: SeenPod, order: Erase) -> None:
        asked.append(pod.name)

    agents = SimpleNamespace(erase=erase)
    eraser = Eraser(cast("Any", None), cache, cast("Any", agents), lambda targets: None, carry_out)
    with pytest.raises(NoEraser):
        await eraser.erase(ORDER)
    assert not asked


async def test_whoever_is_bound_to_another_claim_is_asked_once() -> None:
    """The compute that served it until it slept has its label, and ends only now."""
    cache, asked = Cache(SYSTEM), list[str]()
    cache.pool_seen({"metadata": {"name": "default"}, "spec": {"size": {"min": 0, "max": 1}}})
    cache.pod_seen(pod("served", 1.0, database=SHOP))

    async def erase(pod: SeenPod, order: Erase) -> None:
        asked.append(pod.name)
        raise Conflict("compute served is bound to shop.default under epoch 7")

    agents = SimpleNamespace(erase=erase)
    eraser = Eraser(
        cast("Any", None), cache, cast("Any", agents), lambda targets: None, AsyncMock()
    )
    for _ in range(3):
        with pytest.raises(NoEraser):
            await eraser.erase(ORDER)
    assert asked == ["served"]


class Agents:
    """Each erases a real volume; so many as ``mortal`` die when they have taken it."""

    def __init__(self, volume: Path, mortal: int = 0) -> None:
        self._volume = volume
        (volume / "data").mkdir(parents=True)
        (volume / "ownership").mkdir()
        (volume / "data" / "PG_VERSION").write_text("17\n")
        self._mortal = mortal
        self.asked: list[str] = []

    def volume_of(self, compute: str) -> FileVolume:
        return FileVolume(self._volume, ComputeId(compute), "17")

    async def erase(self, pod: SeenPod, order: Erase) -> None:
        self.asked.append(pod.name)
        if len(set(self.asked)) <= self._mortal:
            await self.volume_of(pod.name).take(Epoch(order.epoch), order.fenced)
            raise Unavailable("the connection was lost")
        await self.volume_of(pod.name).erase(Epoch(order.epoch), order.fenced)


async def dies_in_its_midst(asleep: World, agents: Agents) -> str:
    """The compute that has taken the volume and can't be reached any more."""
    asleep.others.on_erase = agents.erase
    asleep.delete(kinds.SERVERLESS_DATABASE, "shop")
    await until(asleep, "one was asked", lambda: agents.asked)
    return agents.asked[0]


async def test_the_next_one_goes_on_when_the_first_has_ended(asleep: World, tmp_path: Path) -> None:
    """And not before: its record says that it has the volume, and it may be at it still."""
    agents = Agents(tmp_path / "volume", mortal=1)
    first = await dies_in_its_midst(asleep, agents)

    def is_told_to_end() -> bool:
        there = asleep.get(kinds.POD, first, SYSTEM)
        return there is not None and "deletionTimestamp" in there["metadata"]

    await until(asleep, "the first one is told to end", is_told_to_end)
    assert not is_gone(asleep)
    end(asleep, first)
    await until(asleep, "it is gone", lambda: is_gone(asleep))
    assert not (tmp_path / "volume").exists()


async def test_the_pod_of_one_that_died_at_it_stays_as_the_word_of_its_end(
    asleep: World, tmp_path: Path
) -> None:
    agents = Agents(tmp_path / "volume", mortal=1)
    first = await dies_in_its_midst(asleep, agents)
    asleep.others.let_go_of = {first}
    end(asleep, first)
    await until(asleep, "another one was refused", lambda: len(set(agents.asked)) == 2)
    assert first in pod_names(asleep)
    await until(asleep, "it is gone", lambda: is_gone(asleep))
    await asleep.until("its pod goes", lambda: first not in pod_names(asleep))


async def test_where_its_pod_has_vanished_a_person_may_say_that_it_has_ended(
    asleep: World, tmp_path: Path
) -> None:
    agents = Agents(tmp_path / "volume")
    asleep.others.on_erase = agents.erase
    await agents.volume_of("lost").take(Epoch(8), ())
    asleep.delete(kinds.SERVERLESS_DATABASE, "shop")

    def notes() -> list[str]:
        return [one["note"] for one in asleep.fake.objects.all(kinds.EVENT, "default")]

    words = f"{names.GONE_COMPUTE_ANNOTATION}=lost"
    await until(asleep, "it is told what to do", lambda: any(words in one for one in notes()))
    sworn = {"metadata": {"annotations": {names.GONE_COMPUTE_ANNOTATION: "lost"}}}
    asleep.fake.objects.patch((kinds.SERVERLESS_DATABASE, "default", "shop"), sworn, "")
    await until(asleep, "it is gone", lambda: is_gone(asleep))
