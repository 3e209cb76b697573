"""Shared buffers before a sleep and after the wake: see the port ``PagesSql``.

What loads pages is ``pg_prewarm``'s own function, of Postgres's contrib modules. It works on the
database that it is called in, so each needs it. The extension would stand among the objects of the
database's owner, and in every dump; a function in ``pg_catalog`` does neither. It is made once.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, TypeVar

import asyncpg

from torpor_api.failures import NotFound, Unavailable
from torpor_compute.adapters import pages_queries as queries
from torpor_compute.adapters.buffercache import find_or_make
from torpor_compute.core.kept_pages import FORKS, HOT_USAGE_MIN, PAGES_MIN, Batch, File, Found
from torpor_compute.ports import Loader, Room

log = logging.getLogger(__name__)

T = TypeVar("T")

Connection: TypeAlias = "asyncpg.Connection[Any]"

FOUND_SECONDS_MAX = 1.0
"""A database that is about to sleep does not wait longer for what would only make it faster."""

_LOST = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError)


class Asking(Protocol):
    """Over a connection that is kept; made anew where it is lost."""

    async def __call__(self, ask: Callable[[Connection], Awaitable[T]], /) -> T: ...


class Connecting(Protocol):
    """A connection of its own, to the agent's database or the one of this name."""

    def __call__(self, database: str = ..., /) -> AbstractAsyncContextManager[Connection]: ...


class KeptPagesSql:
    """See :class:`torpor_compute.ports.PagesSql`."""

    def __init__(self, ask: Asking, connecting: Connecting) -> None:
        self._ask = ask
        self._connecting = connecting
        self._buffercache: str | None = None
        """The schema of the extension, quoted."""

    async def found(self) -> tuple[Found, ...] | None:
        summary = await self._ask(self._summary)
        if summary is None or summary["buffers_used"] < PAGES_MIN:
            return None
        # On the kept one somebody might wait meanwhile, to log in.
        async with self._connecting() as connection, connection.transaction():
            await connection.execute(queries.NO_LONGER_THAN.format(seconds=FOUND_SECONDS_MAX))
            question = queries.PAGES.format(schema=self._buffercache)
            rows = await connection.fetch(question, HOT_USAGE_MIN, len(FORKS))
        return tuple(
            Found(File(database, tablespace, number, fork), is_hot, tuple(sorted(blocks)))
            for database, tablespace, number, fork, is_hot, blocks in rows
        )

    async def room(self) -> Room | None:
        return await self._ask(self._room)

    @contextlib.asynccontextmanager
    async def loading(self, database: int) -> AsyncIterator[Loader]:
        name = await self._ask(lambda kept: kept.fetchval(queries.DATABASE_NAME, database))
        if name is None:
            raise NotFound(f"database {database} is not there any more, or lets nobody in")
        async with self._connecting(name) as connection:
            if await connection.fetchval(queries.IS_NOT_WANTED):
                raise NotFound(f"database {name} has {queries.WISH} = off")
            await _make_loader(connection)
            yield PagesLoader(connection)

    async def _room(self, connection: Connection) -> Room | None:
        summary = await self._summary(connection)
        if summary is None:
            return None
        is_used = await connection.fetchval(queries.IS_USED)
        return Room(summary["buffers_unused"], is_used)

    async def _summary(self, connection: Connection) -> asyncpg.Record | None:
        """None: there is no extension, or somebody has dropped it just now."""
        if self._buffercache is None:
            self._buffercache = await find_or_make(connection)
        if self._buffercache is None:
            return None
        try:
            return await connection.fetchrow(queries.SUMMARY.format(schema=self._buffercache))
        except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError):
            self._buffercache = None
            return None


class PagesLoader:
    """See :class:`torpor_compute.ports.Loader`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def load(self, batch: Batch) -> bool:
        try:
            await self._connection.execute(queries.LOAD, *_arrays(batch))
        except _LOST:
            raise
        except asyncpg.PostgresError as error:
            # Cut off or locked just now, or damaged: that is told whoever reads it.
            log.debug("pages_not_loaded", extra={"reason": str(error)})
            return False
        return True


def _arrays(batch: Batch) -> tuple[Sequence[int | str], ...]:
    """Of files: tablespace, number, fork, and which of the ranges are its; and then of ranges: the
    first page and the last."""
    files, begins = [], 1
    for part in batch.parts:
        ends = begins + len(part.ranges) - 1
        files.append((part.file.tablespace, part.file.number, FORKS[part.file.fork], begins, ends))
        begins = ends + 1
    ranges = [each for part in batch.parts for each in part.ranges]
    return (*zip(*files, strict=True), *zip(*ranges, strict=True))


async def _make_loader(connection: Connection) -> None:
    try:
        if not await connection.fetchval(queries.HAS_LOADER):
            await connection.execute(queries.MAKE_LOADER)
        await connection.execute(queries.AS_LOADER)
    except _LOST:
        raise
    except asyncpg.PostgresError as error:
        raise Unavailable(f"pages can't be loaded: {error}") from None
