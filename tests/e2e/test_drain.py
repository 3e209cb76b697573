"""A compute whose pod is evicted: its database moves, and no idle session notices."""

from __future__ import annotations

import asyncio
from time import monotonic

import psycopg
import pytest

from e2e import kubectl, node
from e2e.computes import delete, end_of, evict, has_moved, pod_of, somebody_is_warm
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
            evict(before)
            await asyncio.to_thread(has_moved, database, before)
            is_held(client)
            await is_held_by_asyncpg(other, statement)
    assert database.epoch == epoch + 1
    assert database.status["lastSwitchover"]["epoch"] == epoch + 1
    until(lambda: end_of(before).get("exitCode") == 0, "its pod has ended in good order")


def test_a_pod_that_is_deleted_with_grace_is_the_same(database: Database) -> None:
    with held_by_psycopg(database) as client:
        somebody_is_warm()
        before = pod_of(database)
        delete(before)
        has_moved(database, before)
        is_held(client)
    assert database.status["lastSwitchover"]["epoch"] == database.epoch


@pytest.mark.alone
def test_a_drain_waits_for_a_transaction_which_holds_nobody_else_up(database: Database) -> None:
    with held_by_psycopg(database) as client, database.connect() as busy:
        busy.execute("create table kept (n int)")
        somebody_is_warm()
        before = pod_of(database)
        with busy.transaction():
            busy.execute("insert into kept values (1)")
            try:
                _drain(before)
                for _ in range(10):
                    began = monotonic()
                    is_held(client)
                    assert monotonic() - began < PAUSE_SECONDS_MAX
                    busy.execute("select pg_sleep(0.5)")
            finally:
                kubectl.kubectl("uncordon", node.name())
            assert pod_of(database)["metadata"]["name"] == before["metadata"]["name"]
        has_moved(database, before)
        assert busy.execute("select n from kept").fetchall() == [(1,)]
        is_held(client)


def _drain(pod: Json) -> None:
    """Of this one pod, as ``kubectl drain`` does it; and no longer than until it is asked for: the
    object stays for a while after its end."""
    labels = pod["metadata"]["labels"]
    words = ("torpor.dev/database", "torpor.dev/database-namespace")
    chosen = ",".join(f"{word}={labels[word]}" for word in words)
    drain = ("drain", node.name(), f"--pod-selector={chosen}", "--timeout=2s")
    options = ("--ignore-daemonsets", "--delete-emptydir-data", "--force")
    with pytest.raises(kubectl.KubectlFailed, match="deadline exceeded"):
        kubectl.kubectl(*drain, *options)


def test_a_transaction_that_takes_longer_is_ended_and_nobody_else_is(database: Database) -> None:
    with held_by_psycopg(database) as client, database.connect() as busy:
        busy.execute("create table kept (n int)")
        somebody_is_warm()
        before, began = pod_of(database), monotonic()
        with pytest.raises(psycopg.OperationalError), busy.transaction():
            busy.execute("insert into kept values (1)")
            evict(before)
            while monotonic() < began + WAIT_SECONDS_MAX:
                busy.execute("select pg_sleep(0.5)")
        assert monotonic() - began > LEAVE_SECONDS / 2
        is_held(client)
        has_moved(database, before)
        assert client.execute("select n from kept").fetchall() == []
    assert database.status["lastSwitchover"]["epoch"] == database.epoch
    until(lambda: end_of(before).get("exitCode") == 0, "its pod has ended in good order")


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
