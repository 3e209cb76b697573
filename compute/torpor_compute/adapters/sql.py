"""Questions to Postgres as its bootstrap superuser, over the Unix socket.

One connection is kept, so that a question about a role takes a millisecond; what may take longer
gets a connection of its own. A tenant can be superuser, so nothing of the server's own settings is
trusted: what matters here stands in the startup packet, which outranks ``ALTER ROLE … SET``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.failures import InvalidRequest, StorageFull, Unavailable
from torpor_api.resource import DatabaseSpec
from torpor_compute.adapters import queries
from torpor_compute.adapters.cron_sql import KeptCronJobs
from torpor_compute.adapters.pages_sql import KeptPagesSql
from torpor_compute.adapters.sample_sql import KeptSampleSql
from torpor_compute.core import login_facts, role_sql
from torpor_compute.core.access_rules import ADMIN
from torpor_compute.core.activity import CLIENT_KINDS, Counters, ProcessRow, activity_of, describe
from torpor_compute.core.login_facts import RoleRow
from torpor_compute.core.postgres_options import PORT
from torpor_compute.ports import Clients

T = TypeVar("T")

CONNECT_SECONDS_MAX = 10.0
"""After a crash of one backend Postgres starts anew by itself and lets nobody in for a moment."""

ANSWER_SECONDS_MAX = 10.0
"""For the short questions; they take about a millisecond."""

TRIES_MAX = 3
"""Of one question. A connection that is made before Postgres has noticed the death of a backend is
lost with all others; the next one is let in only when it has recovered."""

WORK_SECONDS_MAX = 600.0
"""For a checkpoint or for new databases."""

CLOSE_SECONDS_MAX = 1.0

_RETRY_SECONDS = 0.01

_ENTRY_STEPS = 2
"""Before Postgres 18 lists a newcomer it waits for its first message, then for its login: each for
``authentication_timeout`` at most."""

_ENTRY_SPARE_SECONDS = 1.0
"""From the start of a newcomer's process to its first timer."""

_DATABASE = "postgres"
"""Not ``template1``: nobody could create a database while we are connected to that."""

_SETTINGS = {
    "application_name": "torpor_agent",
    "search_path": "pg_catalog",
    "event_triggers": "off",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": "5s",
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_min_error_statement": "panic",
    "jit": "off",
}
"""Event triggers would run a tenant's code as our superuser; logs would show verifiers."""

