"""A few computes erase the data of many databases, whatever befalls them and the operator."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from support.fake_kube.server import FakeKube
from support.fakes.agent import FakeAgent, Pace
from support.fakes.volume import Volume
from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_api import messages as m
from torpor_api.failures import NotFenced
from torpor_kube import kinds, names
from torpor_operator.core import targets
from torpor_operator.core.actions import Action, Erase, Patch
from torpor_operator.core.cache import Cache
from torpor_operator.core.erasing import ERASER_WAIT_S, ERASERS_MAX, Erasers
from torpor_operator.core.naming import Key
from torpor_operator.core.seen_pods import SeenPod
from torpor_operator.core.targets import Target
from torpor_operator.erasing import Eraser, NoEraser
from unit.operators.test_erasing import BLOG, SHOP, end, pod, pod_names, until

MANY = [f"many{number}" for number in range(10)]


class PodAgents:
    """In each pod an agent; each database's volume has data of seven epochs."""

    def __init__(self) -> None:
        self.by_pod: dict[str, FakeAgent] = {}
        self.volumes: dict[str, Volume] = defaultdict(Volume)
        self.asked: list[tuple[str, str]] = []
        """Pods, and which database's data they were to erase."""
        self.at_work: set[str] = set()
        self.at_work_max = 0
        self.may_answer = asyncio.Event()
        self.dies_at = ""
        """The database with whose volume in its hands an agent dies."""

    def fill(self, database: str) -> None:
        volume = self.volumes[f"/volumes/default.{database}"]
        volume.take(7, "before", ())
        volume.release("before")

    def erased(self) -> list[str]:
        return [one.database for agent in self.by_pod.values() for one in agent.erased]

    async def erase(self, pod: SeenPod, order: Erase) -> None:
        agent = self.by_pod.setdefault(pod.name, FakeAgent(pod.name, self._volume_of, Pace()))
        self.asked.append((pod.name, order.database.name))
        self.at_work.add(pod.name)
        self.at_work_max = max(self.at_work_max, len(self.at_work))
        try:
            await self.may_answer.wait()
        finally:
            self.at_work.discard(pod.name)
        if order.database.name == self.dies_at:
            self.dies_at = ""
            self.volumes[order.directory].take(order.epoch, pod.name, order.fenced)
            agent.kill()
        await agent.answer(
            m.EraseStorage(
                database=order.database.endpoint,
                epoch=order.epoch,
                storage=m.StoragePlace(directory=order.directory),
                fenced=order.fenced,
                uid=order.uid,
                compute=pod.name,
            )
        )

    def _volume_of(self, storage: m.StoragePlace) -> Volume:
        return self.volumes[storage.directory]


@pytest.fixture
def agents() -> PodAgents:
    return PodAgents()


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with serving() as fake:
        add_pool(fake, size={"min": 1, "max": 1})
        yield fake


async def deleted(world: World, agents: PodAgents, databases: list[str]) -> None:
    """They sleep, and are to be erased with their resources."""
    world.others.on_erase = agents.erase
    for name in databases:
        agents.fill(name)
        world.make(name, deletionPolicy="Delete")
        await world.until("it is provided", partial(is_provided, world, name))
        world.say(name, phase="Suspended", epoch=7, observedGeneration=1)
    await world.settled()
    for name in databases:
        world.delete(kinds.SERVERLESS_DATABASE, name)


def is_provided(world: World, name: str) -> bool:
    return "binding" in (world.database(name).get("status") or {})


def are_gone(world: World) -> bool:
    return not any(world.fake.objects.all(kinds.SERVERLESS_DATABASE, "default"))


def counts(world: World) -> tuple[int, int]:
    """Of the pool: warm, claimed."""
    found = world.get(kinds.WARM_POOL, "default", SYSTEM)
    assert found is not None
    return found["status"]["warm"], found["status"]["claimed"]


def notes(world: World) -> list[str]:
    return [one["note"] for one in world.fake.objects.all(kinds.EVENT, "default")]


async def test_ten_are_erased_by_four_and_none_of_those_counts_for_databases(
    fake: FakeKube, agents: PodAgents, tmp_path: Path
) -> None:
    async with operating(fake, tmp_path) as world:
        await deleted(world, agents, MANY)
        await until(world, "all erasers work", lambda: len(agents.at_work) == ERASERS_MAX)
        await until(world, "one waits for databases", lambda: counts(world) == (1, 0))
        assert len(world.pods()) == ERASERS_MAX + 1
        agents.may_answer.set()
        await until(world, "they are gone", lambda: are_gone(world))
        assert sorted(agents.erased()) == MANY
        assert not any(volume.records for volume in agents.volumes.values())
        assert agents.at_work_max == len(agents.by_pod) == ERASERS_MAX
        assert not any("can't be deleted" in note for note in notes(world))
        await until(world, "nobody has a claimed one", lambda: counts(world) == (1, 0))


