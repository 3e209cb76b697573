"""A compute that ends without a word: another takes over once the kubelet has said so."""

from __future__ import annotations

import asyncio
import os
import signal
from time import sleep

import psycopg
import pytest

from e2e import node
from e2e.computes import (
    delete,
    end_of,
    has_moved,
    kept_to_be_seen,
    pod_of,
    somebody_is_warm,
)
from e2e.database import Database
from e2e.held import held_by_asyncpg, held_by_psycopg, is_held, is_held_by_asyncpg
from e2e.kubectl import until

CAPTURED_SECONDS = 2.0
"""After its last answer an idle session is captured: a tenth of a second on a machine that does
nothing else. Nobody can see it from outside."""


async def test_idle_sessions_outlive_a_pod_that_is_deleted_without_grace(
    database: Database,
) -> None:
    with held_by_psycopg(database) as client:
        client.execute("create table kept as select 42 as answer")
        async with held_by_asyncpg(database) as (other, statement):
            await asyncio.to_thread(_settled)
            before, epoch = pod_of(database), database.epoch
            with kept_to_be_seen(before):
                delete(before, "--grace-period=0", "--force")
                await asyncio.to_thread(has_moved, database, before)
                # A second may be enough to give the data back; else it is the kubelet who says so.
                assert _has_released(database) or end_of(before)
            is_held(client)
            await is_held_by_asyncpg(other, statement)
        assert client.execute("select answer from kept").fetchone() == (42,)
    assert database.epoch > epoch


async def test_idle_sessions_outlive_an_agent_that_is_killed(database: Database) -> None:
    node.needs_to_be_here()
    with held_by_psycopg(database) as client:
        client.execute("create table kept as select 42 as answer")
        async with held_by_asyncpg(database) as (other, statement):
            await asyncio.to_thread(_settled)
            before, epoch = pod_of(database), database.epoch
            with kept_to_be_seen(before):
                os.kill(node.agent_of(before), signal.SIGKILL)
                await asyncio.to_thread(has_moved, database, before)
                assert end_of(before)["exitCode"] == 128 + signal.SIGKILL
            await asyncio.to_thread(until, lambda: "TakenOver" in database.events, "it is told")
            assert before["metadata"]["name"] in database.events["ComputeLost"]
            is_held(client)
            await is_held_by_asyncpg(other, statement)
        assert client.execute("select answer from kept").fetchone() == (42,)
    assert database.epoch > epoch


def test_a_transaction_that_is_cut_hears_of_it_and_what_was_committed_stays(
    database: Database,
) -> None:
    node.needs_to_be_here()
    with database.connect() as client:
        client.execute("create table kept (n int)")
        client.execute("insert into kept values (1)")
        somebody_is_warm()
        before = pod_of(database)
        with pytest.raises(psycopg.OperationalError), client.transaction():
            client.execute("insert into kept values (2)")
            os.kill(node.agent_of(before), signal.SIGKILL)
            client.execute("select pg_sleep(60)")
    # Its session lives on where it had been captured just before; where it has not, nobody is
    # there to take over for until somebody comes.
    with database.connect() as another:
        assert another.execute("select n from kept").fetchall() == [(1,)]
        has_moved(database, before)


def test_a_postgres_that_is_killed_comes_back_in_its_pod(database: Database) -> None:
    node.needs_to_be_here()
    with held_by_psycopg(database) as client:
        _settled()
        before, epoch = pod_of(database), database.epoch
        postmaster = node.postmaster_of(before)
        os.kill(postmaster, signal.SIGKILL)
        until(lambda: node.postmaster_of(before) not in (0, postmaster), "it is started again")
        is_held(client)
    assert (database.epoch, pod_of(database)["metadata"]["uid"]) == (
        epoch,
        before["metadata"]["uid"],
    )


def _has_released(database: Database) -> bool:
    """Its last compute has stopped cleanly before another one was claimed."""
    last = database.status.get("lastSwitchover") or {}
    return bool(last.get("epoch") == database.epoch)


def _settled() -> None:
    """Waits until idle sessions are captured, and somebody is there to take over."""
    sleep(CAPTURED_SECONDS)
    somebody_is_warm()