_Failed = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Whatever asyncpg raises; the last where a connection is lost between two of its steps."""

_NotYet = (
    BlockingIOError,  # A herd has filled the socket's queue.
    ConnectionResetError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
)


class AdminSql:
    """See :class:`torpor_compute.ports.Sql`."""

    def __init__(self, socket_directory: Path) -> None:
        self._directory = socket_directory
        self._kept: asyncpg.Connection[Any] | None = None
        self._is_closed = False
        self._one_at_a_time = asyncio.Lock()
        self._read_before: int | None = None
        self.samples = KeptSampleSql(self._ask)
        self.pages = KeptPagesSql(self._ask, self._at_work)
        self._jobs = KeptCronJobs(self._at_work)

    async def role(self, name: str, superusers: Collection[str]) -> RoleFacts | None:
        async def ask(connection: asyncpg.Connection[Any]) -> RoleFacts | None:
            found = await connection.fetchrow(queries.ONE_ROLE, name)
            if found is not None and login_facts.needs_admission(_role_row(found), superusers):
                await connection.execute(role_sql.admission(name))
                found = await connection.fetchrow(queries.ONE_ROLE, name)
            return None if found is None else login_facts.facts_of(_role_row(found), superusers)

        return await self._ask(ask)

    async def facts(self, superusers: Collection[str]) -> LoginFacts:
        async def ask(connection: asyncpg.Connection[Any]) -> LoginFacts:
            roles = await connection.fetch(queries.ALL_ROLES, login_facts.ROLES_MAX)
            databases = await connection.fetch(queries.DATABASES)
            names = [row["datname"] for row in databases]
            return login_facts.exported(map(_role_row, roles), names, superusers)

        return await self._ask(ask)

    async def activity(self) -> tuple[Activity, int]:
        sample, found = await self._ask(self._activity)
        # Not before the kept connection is free again: a stop needs it, and this may take a while.
        where, zone = found["cron_database"], found["cron_time_zone"]
        jobs = await self._jobs.look(where, zone, found["snapshot"])
        return sample.model_copy(update={"jobs": jobs}), found["changes"]

    async def _activity(
        self, connection: asyncpg.Connection[Any]
    ) -> tuple[Activity, asyncpg.Record]:
        found = await connection.fetchrow(queries.COUNTERS)
        assert found is not None
        rows = await connection.fetch(queries.PROCESSES)
        used = None
        if found["buffercache"] is not None:
            used = await connection.fetchval(f"SELECT buffers_used FROM {found['buffercache']}")
        counters = _counters(found, used)
        if self._read_before is None:
            self._read_before = counters.blocks_read
        processes, subscriptions = map(_process_row, rows), found["subscriptions"] or ()
        sample = activity_of([*processes], subscriptions, counters, self._read_before)
        return sample, found

    async def clients(self) -> Clients:
        async def ask(connection: asyncpg.Connection[Any]) -> Clients:
            rows = await connection.fetch(queries.CLIENTS)
            return Clients(
                described=tuple(
                    describe(_process_row(row))
                    for row in rows
                    if row["backend_type"] in CLIENT_KINDS and not row["is_own"]
                ),
                processes=frozenset(row["pid"] for row in rows),
                entry_seconds_max=_ENTRY_STEPS * rows[0]["authentication_s"] + _ENTRY_SPARE_SECONDS,
            )

        return await self._ask(ask)

    async def make_match(self, spec: DatabaseSpec, verifiers: Mapping[str, str]) -> None:
        async with self._at_work() as connection:
            async with connection.transaction():
                names = {row["rolname"] for row in await connection.fetch(queries.ROLE_NAMES)}
                admitted = await connection.fetch(queries.ADMITTED_SUPERUSERS)
                statements = role_sql.role_statements(
                    spec.roles, verifiers, names, [row["rolname"] for row in admitted]
                )
                await _run(connection, statements)
            found = await connection.fetch(queries.OWNERS)
            owners = {row["datname"]: row["owner"] for row in found}
            await _run(connection, role_sql.database_statements(spec.databases, owners))

    async def checkpoint(self) -> None:
        async with self._at_work() as connection:
            await connection.execute("CHECKPOINT")

    async def close(self) -> None:
        self._is_closed = True
        async with self._one_at_a_time:
            if self._kept is not None:
                await _close(self._kept)

    async def _ask(self, ask: Callable[[asyncpg.Connection[Any]], Awaitable[T]]) -> T:
        """Over the kept connection; over a new one where that is lost."""
        async with self._one_at_a_time:
            for tries_left in reversed(range(TRIES_MAX)):
                if self._kept is None or self._kept.is_closed():
                    self._kept = await self._connect()
                try:
                    async with asyncio.timeout(ANSWER_SECONDS_MAX):
                        return await ask(self._kept)
                except (*_Failed, TimeoutError) as error:
                    self._kept.terminate()
                    if not tries_left:
                        raise _unavailable(error) from None
        raise AssertionError("unreachable")

    @contextlib.asynccontextmanager
    async def _at_work(self, database: str = _DATABASE) -> AsyncIterator[asyncpg.Connection[Any]]:
        connection = await self._connect(database)
        try:
            async with asyncio.timeout(WORK_SECONDS_MAX):
                yield connection
        except asyncpg.DiskFullError as error:
            raise StorageFull(f"no room for it: {error}", hint="free some space") from None
        except (*_Failed, TimeoutError) as error:
            raise _unavailable(error) from None
        finally:
            await _close(connection)

    async def _connect(self, database: str = _DATABASE) -> asyncpg.Connection[Any]:
        deadline = asyncio.get_running_loop().time() + CONNECT_SECONDS_MAX
        while True:
            if self._is_closed:
                raise Unavailable("the agent has closed its connections: Postgres is stopping")
            try:
                return await asyncpg.connect(
                    host=str(self._directory),
                    port=PORT,
                    user=ADMIN,
                    database=database,
                    ssl=False,
                    timeout=CONNECT_SECONDS_MAX,
                    server_settings=_SETTINGS,
                )
            except (*_NotYet, TimeoutError) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise _unavailable(error) from None
                await asyncio.sleep(_RETRY_SECONDS)
            except _Failed as error:
                raise _unavailable(error) from None


async def _run(connection: asyncpg.Connection[Any], statements: Sequence[str]) -> None:
    """Raises InvalidRequest where Postgres knows better than the spec."""
    for statement in statements:
        try:
            await connection.execute(statement)
        except (asyncpg.SyntaxOrAccessError, asyncpg.DataError) as error:
            raise InvalidRequest(f"Postgres refuses the spec: {error}") from None


async def _close(connection: asyncpg.Connection[Any]) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS_MAX)
    except (*_Failed, TimeoutError):
        connection.terminate()


def _unavailable(error: BaseException) -> Unavailable:
    return Unavailable(f"Postgres does not answer its agent: {error or 'time is over'}")


def _role_row(row: asyncpg.Record) -> RoleRow:
    return RoleRow(
        name=row["rolname"],
        password=row["rolpassword"],
        can_login=row["rolcanlogin"],
        is_superuser=row["rolsuper"],
        is_member=row["is_member"],
        valid_until_s=row["valid_until_s"],
        connection_limit=row["rolconnlimit"],
    )


def _process_row(row: asyncpg.Record) -> ProcessRow:
    return ProcessRow(
        pid=row["pid"],
        kind=row["backend_type"],
        user=row["usename"],
        application=row["application_name"],
        state=row["state"],
        database=row["datname"],
        command=row["command"],
    )


def _counters(row: asyncpg.Record, buffers_used: int | None) -> Counters:
    return Counters(
        transactions=row["transactions"],
        blocks_read=row["blocks_read"],
        block_bytes=row["block_bytes"],
        shared_buffers=row["shared_buffers"],
        buffers_used=buffers_used,
    )
