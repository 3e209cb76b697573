"""What keeps a Postgres busy, and what does not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from torpor_compute.core.activity import REASONS_MAX, Counters, ProcessRow, activity_of, describe

IDLE = ProcessRow(
    pid=17,
    kind="client backend",
    user="app",
    application="worker",
    state="idle",
    database="shop",
    command="",
)
COUNTERS = Counters(
    transactions=9.0, blocks_read=500, block_bytes=8192, shared_buffers=16384, buffers_used=None
)


def row(**changes: Any) -> ProcessRow:
    return dataclasses.replace(IDLE, **changes)


def busy(*rows: ProcessRow, subscriptions: tuple[str, ...] = ()) -> tuple[str, ...]:
    return activity_of(rows, subscriptions, COUNTERS, 0).busy


@pytest.mark.parametrize(
    "kind",
    ["checkpointer", "background writer", "walwriter", "autovacuum launcher", "io worker"],
)
def test_postgres_s_own_helpers_are_nothing(kind: str) -> None:
    assert busy(row(kind=kind, user="", state="connecting")) == ()


def test_an_idle_session_keeps_nothing_awake() -> None:
    assert busy(IDLE) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "active"}, "a query runs: app (worker) in shop, process 17"),
        ({"state": "idle in transaction"}, "a transaction is open: app (worker)"),
        ({"state": "idle in transaction (aborted)"}, "a transaction is open"),
        ({"kind": "walsender", "state": "active"}, "a walsender streams to worker"),
        ({"kind": "autovacuum worker"}, "autovacuum in shop"),
        ({"kind": "logical replication apply worker"}, "logical replication is being applied"),
        ({"command": "an index build", "state": "active"}, "an index build in shop"),
    ],
)
def test_what_keeps_it_awake_is_named(changes: dict[str, Any], words: str) -> None:
    (reason,) = busy(row(**changes))
    assert reason.startswith(words)


def test_a_subscription_keeps_it_awake() -> None:
    assert busy(subscriptions=("feed",)) == ("subscription feed is enabled",)


def test_a_thousand_reasons_are_counted_and_not_listed() -> None:
    reasons = busy(*(row(pid=pid, state="active") for pid in range(1000)))
    assert len(reasons) == REASONS_MAX
    assert reasons[-1] == "and 981 more"


def test_the_numbers() -> None:
    rows = [IDLE, row(state="active"), row(kind="walsender", state="active"), row(kind="walwriter")]
    found = activity_of(rows, (), COUNTERS, 100)
    assert (found.backends, found.active_queries, found.queries_total) == (3, 2, 9.0)
    assert found.working_set_bytes == 400 * 8192


@pytest.mark.parametrize(
    ("counters", "blocks"),
    [
        (dataclasses.replace(COUNTERS, blocks_read=10**6), 16384),
        (dataclasses.replace(COUNTERS, blocks_read=0), 0),
        (dataclasses.replace(COUNTERS, buffers_used=77), 77),
    ],
)
def test_the_working_set_is_bounded_by_what_there_is(counters: Counters, blocks: int) -> None:
    assert activity_of([], (), counters, 100).working_set_bytes == blocks * 8192


def test_a_client_without_an_application_name() -> None:
    assert describe(row(application="")) == "app in shop, process 17, idle"
