"""Many more clients than a compute accepts connections: each has a whole session, none an error."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from support.up import Database, Up, a_database, running_up
from support.wire_client import Reported, WireClient, logged_in, query

CONNECTIONS = 12
"""Of each compute."""

CROWD = 200
"""Many more than there are connections, and than are let in at once."""

LOGINS_AT_ONCE = 20

ROLES = [
    {"name": "app"},
    {"name": "few", "password": "few", "connectionLimit": 4},
]


@pytest.fixture(scope="module")
def small_up() -> Iterator[Up]:
    """Its computes accept few connections."""
    with running_up(TORPOR_COMPUTE_MAX_CONNECTIONS=str(CONNECTIONS)) as started:
        yield started


@pytest.fixture
def small(small_up: Up) -> Iterator[Database]:
    with a_database(small_up) as made:
        yield made


class Client:
    """A session that nobody else's can be mistaken for."""

    def __init__(self, number: int, connection: asyncpg.Connection) -> None:
        self._number = number
        self._connection = connection

    async def begin(self) -> None:
        await self._connection.execute(f"set app.me = 'client {self._number}'")
        await self._connection.execute(f"set work_mem = '{self._number + 64}kB'")
        await self._connection.execute(f"prepare mine as select {self._number}")

    async def see_its_own(self) -> None:
        found = await self._connection.fetchval(
            "select (current_setting('app.me'), current_setting('work_mem'))"
        )
        assert found == (f"client {self._number}", f"{self._number + 64}kB")
        assert await self._connection.fetchval("execute mine") == self._number

    async def transact(self) -> None:
        async with self._connection.transaction():
            await self._connection.execute("insert into seen values ($1)", self._number)
            seen = "select count(*) from seen where n = $1"
            assert await self._connection.fetchval(seen, self._number) == 1


@contextlib.asynccontextmanager
async def crowd(
    database: Database, count: int, user: str | None = None
) -> AsyncIterator[list[Client]]:
    """So many clients; each has begun."""
    at_once = asyncio.Semaphore(LOGINS_AT_ONCE)
    connections: list[asyncpg.Connection] = []

    async def one(number: int) -> Client:
        async with at_once:
            made = await asyncpg.connect(database.uri(user), ssl=False)
        connections.append(made)
        client = Client(number, made)
        await client.begin()
        return client

    try:
        yield await asyncio.gather(*(one(number) for number in range(count)))
    finally:
        for connection in connections:
            connection.terminate()


async def test_a_crowd_of_sessions_shares_few_connections(small: Database) -> None:
    with logged_in(small) as client:
        client.query("create table seen (n int)")
        assert int(client.query("show max_connections")[0][0] or 0) == CONNECTIONS + 6
    async with crowd(small, CROWD) as clients:
        await asyncio.gather(*(client.see_its_own() for client in clients))
        await asyncio.gather(*(client.transact() for client in clients))
        await asyncio.to_thread(small.fall_asleep)
        # All at once: one wake, and one after the other to a connection.
        await asyncio.gather(*(client.see_its_own() for client in clients))


def holding_locks(stack: contextlib.ExitStack, database: Database, count: int) -> list[WireClient]:
    clients = [stack.enter_context(logged_in(database)) for _ in range(count)]
    for number, client in enumerate(clients):
        client.query(f"select pg_advisory_lock({number % 2})" if number < 2 else "begin")
    return clients


def test_who_finds_all_connections_pinned_is_told_by_what() -> None:
    with contextlib.ExitStack() as stack:
        few = {"TORPOR_COMPUTE_MAX_CONNECTIONS": str(CONNECTIONS)}
        up = stack.enter_context(running_up(TORPOR_PROXY_WAKE_TIMEOUT_S="3", **few))
        small = up.database()
        clients = holding_locks(stack, small, CONNECTIONS - 1)
        with pytest.raises(Reported) as told, logged_in(small) as late:
            late.query("select 2")
        words = str(told.value)
        assert words.startswith(f'53300: database "{small.name}" has no connection free')
        assert f"{CONNECTIONS - 1} are taken, 2 by pinned sessions" in words
        assert f"{CONNECTIONS - 3} × is idle in a transaction" in words
        assert "1 × holds advisory lock 0" in words
        clients[-1].ask(query("commit"))
        with logged_in(small) as late:
            assert late.query("select 'let in'") == [(b"let in",)]


async def test_a_compute_that_others_fill_as_well(small: Database) -> None:
    address = str(small.up.folder.compute_directory(small.status["compute"]))
    others = [
        await asyncpg.connect(host=address, user="torpor_admin", database="app")
        for _ in range(CONNECTIONS - 2)
    ]
    async with crowd(small, 3 * CONNECTIONS) as clients:
        await asyncio.gather(*(client.see_its_own() for client in clients))
    for other in others:
        await other.close()


async def test_a_role_s_own_limit_is_kept_and_never_in_the_way() -> None:
    """A session has one connection at a time, the one that is just ending included."""
    with running_up(
        "--park-every-safe-point", TORPOR_COMPUTE_MAX_CONNECTIONS=str(CONNECTIONS)
    ) as up:
        database = up.database(roles=ROLES)
        async with crowd(database, 4, "few") as few, crowd(database, 3 * CONNECTIONS) as many:
            for _ in range(5):
                await asyncio.gather(*(client.see_its_own() for client in (*few, *many)))
            with pytest.raises(asyncpg.TooManyConnectionsError):
                await asyncpg.connect(database.uri("few"), ssl=False)
