"""A switchover under pgbench and drivers: no transaction fails, every session keeps what it had."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from subprocess import PIPE, Popen
from typing import Any

import psycopg
import pytest
from psycopg import errors

from support.up import WAIT_SECONDS_MAX, Database, Up, a_database, until
from torpor_api.failures import Busy
from torpor_cli.client import ask_autoscaler

CLIENTS = 16
SECONDS = (4, 16, 60)
"""Of pgbench: until it takes longer than the moves, which a busy machine holds up."""

SECONDS_MAX = 90.0
MOVES = 2

ROLES = [{"name": "app"}, {"name": "other", "password": "other"}]

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def filled(up: Up) -> Iterator[Database]:
    """With pgbench's tables, and a role that others may take."""
    with a_database(up, roles=[*ROLES, {"name": "boss", "password": "b", "superuser": True}]) as db:
        with psycopg.connect(db.uri("boss"), autocommit=True) as boss:
            boss.execute("grant other to app")
        scale = f"--scale={CLIENTS}"
        with pgbench(db, "--initialize", "--quiet", scale, "--init-steps=dtgp") as filling:
            filling.communicate(timeout=SECONDS_MAX)
        assert filling.returncode == 0
        yield db


def pgbench(database: Database, *options: str) -> Popen[str]:
    environment = database.connection().environment()
    return Popen(["pgbench", *options], env=inherited(environment), stdout=PIPE, text=True)


def inherited(environment: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **environment}


def switch_over(database: Database, patience_s: float = 30.0) -> dict[str, Any]:
    moved = ask_autoscaler(
        database.up.folder, "Switchover", name=database.name, patience_s=patience_s
    )
    until(lambda: database.status["phase"] == "Active", "it is written")
    return moved


def connected(database: Database) -> Connection:
    return psycopg.connect(database.uri(), autocommit=True)


# --- under load ---------------------------------------------------------------------------------


@pytest.mark.timeout(300)
@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_no_transaction_of_pgbench_fails(filled: Database, protocol: str) -> None:
    with idle_sessions(filled) as look:
        assert any(moves_under_load(filled, protocol, seconds) for seconds in SECONDS)
        for each in look:
            each()


def moves_under_load(database: Database, protocol: str, seconds: int) -> bool:
    """Whether pgbench was at work until the last move; none of its transactions fails anyhow."""
    # A thread for each client: pgbench waits for a PREPARE with its whole thread, and if that waits
    # at the gate, the transactions of the thread's other clients, which the gate waits for, do too.
    threads = f"--jobs={CLIENTS}"
    options = (f"--client={CLIENTS}", threads, f"--time={seconds}", "--no-vacuum")
    with pgbench(database, *options, f"--protocol={protocol}") as load:
        for _ in range(MOVES):
            until(lambda: load.poll() is not None or is_working(database), "pgbench works")
            epoch = database.epoch
            assert switch_over(database)["epoch"] == epoch + 1
        was_at_work = load.poll() is None
        said, _ = load.communicate(timeout=SECONDS_MAX)
    assert load.returncode == 0
    assert re.search(r"^number of failed transactions: 0 ", said, re.MULTILINE), said
    return was_at_work