async def test_an_operator_that_comes_in_the_midst_of_it_goes_on(
    fake: FakeKube, agents: PodAgents, tmp_path: Path
) -> None:
    async with operating(fake, tmp_path) as world:
        await deleted(world, agents, MANY[: ERASERS_MAX + 2])
        await until(world, "all erasers work", lambda: len(agents.at_work) == ERASERS_MAX)
    agents.may_answer.set()
    first = set(agents.by_pod)
    async with operating(fake, tmp_path) as world:
        world.others.on_erase = agents.erase
        await until(world, "they are gone", lambda: are_gone(world))
    assert sorted(agents.erased()) == MANY[: ERASERS_MAX + 2]
    assert set(agents.by_pod) == first, "each is asked again for the database that it has"


async def test_one_that_dies_at_its_second_keeps_that_one_s_label_until_it_is_done(
    fake: FakeKube, agents: PodAgents, tmp_path: Path
) -> None:
    async with operating(fake, tmp_path) as world:
        agents.may_answer.set()
        await deleted(world, agents, ["shop"])
        await until(world, "the first is gone", lambda: are_gone(world))
        ((eraser, _),) = agents.asked
        agents.dies_at = "blog"
        await deleted(world, agents, ["blog"])
        await until(world, "it was asked", lambda: (eraser, "blog") in agents.asked)
        agents.may_answer.clear()
        end(world, eraser)
        world.others.let_go_of = {eraser}
        await until(world, "another is asked", lambda: agents.at_work)
        kept = world.get(kinds.POD, eraser, SYSTEM)
        assert kept is not None
        assert kept["metadata"]["labels"][names.DATABASE_LABEL] == "blog"
        agents.may_answer.set()
        await until(world, "the second is gone", lambda: are_gone(world))
        assert not any(volume.records for volume in agents.volumes.values())
        await world.until("its pod goes", lambda: eraser not in pod_names(world))


async def test_the_next_of_its_name_is_erased_by_the_same_one(
    fake: FakeKube, agents: PodAgents, tmp_path: Path
) -> None:
    """Its label is right already, and its place and its epoch are those of the first."""
    async with operating(fake, tmp_path) as world:
        agents.may_answer.set()
        for count in (1, 2):
            await deleted(world, agents, ["shop"])
            await until(world, "it is gone", lambda: are_gone(world))
            assert agents.erased() == ["shop"] * count
            assert not agents.volumes["/volumes/default.shop"].records
        assert len(agents.by_pod) == 1


def eraser_of(cache: Cache, agents: PodAgents, told: list[Target] | None = None) -> Eraser:
    """Of an operator that has just begun to lead."""

    async def carry_out(action: Action) -> None:
        assert isinstance(action, Patch)
        found, mine = cache.pods[action.key.name], action.patch["metadata"]
        assert found.version == mine["resourceVersion"]
        labels = mine["labels"]
        whose = Key(labels[names.DATABASE_NAMESPACE_LABEL], labels[names.DATABASE_LABEL])
        cache.pod_seen(replace(found, version=f"{found.version}+", database=whose))

    cache.pool_seen({"metadata": {"name": "default"}, "spec": {"size": {"min": 0, "max": 1}}})
    report = (told if told is not None else []).extend
    return Eraser(cast("Any", None), cache, agents, report, carry_out)


def order_of(database: Key, epoch: int = 8) -> Erase:
    place = f"/volumes/default.{database.name}"
    return Erase(database, f"uid of {database.name}", "default", epoch, place, 100_000)


async def test_an_operator_that_dies_between_the_answer_and_its_record_does_no_harm(
    agents: PodAgents,
) -> None:
    """The compute that has erased the first is at the second by then, and the record of the first
    does not say yet that it is erased."""
    cache = Cache(SYSTEM)
    cache.pod_seen(pod("a", 1.0))
    eraser = eraser_of(cache, agents)
    agents.may_answer.set()
    for database in (SHOP, BLOG):
        agents.fill(database.name)
        await eraser.erase(order_of(database))
    assert cache.pods["a"].database == BLOG
    after = Cache(SYSTEM)
    for there in (cache.pods["a"], pod("b", 2.0)):
        after.pod_seen(there)
    second = eraser_of(after, agents)
    for database in (SHOP, BLOG):
        await second.erase(order_of(database))
    assert agents.asked[2:] == [("b", "shop"), ("a", "blog")]
    assert [len(agents.by_pod[name].erased) for name in "ab"] == [2, 1]


