"""Two drivers behind one small face: ask, listen, and in which class an error is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import asyncpg
import psycopg

ERRORS = (
    psycopg.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""All that a driver may raise because of its server."""

LOST = "08006"
"""Where a driver has lost its connection and has no SQLSTATE for that."""

CONNECT_SECONDS_MAX = 90.0
ANSWER_SECONDS_MAX = 90.0
"""More than a wake may take, so that a client that is forgotten is found."""

Heard = Callable[[str], None]
"""Given each notification's payload."""


class Link(Protocol):
    """One connection."""

    good_at: float
    """When it asked the last question that was answered well: clients may read an answer late."""

    async def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows; with ``values`` for $1, $2 as a prepared statement."""

    async def listen(self, channel: str, heard: Heard) -> None: ...

    async def hear(self) -> None:
        """Let notifications come that are there."""

    async def close(self) -> None: ...

    @property
    def is_closed(self) -> bool: ...


class Psycopg:
    """Prepares a statement at its second use."""

    def __init__(self, connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self.good_at = time.monotonic()

    @classmethod
    async def connect(cls, uri: str) -> Psycopg:
        connection = psycopg.AsyncConnection.connect(
            uri, autocommit=True, prepare_threshold=1, cursor_factory=psycopg.AsyncRawCursor
        )
        return cls(await asyncio.wait_for(connection, CONNECT_SECONDS_MAX))

    async def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        asked_at = time.monotonic()
        asked = self._connection.execute(sql.encode(), values or None)
        cursor = await asyncio.wait_for(asked, ANSWER_SECONDS_MAX)
        self.good_at = asked_at
        return await cursor.fetchall() if cursor.description else []

    async def listen(self, channel: str, heard: Heard) -> None:
        self._connection.add_notify_handler(lambda said: heard(said.payload))
        await self.ask(f"listen {channel}")

    async def hear(self) -> None:
        # Its handlers are called while an answer is read.
        await self.ask("select 4")

    async def close(self) -> None:
        await self._connection.close()

    @property
    def is_closed(self) -> bool:
        return self._connection.closed


class Asyncpg:
    """Prepares every statement that has values, and listens by itself."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection
        self.good_at = time.monotonic()

    @classmethod
    async def connect(cls, uri: str) -> Asyncpg:
        return cls(await asyncpg.connect(uri, timeout=CONNECT_SECONDS_MAX, ssl=False))

    async def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        asked_at = time.monotonic()
        rows: list[Any] = []
        if values:
            rows = await self._connection.fetch(sql, *values, timeout=ANSWER_SECONDS_MAX)
        else:
            await self._connection.execute(sql, timeout=ANSWER_SECONDS_MAX)
        self.good_at = asked_at
        return [tuple(row) for row in rows]

    async def listen(self, channel: str, heard: Heard) -> None:
        await self._connection.add_listener(channel, lambda *said: heard(str(said[-1])))
        self.good_at = time.monotonic()

    async def hear(self) -> None:
        await self.ask("select 4")

    async def close(self) -> None:
        self._connection.terminate()

    @property
    def is_closed(self) -> bool:
        return self._connection.is_closed()


Connect = Callable[[str], Awaitable[Link]]

DRIVERS: dict[str, Connect] = {"psycopg": Psycopg.connect, "asyncpg": Asyncpg.connect}


def sqlstate_of(error: BaseException) -> str:
    """An unknown one's class counts as lost only where the connection is."""
    state = getattr(error, "sqlstate", None)
    if state or isinstance(error, TimeoutError):
        return str(state or "no answer")
    return LOST if isinstance(error, _OF_THE_CONNECTION) else type(error).__name__


_OF_THE_CONNECTION = (
    OSError,
    psycopg.OperationalError,
    asyncpg.InterfaceError,
    # Asked something between its server's last words and the end of the connection.
    asyncpg.InternalClientError,
)
