"""The cluster hears the latest word about the pool, and none twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_api.resource import Endpoint
from torpor_autoscaler import pool_word
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.lifecycle.world import World
from torpor_autoscaler.pool_word import LOOK_EVERY_S, PoolWord
from unit.autoscaler.story import agent


class SlowCluster:
    """Answers when the test lets it; refuses as often as the test says."""

    def __init__(self, refusals: int = 0, failure: Exception | None = None) -> None:
        self._failure = failure or Unavailable("not now")
        self.words: list[m.SetWarmPool] = []
        self.may_answer = asyncio.Event()
        self._refusals = refusals

    async def ask(self, request: Any, *, timeout_s: float, can_wait: bool = False) -> Any:
        self.words.append(request)
        await self.may_answer.wait()
        if self._refusals:
            self._refusals -= 1
            raise self._failure
        return m.Done()


def world_of(warm: int, pool: str = "", warm_max: int | None = None) -> World:
    endpoint = Endpoint(host="db.example", port=5432)
    return World(Limits(), warm=warm, warm_max=warm_max, endpoint=endpoint, now=0.0, pool=pool)


def word_of(world: World, cluster: SlowCluster) -> PoolWord:
    return PoolWord(world, cluster, lambda: world.now)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_changes_while_it_speaks_is_said_next() -> None:
    cluster, world = SlowCluster(), world_of(1)
    world.pool.learn(agent(1))
    word = word_of(world, cluster)
    word.stepped()
    await turns()
    world.pool.take("shop", None)
    word.stepped()
    cluster.may_answer.set()
    await turns()
    assert [said.claimed for said in cluster.words] == [(), ("c1",)]


async def test_the_same_is_not_said_twice() -> None:
    cluster, world = SlowCluster(), world_of(3)
    cluster.may_answer.set()
    word = word_of(world, cluster)
    for _ in range(3):
        word.stepped()
        await turns()
    assert [said.size for said in cluster.words] == [3]


async def test_what_was_not_heard_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_word, "RETRY_S_MIN", 0.0)
    cluster, world = SlowCluster(refusals=2), world_of(3)
    cluster.may_answer.set()
    word = word_of(world, cluster)
    word.stepped()
    await turns()
    assert len(cluster.words) == 3
    await word.close()


async def test_each_pool_hears_its_own_and_none_waits_for_another() -> None:
    cluster, world = SlowCluster(refusals=1), world_of(1, "default")
    word = word_of(world, cluster)
    word.stepped()
    await turns()
    for name in ("a", "b"):
        world.pool.take(name, None, pool="fast")
    word.stepped()
    await turns()
    assert [(said.pool, said.size) for said in cluster.words] == [("default", 1), ("fast", 2)]
    await word.close()


async def test_on_a_cluster_a_claim_of_one_that_was_warm_is_no_news() -> None:
    cluster, world = SlowCluster(), world_of(1, "default")
    cluster.may_answer.set()
    world.pool.learn(agent(1, "default"))
    word = word_of(world, cluster)
    word.stepped()
    await turns()
    world.pool.take("a", None, pool="default")
    word.stepped()
    await turns()
    assert [said.size for said in cluster.words] == [1]


async def test_a_defect_does_not_silence_it() -> None:
    cluster, world = SlowCluster(refusals=1, failure=RuntimeError("a defect")), world_of(1)
    cluster.may_answer.set()
    word = word_of(world, cluster)
    word.stepped()
    await turns()
    world.pool.bind("a", "c1")
    word.stepped()
    await turns()
    assert [said.claimed for said in cluster.words] == [(), ("c1",)]


async def test_a_wake_raises_the_size_and_says_why_and_time_lowers_it_again() -> None:
    cluster, world = SlowCluster(), world_of(1, "default", warm_max=10)
    cluster.may_answer.set()
    word = word_of(world, cluster)
    word.begin()
    await turns()
    world.stocks.of("default").came(world.wall_s)
    world.pool.learn(agent(1, "default"))
    world.pool.take("a", None, pool="default")
    word.stepped()
    await turns()
    later = LOOK_EVERY_S
    while later < 700:
        world.now, world.wall_s = later, later
        word.look()
        await turns()
        later += LOOK_EVERY_S
    assert [said.size for said in cluster.words] == [1, 3, 2, 1]
    assert cluster.words[1].decision.startswith("3 wait warm for 0.15 CU, by wakes of late: ")
    await word.close()


async def test_at_rest_nothing_is_said() -> None:
    cluster, world = SlowCluster(), world_of(2, "default", warm_max=10)
    cluster.may_answer.set()
    word = word_of(world, cluster)
    for seconds in range(0, 7200, 10):
        world.now, world.wall_s = float(seconds), float(seconds)
        word.look()
        await turns()
    assert len(cluster.words) == 1