async def test_whoever_was_refused_a_volume_holds_nothing_and_erases_another(
    agents: PodAgents,
) -> None:
    cache = Cache(SYSTEM)
    cache.pod_seen(pod("a", 1.0))
    eraser = eraser_of(cache, agents)
    agents.may_answer.set()
    agents.volumes["/volumes/default.shop"].take(7, "lost", ())
    agents.fill("blog")
    with pytest.raises(NotFenced):
        await eraser.erase(order_of(SHOP))
    await eraser.erase(order_of(BLOG))
    assert agents.erased() == ["blog"] and cache.pods["a"].database == BLOG


async def test_whoever_has_waited_for_longest_is_looked_at_when_one_is_free(
    agents: PodAgents,
) -> None:
    cache, told = Cache(SYSTEM), list[Target]()
    cache.pod_seen(pod("a", 1.0))
    eraser = eraser_of(cache, agents, told)
    for since, database in ((2.0, Key("default", "late")), (1.0, BLOG)):
        cache.eraser_wanted(database, "default", since)
    agents.may_answer.set()
    await eraser.erase(order_of(SHOP))
    assert told == [targets.database(BLOG)]


async def test_whoever_did_not_answer_stays_with_its_database(agents: PodAgents) -> None:
    cache = Cache(SYSTEM)
    cache.pod_seen(pod("a", 1.0))
    eraser = eraser_of(cache, agents)
    agents.may_answer.set()
    agents.dies_at = "shop"
    for database in (SHOP, BLOG):
        with pytest.raises(NoEraser):
            await eraser.erase(order_of(database))
    assert agents.asked == [("a", "shop")] and cache.pods["a"].database == SHOP


async def test_whoever_stands_in_line_leaves_warm_ones_to_databases(agents: PodAgents) -> None:
    """However long that takes: there is somebody to wait for."""
    cache = Cache(SYSTEM)
    cache.pod_seen(pod("a", 1.0))
    eraser = eraser_of(cache, agents)
    working = asyncio.create_task(eraser.erase(order_of(SHOP)))
    while not agents.at_work:
        await asyncio.sleep(0)
    cache.pool_seen({"metadata": {"name": "default"}, "spec": {"size": {"min": 1, "max": 1}}})
    cache.pod_seen(pod("b", 2.0))
    cache.eraser_wanted(BLOG, "default", -10 * ERASER_WAIT_S)
    with pytest.raises(NoEraser) as waits:
        await eraser.erase(order_of(BLOG))
    assert agents.asked == [("a", "shop")] and not waits.value.is_late
    cache.pod_gone(cache.pods["a"])
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    agents.may_answer.set()
    await eraser.erase(order_of(BLOG))
    assert agents.asked[1:] == [("b", "blog")]


@pytest.mark.parametrize(
    ("waiting", "at_work", "free", "missing"),
    [
        *[(0, 0, 0, 0), (1, 0, 0, 1), (10, 0, 0, 4), (1, 1, 0, 1), (10, 2, 1, 1)],
        *[(1, 3, 1, 0), (10, 4, 0, 0), (1, 0, 2, 0), (0, 0, 4, 0)],
    ],
)
def test_how_many_are_missing(waiting: int, at_work: int, free: int, missing: int) -> None:
    erasers, pods = Erasers(), list[SeenPod]()
    for number in range(at_work + free):
        pods.append(pod(f"e{number}", 1.0, database=Key("default", f"d{number}")))
        erasers.begin(pods[-1].name, Key("default", f"d{number}"))
        erasers.asked(pods[-1].name)
    for there in pods[at_work:]:
        erasers.answered(there.name)
    for number in range(waiting):
        erasers.wait(Key("default", f"w{number}"), "default", 0.0)
    assert erasers.missing("default", pods) == missing
    assert erasers.missing("other", []) == 0
    lost = [replace(there, is_ready=False) for there in pods]
    assert erasers.missing("default", lost) == min(ERASERS_MAX, waiting), "nobody waits for these"


def test_one_that_is_just_being_labelled_is_no_surplus_of_the_pool() -> None:
    """It counts among those that wait for databases until it has its label."""
    erasers = Erasers()
    erasers.begin("a", SHOP)
    assert erasers.missing("default", [pod("a", 1.0)]) == 1
    assert erasers.missing("default", [pod("a", 1.0, database=SHOP)]) == 0
