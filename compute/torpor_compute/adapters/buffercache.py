"""The extension ``pg_buffercache`` in the agent's own database, for all that looks into shared
buffers."""

from __future__ import annotations

import logging
from typing import Any

import asyncpg

from torpor_compute.adapters import queries

log = logging.getLogger(__name__)


async def find_or_make(connection: asyncpg.Connection[Any]) -> str | None:
    """The quoted schema that it is in. None: it can't be made, or can't let go of pages."""
    if await connection.fetchrow(queries.IS_MISSING) is not None:
        try:
            await connection.execute(queries.MAKE_BUFFERCACHE)
        except asyncpg.PostgresError as error:
            log.warning("no_buffercache", extra={"reason": str(error)})
            return None
    schema: str | None = await connection.fetchval(queries.EVICTING_SCHEMA)
    return schema
