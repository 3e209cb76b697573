"""The jobs of pg_cron, where a tenant's superuser has loaded it: when they are to run.

The database that has the extension is one of the server's settings. Each look is a connection of
its own, also to the database that the agent is connected to anyway: somebody may have locked the
table, and nobody else waits for that. So what was read is believed until anything is written, and
no longer: a sleep may follow, which only a job that is known would end.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeAlias

import asyncpg

from torpor_api.cron import CHARACTERS_MAX
from torpor_api.failures import Failure
from torpor_api.rhythm import CRON_JOBS_MAX, TIME_ZONE_CHARACTERS_MAX, CronJobs
from torpor_compute.adapters import queries

log = logging.getLogger(__name__)

Connection: TypeAlias = "asyncpg.Connection[Any]"

LOOK_SECONDS_MAX: Final = 3.0
"""For a question of a millisecond; somebody may have locked the table."""

TIME_ZONE: Final = "GMT"
"""By which pg_cron goes where it knows no setting for it (before 1.5)."""


class Connecting(Protocol):
    """A connection of its own to the database of this name. Raises Failures."""

    def __call__(self, database: str, /) -> AbstractAsyncContextManager[Connection]: ...


class KeptCronJobs:
    """As they were read last."""

    def __init__(self, connecting: Connecting) -> None:
        self._connecting = connecting
        self._known: tuple[str, ...] | None = None
        self._read_as: tuple[str, str] | None = None
        """From which database, and as of which snapshot."""

    async def look(
        self, database: str | None, time_zone: str | None, snapshot: str
    ) -> CronJobs | None:
        """``database``: where jobs are; None: pg_cron is not loaded. ``snapshot``: of the server,
        just before. Where they can't be read, they are as they were; None: they were never read."""
        if not database:
            return CronJobs()
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                await self._read(database, snapshot)
        except (Failure, TimeoutError, asyncpg.PostgresError) as error:
            log.warning("cron_jobs_unread", extra={"reason": str(error) or "time is over"})
        if self._known is None:
            return None
        zone = (time_zone or TIME_ZONE)[:TIME_ZONE_CHARACTERS_MAX]
        return CronJobs(time_zone=zone, schedules=self._known)

    async def _read(self, database: str, snapshot: str) -> None:
        if self._read_as == (database, snapshot):
            return
        async with self._connecting(database) as connection:
            self._known = await _schedules(connection)
        self._read_as = database, snapshot


async def _schedules(connection: Connection) -> tuple[str, ...]:
    table = await connection.fetchval(queries.CRON_JOB_TABLE)
    if table is None:
        return ()
    question = queries.CRON_JOBS.format(table=table)
    rows = await connection.fetch(question, CHARACTERS_MAX, CRON_JOBS_MAX)
    return tuple(row["schedule"] for row in rows)
