"""Computes that nobody can hear: they go on, and nobody takes over before somebody may.

Their kubelet is silent, as when a node has lost its network. Databases are held by clients
meanwhile, and each gets another compute by another word: a person's, the kubelet's in the end, and
that of a node which is out of service.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e import kubectl, node
from e2e.cluster import NAMESPACE
from e2e.computes import end_of, has_moved, kept_to_be_seen, pod_of
from e2e.conftest import MakeDatabase
from e2e.database import KIND, Database
from e2e.held import Sync, held_by_asyncpg, held_by_psycopg, is_held, is_held_by_asyncpg
from e2e.installation import warm_computes
from e2e.kubectl import Json, until

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service=nodeshutdown:NoSchedule"
"""With this effect nobody evicts the other pods of the only node."""

LONELY_SECONDS = 3.0
"""For which it is looked whether anybody takes over who must not."""

pytestmark = [pytest.mark.alone, pytest.mark.timeout(500, func_only=True)]
"""An agent is asked for half a minute before it counts as lost, and its pod is waited for."""


@dataclass
class Lost:
    """A database whose compute nobody hears, and a client of it who waits for an answer.

    He asks when it is known: what was asked before ends with an error, and a wake is waited for a
    minute.
    """

    database: Database
    client: Sync
    pod: Json
    epoch: int
    threads: ThreadPoolExecutor
    waiting: Future[list[Any]] = field(init=False)

    def is_not_fenced(self) -> bool:
        found = _ready(self.database)
        return found["reason"] == "NotFenced" and "no kubelet has said" in found["message"]

    def has_said_so(self) -> bool:
        return "torpor.dev/gone-compute" in self.database.events.get("NotFenced", "")

    async def asks_in_vain(self) -> None:
        self.waiting = self.threads.submit(_kept, self.client)
        await asyncio.sleep(LONELY_SECONDS)
        assert not self.waiting.done()
        status = await asyncio.to_thread(lambda: self.database.status)
        assert status["compute"] == self.pod["metadata"]["name"]
        assert status["epoch"] == self.epoch
        assert not end_of(self.pod)

    async def is_served(self, *answer: tuple[int]) -> None:
        """By another compute; what the old one has committed counts."""
        assert await asyncio.to_thread(self.waiting.result, kubectl.WAIT_SECONDS_MAX) == [*answer]
        await asyncio.to_thread(has_moved, self.database, self.pod)
        assert self.database.epoch == self.epoch + 1


async def test_nobody_takes_over_before_somebody_may(
    make_database: MakeDatabase, calm: None
) -> None:
    """Two computes are cut off from everything, and their kubelet is silent."""
    node.needs_to_be_here()
    databases = [make_database() for _ in range(2)]
    async with contextlib.AsyncExitStack() as stack, several_clients(databases) as lost:
        stack.enter_context(several_warm(len(databases)))
        for one in lost:
            stack.enter_context(kept_to_be_seen(one.pod))
        with contextlib.ExitStack() as island:
            island.enter_context(node.silent_kubelet())
            for one in lost:
                island.enter_context(node.cut_off(one.pod))
            for one in lost:
                await asyncio.to_thread(until, one.is_not_fenced, "the status says why it waits")
                await asyncio.to_thread(until, one.has_said_so, "and so does an event")
            await a_persons_word_releases(lost[0])
            await lost[1].asks_in_vain()
            # This one is alive, and what it commits meanwhile counts.
            app = lost[1].database.binding["database"]
            node.psql_within(lost[1].pod, app, "insert into kept values (2)")
        await lost[1].is_served((1,), (2,))
        assert end_of(lost[1].pod) and not node.processes_of(lost[1].pod)


async def a_persons_word_releases(one: Lost) -> None:
    node.kill(one.pod)
    await one.asks_in_vain()
    word = f"torpor.dev/gone-compute={one.pod['metadata']['name']}"
    kubectl.kubectl("annotate", KIND, one.database.name, "-n", one.database.namespace, word)
    await one.is_served((1,))
    assert not end_of(one.pod)


async def test_a_node_that_is_out_of_service_is_believed_to_be_off(
    make_database: MakeDatabase, calm: None
) -> None:
    """The power fails: nobody says so but a person, by the taint that Kubernetes has for it."""
    node.needs_to_be_here()
    database = make_database()
    async with contextlib.AsyncExitStack() as stack, several_clients([database]) as (one,):
        stack.enter_context(several_warm(1))
        stack.enter_context(kept_to_be_seen(one.pod))
        stack.enter_context(node.silent_kubelet())
        node.kill(one.pod)
        await one.asks_in_vain()
        await asyncio.to_thread(node.count_as_silent)
        kubectl.kubectl("taint", "nodes", node.name(), OUT_OF_SERVICE)
        try:
            await one.is_served((1,))
        finally:
            kubectl.kubectl("taint", "nodes", node.name(), f"{OUT_OF_SERVICE}-")
        assert not end_of(one.pod)


@contextlib.asynccontextmanager
async def several_clients(databases: list[Database]) -> AsyncIterator[list[Lost]]:
    async with contextlib.AsyncExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(len(databases)))
        clients = [await stack.enter_async_context(held(database)) for database in databases]
        yield [
            Lost(database, client, pod_of(database), database.epoch, threads)
            for database, client in zip(databases, clients, strict=True)
        ]


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


def _kept(client: Sync) -> list[Any]:
    return client.execute("select n from kept order by n").fetchall()


def _ready(database: Database) -> Json:
    (found,) = [one for one in database.status["conditions"] if one["type"] == "Ready"]
    return dict(found)


@contextlib.contextmanager
def several_warm(count: int) -> Iterator[None]:
    """No pod starts while the kubelet is silent."""
    size = kubectl.get("warmpool", "default", NAMESPACE)["spec"]["size"]
    _size_pool({**size, "min": count})
    try:
        until(lambda: len(warm_computes()) >= count, f"{count} computes are warm")
        yield
    finally:
        _size_pool(size)


def _size_pool(size: Json) -> None:
    patch = json.dumps({"spec": {"size": size}})
    options = ("--namespace", NAMESPACE, "--type=merge", f"--patch={patch}")
    kubectl.kubectl("patch", "warmpool", "default", *options)
