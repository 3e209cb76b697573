"""What a proxy tells Prometheus while real clients are at work: as many queries as they have asked,
and how long each of them has waited for what."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from support.agent import WAIT_SECONDS_MAX
from support.network_town import NetworkTown, opened_network_town
from support.ports import free_address

QUERIES = "torpor_query_seconds_count"
IN_FLIGHT = "torpor_queries_in_flight"
WOKEN, PLACED = (f'torpor_wait_seconds_count{{for="{what}"}}' for what in ("database", "place"))
"""How many sessions have waited for the one, or the other."""

SLEEP_SECONDS = 0.3
QUICKER, SLOWER = (f'torpor_query_seconds_bucket{{le="{bound}"}}' for bound in ("0.25", "60.0"))
"""Buckets up to less than that, and to as much as nobody takes here."""

QUITE_SOON_SECONDS = 10.0
"""On a machine that has other things to do."""

CLIENTS = 4
QUERIES_EACH = 25
SYNCS = 2
"""One in the middle of a pipeline, and one at its end."""


@dataclass
class Place:
    """A town with one proxy, which is asked."""

    town: NetworkTown
    url: str

    async def read(self) -> dict[str, float]:
        text = await asyncio.to_thread(self._fetch)
        lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("torpor_")]
        return {name: float(value) for name, _, value in lines}

    def _fetch(self) -> str:
        with urllib.request.urlopen(self.url, timeout=WAIT_SECONDS_MAX) as answer:
            return str(answer.read(), "utf-8")

    async def until(self, name: str, value: float) -> None:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while (await self.read())[name] != value:
                await asyncio.sleep(0.02)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    address = free_address()
    async with opened_network_town(proxy_options=["--health", str(address)]) as town:
        yield Place(town, f"http://{address}/metrics")


Connection = psycopg.AsyncConnection[Any]


async def simple(client: Connection) -> None:
    await client.execute("create table t (n int)")


async def extended(client: Connection) -> None:
    await client.execute("select %s::int", (1,))


async def failing(client: Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        await client.execute("select 1 / %s::int", (0,))


async def pipeline(client: Connection) -> None:
    async with client.pipeline() as sending:
        for n in range(100):
            await client.execute("select %s::int", (n,))
        await sending.sync()
        await client.execute("select %s::int", (100,))


async def copy_in(client: Connection) -> None:
    async with client.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
        for n in range(100):
            await copy.write_row((n,))


async def copy_out(client: Connection) -> None:
    async with client.cursor() as cursor, cursor.copy("copy t to stdout") as copy:
        assert len([row async for row in copy.rows()]) == 100


ASKED = {simple: 1, extended: 1, failing: 1, pipeline: SYNCS, copy_in: 1, copy_out: 1}
"""Queries, as Prometheus counts them: each is answered by one ReadyForQuery."""


async def cancelled(place: Place, client: Connection) -> None:
    """A query that runs until then."""
    running = asyncio.create_task(client.execute("select pg_sleep(600)"))
    await place.until(IN_FLIGHT, 1)
    assert (await place.read())["torpor_proxy_busy_sessions"] == 1
    await client.cancel_safe()
    with pytest.raises(psycopg.errors.QueryCanceled):
        await running
    assert (await place.read())[IN_FLIGHT] == 0


async def several_at_once(place: Place) -> None:
    async def work() -> None:
        # Not prepared by psycopg after a while, which would be a query more.
        async with await place.town.connect(prepare_threshold=None) as client:
            for n in range(QUERIES_EACH):
                await client.execute("select %s::int", (n,))

    await asyncio.gather(*(work() for _ in range(CLIENTS)))


async def test_every_query_is_counted_once_and_with_what_it_took(place: Place) -> None:
    before = await place.read()
    assert before[QUERIES] == before[WOKEN] == before[PLACED] == 0
    async with await place.town.connect() as client:
        woken = await place.read()
        assert (woken[WOKEN], woken[PLACED]) == (1, 0)
        assert woken['torpor_wait_seconds_sum{for="database"}'] > 0
        asked = 0
        for ask, queries in ASKED.items():
            await ask(client)
            asked += queries
            assert (await place.read())[QUERIES] == asked, ask.__name__
        quick = await place.read()
        await client.execute(f"select pg_sleep({SLEEP_SECONDS})")
        slow = await place.read()
        assert (slow[QUICKER] - quick[QUICKER], slow[SLOWER] - quick[SLOWER]) == (0, 1)
        took = slow["torpor_query_seconds_sum"] - quick["torpor_query_seconds_sum"]
        assert SLEEP_SECONDS <= took < QUITE_SOON_SECONDS
        await cancelled(place, client)
        await several_at_once(place)
        asked += 2 + CLIENTS * QUERIES_EACH
        told = await place.read()
        assert (told[QUERIES], told[WOKEN], told[PLACED]) == (asked, 1, CLIENTS)
        await place.town.fall_asleep()
        await client.execute("select 1")  # A keep-alive, which the proxy answers itself.
        assert (await place.read())[QUERIES] == asked
        await client.execute("select 2")
        told = await place.read()
        assert (told[QUERIES], told[WOKEN], told[PLACED]) == (asked + 1, 2, CLIENTS)
