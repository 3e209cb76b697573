"""From what Postgres says about its processes to what keeps it busy. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torpor_api.facts import Activity

REASONS_MAX = 20
"""A person reads them; the number of the rest is said."""

CLIENT_KINDS = ("client backend", "walsender")
"""``backend_type`` of what a shutdown would cut or wait for."""

_WORKERS = {
    "autovacuum worker": "autovacuum",
    "logical replication apply worker": "logical replication is being applied",
    "logical replication tablesync worker": "logical replication copies a table",
    "logical replication parallel worker": "logical replication is being applied",
    "pg_cron": "a job of pg_cron runs",
}

_OPEN = ("idle in transaction", "idle in transaction (aborted)")
_ACTIVE = ("active", "fastpath function call")


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One row of ``pg_stat_activity``, the agent's own left out."""

    pid: int
    kind: str
    user: str
    application: str
    state: str
    database: str
    command: str
    """Of ``pg_stat_progress_*``: an index build, a vacuum, a base backup; empty: none."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What Postgres has counted."""

    transactions: float
    blocks_read: int
    block_bytes: int
    shared_buffers: int
    """In blocks."""
    buffers_used: int | None
    """As ``pg_buffercache`` says, where it is installed."""


def activity_of(
    rows: Sequence[ProcessRow], subscriptions: Sequence[str], counters: Counters, read_before: int
) -> Activity:
    """One sample. ``read_before``: blocks read when this Postgres had just started."""
    clients = [row for row in rows if row.kind in CLIENT_KINDS]
    reasons = [text for row in rows if (text := _busy_with(row))]
    reasons += [f"subscription {name} is enabled" for name in subscriptions]
    return Activity(
        busy=_bounded(reasons),
        backends=len(clients),
        active_queries=sum(row.state in _ACTIVE for row in clients),
        queries_total=counters.transactions,
        working_set_bytes=_buffers_in_use(counters, read_before) * counters.block_bytes,
    )


def describe(row: ProcessRow) -> str:
    """A client, for a person."""
    application = f" ({row.application})" if row.application else ""
    return f"{row.user}{application} in {row.database}, process {row.pid}, {row.state}"


def _busy_with(row: ProcessRow) -> str:
    if row.kind == "walsender":
        return f"a walsender streams to {row.application or row.user} (process {row.pid})"
    if row.kind in _WORKERS:
        return f"{_WORKERS[row.kind]} in {row.database} (process {row.pid})"
    if row.command:
        return f"{row.command} in {row.database} (process {row.pid})"
    if row.kind == "client backend" and row.state in _ACTIVE:
        return f"a query runs: {describe(row)}"
    if row.kind == "client backend" and row.state in _OPEN:
        return f"a transaction is open: {describe(row)}"
    return ""


def _bounded(reasons: Sequence[str]) -> tuple[str, ...]:
    if len(reasons) <= REASONS_MAX:
        return tuple(reasons)
    shown = REASONS_MAX - 1
    return (*reasons[:shown], f"and {len(reasons) - shown} more")


def _buffers_in_use(counters: Counters, read_before: int) -> int:
    """Without ``pg_buffercache``: a block read since the start fills a buffer, at most all."""
    if counters.buffers_used is not None:
        return counters.buffers_used
    return min(counters.shared_buffers, max(0, counters.blocks_read - read_before))
