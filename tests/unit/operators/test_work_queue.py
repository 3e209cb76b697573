"""Each target once, never twice at the same time, and after a failure with a pause that grows."""

from __future__ import annotations

import asyncio
import random

import pytest

from torpor_operator.core.naming import Key
from torpor_operator.core.targets import CERTIFICATES, Sort, Target, database
from torpor_operator.work_queue import PAUSE_S_MAX, PAUSE_S_MIN, WorkQueue

A, B = database(Key("n", "a")), database(Key("n", "b"))


async def taken(queue: WorkQueue) -> Target:
    async with asyncio.timeout(10):
        return await queue.take()


async def test_what_is_named_often_is_looked_at_once_and_in_order() -> None:
    queue = WorkQueue()
    queue.add([A, B, A])
    assert [await taken(queue), await taken(queue)] == [A, B]
    assert len(queue) == 2
    queue.done(A)
    queue.done(B)
    assert len(queue) == 0


async def test_a_pool_comes_before_all_databases() -> None:
    queue, pool = WorkQueue(), Target(Sort.POOL, Key("system", "default"))
    queue.add([A, B, pool, CERTIFICATES])
    assert [await taken(queue) for _ in range(4)] == [pool, CERTIFICATES, A, B]
    assert len(queue) == 4


async def test_what_is_named_while_it_is_looked_at_comes_once_more_and_not_at_once() -> None:
    queue = WorkQueue()
    queue.add([A])
    assert await taken(queue) == A
    queue.add([A, A, B])
    assert await taken(queue) == B
    queue.done(A)
    assert await taken(queue) == A
    queue.done(A)
    queue.done(B)
    assert len(queue) == 0


async def test_after_failures_the_pause_doubles_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = WorkQueue(random.Random(1))
    pauses: list[float] = []
    monkeypatch.setattr(queue, "add_later", lambda target, in_s: pauses.append(in_s))
    for _ in range(20):
        queue.add([A])
        await taken(queue)
        queue.done(A, failed=True)
    for number, pause in enumerate(pauses):
        bound = min(PAUSE_S_MAX, PAUSE_S_MIN * 2**number)
        assert bound / 2 <= pause <= bound
    queue.add([A])
    await taken(queue)
    queue.done(A)
    queue.add([A])
    await taken(queue)
    queue.done(A, failed=True)
    assert pauses[-1] <= PAUSE_S_MIN


async def test_news_of_what_has_failed_does_not_cut_its_pause_short() -> None:
    queue = WorkQueue(random.Random(1))
    queue.add([A])
    await taken(queue)
    queue.add([A])
    queue.done(A, failed=True)
    assert len(queue) == 0
    assert await taken(queue) == A
    queue.close()


async def test_of_two_moments_the_sooner_one_counts() -> None:
    queue = WorkQueue()
    queue.add_later(A, 0.01)
    queue.add_later(A, 1000)
    queue.add_later(B, 1000)
    queue.add_later(B, 0.02)
    assert [await taken(queue), await taken(queue)] == [A, B]
    queue.close()