def is_working(database: Database) -> bool:
    """Whether many of pgbench's clients are seen in transactions; asked from elsewhere."""
    sql = "select count(*) from pg_stat_activity where application_name = 'pgbench'"
    with psycopg.connect(database.uri(), dbname="postgres", autocommit=True) as watcher:
        ((count,),) = watcher.execute(sql).fetchall()
    return bool(count >= CLIENTS // 2)


@contextmanager
def idle_sessions(database: Database) -> Iterator[list[Any]]:
    """Of every state that can be moved; what looks whether each of them still has it."""
    with ExitStack() as stack:
        yield [begin(stack.enter_context(connected(database))) for begin in STATES]


def with_settings(connection: Connection) -> Any:
    connection.execute(
        "set work_mem = '5MB'; set app.tenant = 'é7'; set statement_timeout = '9min'"
    )

    def look() -> None:
        sql = "select current_setting(n) from unnest(%s::text[]) n"
        names = ["work_mem", "app.tenant", "statement_timeout"]
        found = connection.execute(sql, (names,)).fetchall()
        assert found == [("5MB",), ("é7",), ("9min",)]

    return look


def with_role(connection: Connection) -> Any:
    connection.execute("set role other")

    def look() -> None:
        assert connection.execute("select current_user").fetchone() == ("other",)

    return look


def with_statements(connection: Connection) -> Any:
    connection.execute("prepare doubled as select 2 * $1::int")
    connection.execute("select %s::int + 1", (1,), prepare=True)

    def look() -> None:
        assert connection.execute("execute doubled (21)").fetchone() == (42,)
        again = connection.execute("select %s::int + 1", (41,), prepare=True)
        assert again.fetchone() == (42,)
        count = connection.execute("select count(*) from pg_prepared_statements")
        assert count.fetchone() == (2,)

    return look


def with_channel(connection: Connection) -> Any:
    connection.execute("listen news")

    def look() -> None:
        connection.execute("notify news, 'mine'")
        heard = connection.notifies(timeout=WAIT_SECONDS_MAX, stop_after=1)
        assert [each.payload for each in heard] == ["mine"]

    return look


STATES = (with_settings, with_role, with_statements, with_channel)


# --- what can't be moved ------------------------------------------------------------------------

PINS = {
    "advisory lock": ("select pg_advisory_lock(42)", "select pg_advisory_unlock(42)"),
    "temporary table": ("create temporary table scratch as select true", "table scratch"),
    "cursor": (
        "begin; declare c cursor with hold for select true; commit",
        "fetch c",
    ),
}


@pytest.mark.parametrize("words", PINS)
def test_a_pinned_session_is_named_and_nothing_has_changed(database: Database, words: str) -> None:
    begin, use = PINS[words]
    with connected(database) as pinned, connected(database) as idle:
        pinned.execute(begin)
        idle.execute("set work_mem = '5MB'")
        before = (database.epoch, database.status["compute"], database.postmaster)
        with pytest.raises(Busy, match=words):
            switch_over(database)
        until(lambda: database.status["phase"] == "Active", "it is written")
        assert (database.epoch, database.status["compute"], database.postmaster) == before
        assert pinned.execute(use).fetchone() == (True,)
        assert idle.execute("show work_mem").fetchone() == ("5MB",)


# --- cancel keys --------------------------------------------------------------------------------


@contextmanager
def sleeping(connection: Connection, database: Database) -> Iterator[Future[Any]]:
    """A query at work."""
    sql = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    with ThreadPoolExecutor() as threads, connected(database) as watcher:
        running = threads.submit(connection.execute, "select pg_sleep(600)")
        until(lambda: watcher.execute(sql).fetchone() == (1,), "it runs")
        yield running


def is_cancelled_with_its_first_key(connection: Connection, database: Database) -> None:
    with sleeping(connection, database) as running:
        connection.cancel_safe(timeout=WAIT_SECONDS_MAX)
        with pytest.raises(errors.QueryCanceled):
            running.result(WAIT_SECONDS_MAX)
    assert connection.execute("select 'goes on'").fetchone() == ("goes on",)


def test_a_key_from_before_finds_the_query_after_each_move(database: Database) -> None:
    with connected(database) as connection:
        connection.execute("select 'before'")
        first = connection.info.backend_pid
        switch_over(database)
        is_cancelled_with_its_first_key(connection, database)
        database.fall_asleep()
        is_cancelled_with_its_first_key(connection, database)
        switch_over(database)
        is_cancelled_with_its_first_key(connection, database)
        assert connection.info.backend_pid == first


def test_a_key_cancels_nobody_else_after_a_move(database: Database) -> None:
    with connected(database) as idle, connected(database) as busy:
        idle.execute("select 'before'")
        switch_over(database)
        with sleeping(busy, database) as running:
            idle.cancel_safe(timeout=WAIT_SECONDS_MAX)
            assert not running.done()
            busy.cancel_safe(timeout=WAIT_SECONDS_MAX)
            with pytest.raises(errors.QueryCanceled):
                running.result(WAIT_SECONDS_MAX)
        assert idle.execute("select 'goes on'").fetchone() == ("goes on",)
