"""Clients that stay: by psycopg and by asyncpg, each with a state that only its session has."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias

import asyncpg
import psycopg

from e2e.database import Database

Sync = psycopg.Connection[tuple[Any, ...]]
Async: TypeAlias = "asyncpg.Connection[Any]"
"""In quotes: only type checkers know its parameter."""


@contextlib.contextmanager
def held_by_psycopg(database: Database) -> Iterator[Sync]:
    with database.connect() as client:
        client.execute("set work_mem = '5MB'")
        client.execute("set app.tenant = 'seven'")
        client.execute("prepare twice as select $1::int * 2")
        yield client


def is_held(client: Sync) -> None:
    """Everything that the session had it has."""
    assert client.execute("execute twice(21)").fetchone() == (42,)
    assert client.execute("show work_mem").fetchone() == ("5MB",)
    assert client.execute("show app.tenant").fetchone() == ("seven",)


@contextlib.asynccontextmanager
async def held_by_asyncpg(database: Database) -> AsyncIterator[tuple[Async, Any]]:
    """With a prepared statement, which is used once: what is only prepared asyncpg leaves without a
    Sync, and Postgres waits for the rest of it."""
    client = await database.connect_asyncpg(server_settings={"application_name": "held"})
    try:
        await client.execute("set work_mem = '6MB'")
        statement = await client.prepare("select $1::text || '!'")
        assert await statement.fetchval("here") == "here!"
        yield client, statement
    finally:
        await client.close()


async def is_held_by_asyncpg(client: Async, statement: Any) -> None:
    assert await statement.fetchval("still here") == "still here!"
    assert await client.fetchval("show work_mem") == "6MB"
    assert await client.fetchval("show application_name") == "held"
