"""What Postgres is asked once a second while somebody watches: see the port ``SampleSql``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias, TypeVar

import asyncpg

from torpor_api.failures import NotFound
from torpor_api.messages import PostgresUse
from torpor_compute.adapters import queries
from torpor_compute.adapters.buffercache import find_or_make
from torpor_compute.core.working_set import SeenPage, SharedBuffers

T = TypeVar("T")

Connection: TypeAlias = "asyncpg.Connection[Any]"

_Gone = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
)
"""Somebody has dropped the extension."""


class Asking(Protocol):
    """Over a connection that is kept; made anew where it is lost."""

    async def __call__(self, ask: Callable[[Connection], Awaitable[T]], /) -> T: ...


class KeptSampleSql:
    """See :class:`torpor_compute.ports.SampleSql`."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask
        self._buffercache: str | None = None
        """The schema of the extension, quoted."""
        self._statements: str | None = None
        self._has_looked_for_statements = False

    async def use(self) -> PostgresUse | None:
        async def ask(connection: Connection) -> PostgresUse | None:
            major = connection.get_server_version().major
            if major < queries.PG_STAT_IO_SINCE:
                return None
            found = await connection.fetchrow(queries.use(major))
            assert found is not None
            totals = dict(found)
            waits = Counter[str](totals.pop("waits"))
            return PostgresUse(
                **totals, waiting_backends=dict(waits), **await self._statements_of(connection)
            )

        return await self._ask(ask)

    async def shared_buffers(self) -> SharedBuffers | None:
        async def ask(connection: Connection) -> SharedBuffers | None:
            self._buffercache = await find_or_make(connection)
            if self._buffercache is None:
                return None
            found = await connection.fetchrow(queries.SHARED_BUFFERS)
            assert found is not None
            return SharedBuffers(**found)

        return await self._ask(ask)

    async def followed_pages(self, one_in: int) -> tuple[SeenPage, ...]:
        async def ask(connection: Connection) -> tuple[SeenPage, ...]:
            question = queries.FOLLOWED_PAGES.format(schema=self._buffercache)
            try:
                rows = await connection.fetch(question, one_in - 1)
            except _Gone as error:
                raise NotFound(f"pages can't be followed any more: {error}") from None
            return tuple(
                SeenPage(key, usage, is_dirty, is_pinned)
                for key, usage, is_dirty, is_pinned, _ in rows
            )

        assert self._buffercache is not None
        return await self._ask(ask)

    async def _statements_of(self, connection: Connection) -> dict[str, Any]:
        if not self._has_looked_for_statements:
            self._statements = await connection.fetchval(queries.STATEMENTS_SCHEMA)
            self._has_looked_for_statements = True
        if self._statements is None:
            return {}
        try:
            found = await connection.fetchrow(queries.STATEMENTS.format(schema=self._statements))
        except _Gone:
            self._statements = None
            return {}
        return dict(found or {})
