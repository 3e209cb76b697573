"""A compute whose pod is evicted: its database moves, and no idle session notices."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic

import psycopg
import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.computes import (
    DRAIN_SECONDS_MAX,
    SEEN_FINALIZER,
    delete,
    draining,
    end_of,
    evict,
    has_moved,
    kept_to_be_seen,
    pod_of,
    somebody_is_warm,
    tells_of_its_move,
)
from e2e.database import Database
from e2e.held import held_by_asyncpg, held_by_psycopg, is_held, is_held_by_asyncpg
from e2e.kubectl import WAIT_SECONDS_MAX, Json, until

LEAVE_SECONDS = 30.0
"""For which a transaction may go on in a pod that is evicted."""

PAUSE_SECONDS_MAX = 10.0
"""What others wait at most while somebody is in a transaction: ten times what they wait on a
machine that does nothing else."""


async def test_idle_sessions_do_not_notice_an_eviction(database: Database) -> None:
    with held_by_psycopg(database) as client:
        async with held_by_asyncpg(database) as (other, statement):
            await asyncio.to_thread(somebody_is_warm)
            before, epoch = pod_of(database), database.epoch
            with kept_to_be_seen(before):
                evict(before)
                await asyncio.to_thread(has_moved, database, before)
                is_held(client)
                await is_held_by_asyncpg(other, statement)
                await asyncio.to_thread(_has_ended_in_good_order, before)
    assert database.epoch > epoch
    await asyncio.to_thread(tells_of_its_move, database)


def _has_ended_in_good_order(pod: Json) -> None:
    """Waits. Then its object stays only for the test's sake."""
    name = pod["metadata"]["name"]
    until(lambda: end_of(pod).get("exitCode") == 0, f"{name} has ended with status 0")

    def is_let_go() -> bool:
        finalizers: list[str] = kubectl.get("pod", name, NAMESPACE)["metadata"]["finalizers"]
        return finalizers == [SEEN_FINALIZER]

    until(is_let_go, f"{name} is let go")


def test_a_pod_that_is_deleted_with_grace_is_the_same(database: Database) -> None:
    with held_by_psycopg(database) as client:
        somebody_is_warm()
        before = pod_of(database)
        delete(before)
        has_moved(database, before)
        is_held(client)
    tells_of_its_move(database)


@pytest.mark.alone
def test_a_drain_waits_for_a_transaction_which_holds_nobody_else_up(
    database: Database, calm: None
) -> None:
    """The only node is cordoned: nobody else is to take the compute that is warm."""
    with held_by_psycopg(database) as client, database.connect() as busy:
        busy.execute("create table kept (n int)")
        somebody_is_warm()
        before = pod_of(database)
        with contextlib.ExitStack() as ending:
            with busy.transaction():
                busy.execute("insert into kept values (1)")
                drain = ending.enter_context(draining(before))
                until(lambda: _is_deleted(before), "it is evicted")
                for _ in range(10):
                    began = monotonic()
                    is_held(client)
                    assert monotonic() - began < PAUSE_SECONDS_MAX
                    busy.execute("select pg_sleep(0.5)")
                assert pod_of(database)["metadata"]["name"] == before["metadata"]["name"]
                assert drain.poll() is None, "the drain waits for the transaction"
            words, _ = drain.communicate(timeout=DRAIN_SECONDS_MAX)
            assert drain.returncode == 0, words
        has_moved(database, before)
        assert busy.execute("select n from kept").fetchall() == [(1,)]
        is_held(client)


def _is_deleted(pod: Json) -> bool:
    return "deletionTimestamp" in kubectl.get("pod", pod["metadata"]["name"], NAMESPACE)["metadata"]


def test_a_transaction_that_takes_longer_is_ended_and_nobody_else_is(database: Database) -> None:
    with held_by_psycopg(database) as client, database.connect() as busy:
        busy.execute("create table kept (n int)")
        somebody_is_warm()
        before, began = pod_of(database), monotonic()
        with kept_to_be_seen(before):
            with pytest.raises(psycopg.OperationalError), busy.transaction():
                busy.execute("insert into kept values (1)")
                evict(before)
                while monotonic() < began + WAIT_SECONDS_MAX:
                    busy.execute("select pg_sleep(0.5)")
            assert monotonic() - began > LEAVE_SECONDS / 2
            is_held(client)
            has_moved(database, before)
            _has_ended_in_good_order(before)
        assert client.execute("select n from kept").fetchall() == []
    tells_of_its_move(database)


async def test_a_listener_hears_what_is_notified_after_a_move(database: Database) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await database.connect_asyncpg()
    try:
        await listener.add_listener("news", lambda *told: heard.put_nowait(told[-1]))
        await asyncio.to_thread(somebody_is_warm)
        before = pod_of(database)
        evict(before)
        await asyncio.to_thread(has_moved, database, before)
        other = await database.connect_asyncpg()
        await other.execute("notify news, 'moved'")
        await other.close()
        assert await asyncio.wait_for(heard.get(), WAIT_SECONDS_MAX) == "moved"
    finally:
        await listener.close()
