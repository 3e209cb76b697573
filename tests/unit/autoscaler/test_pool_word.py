"""The cluster hears the latest word about the pool, and none twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_autoscaler import pool_word
from torpor_autoscaler.lifecycle.warm_pool import WarmPool
from torpor_autoscaler.pool_word import PoolWord
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


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_changes_while_it_speaks_is_said_next() -> None:
    cluster, pool = SlowCluster(), WarmPool(1)
    pool.learn(agent(1))
    word = PoolWord(pool, cluster)
    word.say_if_changed()
    await turns()
    pool.take("shop", None)
    word.say_if_changed()
    cluster.may_answer.set()
    await turns()
    assert [said.claimed for said in cluster.words] == [(), ("c1",)]


async def test_the_same_is_not_said_twice() -> None:
    cluster, pool = SlowCluster(), WarmPool(3)
    cluster.may_answer.set()
    word = PoolWord(pool, cluster)
    for _ in range(3):
        word.say_if_changed()
        await turns()
    assert [said.size for said in cluster.words] == [3]


async def test_what_was_not_heard_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_word, "RETRY_S_MIN", 0.0)
    cluster, pool = SlowCluster(refusals=2), WarmPool(3)
    cluster.may_answer.set()
    word = PoolWord(pool, cluster)
    word.say_if_changed()
    await turns()
    assert len(cluster.words) == 3
    await word.close()


async def test_each_pool_hears_its_own_and_none_waits_for_another() -> None:
    cluster, pool = SlowCluster(refusals=1), WarmPool(1, "default")
    word = PoolWord(pool, cluster)
    word.say_if_changed()
    await turns()
    for name in ("a", "b"):
        pool.take(name, None, pool="fast")
    word.say_if_changed()
    await turns()
    assert [(said.pool, said.size) for said in cluster.words] == [("default", 1), ("fast", 2)]
    await word.close()


async def test_on_a_cluster_a_claim_of_one_that_was_warm_is_no_news() -> None:
    cluster, pool = SlowCluster(), WarmPool(1, "default")
    cluster.may_answer.set()
    pool.learn(agent(1, "default"))
    word = PoolWord(pool, cluster)
    word.say_if_changed()
    await turns()
    pool.take("a", None, pool="default")
    word.say_if_changed()
    await turns()
    assert [said.size for said in cluster.words] == [1]


async def test_a_defect_does_not_silence_it() -> None:
    cluster, pool = SlowCluster(refusals=1, failure=RuntimeError("a defect")), WarmPool(1)
    cluster.may_answer.set()
    word = PoolWord(pool, cluster)
    word.say_if_changed()
    await turns()
    pool.bind("a", "c1")
    word.say_if_changed()
    await turns()
    assert [said.claimed for said in cluster.words] == [(), ("c1",)]
