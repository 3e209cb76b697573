"""A compute that nobody can hear: it goes on, and nobody takes over before somebody may.

Its pod is cut off from everything and its kubelet is silent, as when a node has lost its network.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from e2e import kubectl, node
from e2e.computes import end_of, has_moved, pod_of, somebody_is_warm
from e2e.database import KIND, Database
from e2e.held import Sync, held_by_asyncpg, held_by_psycopg, is_held, is_held_by_asyncpg
from e2e.kubectl import Json, until

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service=nodeshutdown:NoSchedule"
"""With this effect nobody evicts the other pods of the only node."""

LONELY_SECONDS = 3.0
"""For which it is looked whether anybody takes over who must not."""

pytestmark = [pytest.mark.alone, pytest.mark.timeout(400, func_only=True)]
"""A node counts as not Ready about a minute after its kubelet's last word."""


@contextlib.contextmanager
def island(database: Database) -> Iterator[Json]:
    """Its compute, cut off, until the end of the block; there the status says what is missing."""
    node.needs_to_be_here()
    somebody_is_warm()
    before = pod_of(database)
    with node.silent_kubelet(), node.cut_off(before):
        until(lambda: _ready(database)["reason"] == "NotFenced", "the status says why it waits")
        yield before


def _ready(database: Database) -> Json:
    (found,) = [one for one in database.status["conditions"] if one["type"] == "Ready"]
    return dict(found)


@contextlib.contextmanager
def asking(client: Sync) -> Iterator[Callable[[str], Future[list[Any]]]]:
    """Makes somebody who waits for an answer."""
    with ThreadPoolExecutor(1) as threads:
        yield lambda statement: threads.submit(lambda: client.execute(statement).fetchall())


async def nobody_takes_over(database: Database, before: Json, waiting: Future[list[Any]]) -> None:
    await asyncio.sleep(LONELY_SECONDS)
    assert not waiting.done()
    assert database.status["compute"] == before["metadata"]["name"]
    assert _ready(database)["status"] == "False"
    assert not end_of(before)


@contextlib.asynccontextmanager
async def held(database: Database) -> AsyncIterator[Sync]:
    """By psycopg; another one, by asyncpg, is looked at when all is over."""
    with held_by_psycopg(database) as client:
        client.execute("create table kept (n int)")
        client.execute("insert into kept values (1)")
        async with held_by_asyncpg(database) as (other, statement):
            yield client
            is_held(client)
            await is_held_by_asyncpg(other, statement)


async def test_nobody_takes_over_before_the_kubelet_has_said_that_it_ended(
    database: Database,
) -> None:
    async with held(database) as client:
        epoch, app = database.epoch, database.binding["database"]
        with asking(client) as ask:
            with island(database) as before:
                # The compute is alive, and what it commits meanwhile counts.
                node.psql_within(before, app, "insert into kept values (2)")
                waiting = ask("select n from kept order by n")
                await nobody_takes_over(database, before, waiting)
                assert "no kubelet has said that it ended" in _ready(database)["message"]
                assert database.epoch == epoch
            assert await asyncio.to_thread(waiting.result) == [(1,), (2,)]
        assert end_of(before) and not node.processes_of(before)
        assert database.epoch == epoch + 1


async def test_a_persons_word_on_the_resource_releases_it(database: Database) -> None:
    async with held(database) as client:
        epoch = database.epoch
        with asking(client) as ask, island(database) as before:
            node.kill(before)
            waiting = ask("select n from kept")
            await nobody_takes_over(database, before, waiting)
            word = f"torpor.dev/gone-compute={before['metadata']['name']}"
            kubectl.kubectl("annotate", KIND, database.name, "-n", database.namespace, word)
            assert await asyncio.to_thread(waiting.result) == [(1,)]
            assert not end_of(before)
        assert database.epoch == epoch + 1


async def test_a_node_that_is_out_of_service_and_silent_releases_it(database: Database) -> None:
    async with held(database) as client:
        epoch = database.epoch
        with asking(client) as ask, island(database) as before:
            node.kill(before)
            until(lambda: not node.is_ready(), "the node is not Ready")
            waiting = ask("select n from kept")
            await nobody_takes_over(database, before, waiting)
            kubectl.kubectl("taint", "nodes", node.name(), OUT_OF_SERVICE)
            try:
                assert await asyncio.to_thread(waiting.result) == [(1,)]
            finally:
                kubectl.kubectl("taint", "nodes", node.name(), f"{OUT_OF_SERVICE}-")
            assert not end_of(before)
        assert database.epoch == epoch + 1
        has_moved(database, before)
