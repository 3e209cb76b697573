"""Bad days: what dies, what each session sees of it, and what was acknowledged is there."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.up import (
    WAIT_SECONDS_MAX,
    Database,
    Up,
    a_database,
    command_line,
    until,
)
from support.wire_client import (
    HungUp,
    Reported,
    WireClient,
    connected,
    error_of,
    logged_in,
    query,
    rows_of,
)
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_proxy.core import wire

ROLES = [{"name": "app"}, {"name": "boss", "password": "boss", "superuser": True}]

SURVIVES = '"session_survives"'
"""In the proxy's log: it has noticed that a session's backend is gone."""

BUSY = query("insert into done values (0); select pg_sleep(600)")


@pytest.fixture
def place(up_to_break: Up) -> Iterator[Database]:
    with a_database(up_to_break, roles=ROLES) as database:
        with logged_in(database) as client:
            client.query("create table done (n int)")
        yield database


@pytest.fixture(scope="module")
def elsewhere(up_to_break: Up) -> Iterator[Database]:
    with a_database(up_to_break) as database:
        yield database


@pytest.fixture
def bystander(elsewhere: Database) -> Iterator[WireClient]:
    """A session of another database, in a transaction, which nothing of all this touches."""
    with logged_in(elsewhere) as client:
        client.query("begin; create temporary table mine as select 7 as n")
        yield client
        assert client.query("select n from mine") == [(b"7",)]
        client.query("commit")


def working(watcher: WireClient) -> None:
    sql = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    until(lambda: watcher.query(sql) == [(b"1",)], "the query runs")


def last_words(client: WireClient) -> dict[str, str]:
    """The one error of a session that ends, whatever notices come before it."""
    said, rest = wire.split(client.rest())
    assert rest == b""
    return error_of(said)


def kill_postmaster(database: Database, watcher: WireClient) -> None:
    os.kill(database.postmaster, signal.SIGKILL)


def kill_backend(database: Database, watcher: WireClient) -> None:
    """Of the busy session: Postgres itself then starts all over."""
    sql = "select pid from pg_stat_activity where wait_event = 'PgSleep'"
    ((pid,),) = watcher.query(sql)
    assert pid is not None
    os.kill(int(pid), signal.SIGKILL)


def kill_agent(database: Database, watcher: WireClient) -> None:
    os.kill(database.agent, signal.SIGKILL)


Kill = Callable[[Database, WireClient], None]


@pytest.mark.parametrize("kill", [kill_postmaster, kill_backend, kill_agent])
def test_killed_in_the_middle_of_a_query(
    place: Database, bystander: WireClient, kill: Kill
) -> None:
    with contextlib.ExitStack() as stack:
        idle, busy, stateful, watcher = (stack.enter_context(logged_in(place)) for _ in range(4))
        for n in range(1, 4):
            idle.query(f"insert into done values ({n})")
        stateful.query("create temporary table scratch (n int)")
        busy.query("select pg_advisory_lock(1)")  # Without it, it would hear of it and go on.
        busy.send(BUSY)
        working(watcher)
        place.captured(idle.key[0])
        kill(place, watcher)
        assert last_words(busy)["C"] in ("08006", "57P01")
        assert last_words(stateful)["C"] in ("08006", "57P01")
        until(
            lambda: place.session_of(idle.key[0]).get("state") == "parked", "the idle one is held"
        )
        assert idle.query("select n from done order by n") == [(b"1",), (b"2",), (b"3",)]
        assert bystander.query("select n from mine") == [(b"7",)]
        with logged_in(place) as fresh:
            assert fresh.query("select count(*) from done") == [(b"3",)]


@pytest.mark.parametrize("kill", [kill_postmaster, kill_agent])
def test_killed_while_all_are_idle(place: Database, bystander: WireClient, kill: Kill) -> None:
    """Nobody hears of it: not an error, not a notice, not a closed connection."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(logged_in(place)) for _ in range(5)]
        clients[0].query("insert into done values (1)")
        for client in clients[1:]:
            client.query("select 1")
        for client in clients[1:]:
            place.captured(client.key[0])
        place.captured(clients[0].key[0])
        survivors = place.up.log_of("proxy").count(SURVIVES)
        kill(place, clients[0])
        held = survivors + len(clients)
        until(lambda: place.up.log_of("proxy").count(SURVIVES) == held, "all are held")
        for client in clients:
            said = client.ask(query("select n from done"))
            assert b"".join(kind for kind, _ in said) == b"TDCZ", said


def test_a_client_that_is_told_to_go_by_an_administrator_goes(place: Database) -> None:
    """It must not live on as if nothing had been said."""
    with logged_in(place) as idle, logged_in(place, user="boss") as boss:
        idle.query("select 1")
        place.captured(idle.key[0])
        boss.query(f"select pg_terminate_backend({idle.key[0]})")
        assert last_words(idle)["C"] == "57P01"
        assert boss.query("select 'untouched'") == [(b"untouched",)]


def test_a_transaction_that_is_lost_was_not_acknowledged(place: Database) -> None:
    with logged_in(place) as client:
        client.query("insert into done values (1); select pg_advisory_lock(1)")
        client.query("begin; insert into done values (2)")
        os.kill(place.postmaster, signal.SIGKILL)
        assert last_words(client)["C"] in ("08006", "57P01")
    with logged_in(place) as fresh:
        assert fresh.query("select n from done") == [(b"1",)]


def test_acknowledged_commits_survive_kill_after_kill(place: Database) -> None:
    acknowledged = []
    for n in range(4):
        with logged_in(place) as client:
            with contextlib.suppress(Reported, HungUp, OSError):
                for m in range(20):
                    number = n * 100 + m
                    client.query(f"insert into done values ({number})")
                    acknowledged.append(number)
                    if m == 10:
                        os.kill(place.postmaster, signal.SIGKILL)
    with logged_in(place) as fresh:
        found = {int(row[0] or 0) for row in fresh.query("select n from done")}
    assert set(acknowledged) <= found and len(acknowledged) >= 4 * 11


# --- a client that vanishes --------------------------------------------------------------------


def test_a_client_that_vanishes_during_a_wake(place: Database, bystander: WireClient) -> None:
    with logged_in(place) as other:
        other.query("select 1")
        place.fall_asleep()
        epoch = place.epoch
        for _ in range(3):
            with logged_in_asleep(place) as client:
                client.send(query("select pg_sleep(0)"))
        assert other.query("select 'mine'") == [(b"mine",)]
        assert place.epoch == epoch + 1
        place.fall_asleep()


@contextlib.contextmanager
def logged_in_asleep(database: Database) -> Iterator[WireClient]:
    """A client that has proved itself and not waited for more."""
    with connected(database.up) as client:
        client.start(database)
        client.until(b"R")
        client.prove(database.password)
        yield client


# --- the autoscaler ----------------------------------------------------------------------------


def kill_autoscaler(up: Up) -> None:
    before = up.component("autoscaler")
    os.kill(before, signal.SIGKILL)
    until(lambda: up.processes("torpor_autoscaler") not in ([], [before]), "another one")


def test_sessions_do_not_notice_that_the_autoscaler_has_died(
    place: Database, bystander: WireClient
) -> None:
    with logged_in(place) as client, ThreadPoolExecutor() as threads:
        client.query("begin; insert into done values (1)")
        epoch = place.epoch
        killing = threads.submit(kill_autoscaler, place.up)
        while not killing.done():
            assert client.query("select n from done") == [(b"1",)]
        killing.result()
        client.query("commit")
        until(place.is_known, "the new one knows it")
        assert place.epoch == epoch
        with logged_in(place) as fresh:
            assert fresh.query("select n from done") == [(b"1",)]
        place.fall_asleep()
        assert client.query("select n from done") == [(b"1",)]


def test_the_autoscaler_dies_while_somebody_waits(place: Database, bystander: WireClient) -> None:
    with logged_in(place) as client:
        client.query("select 1")
        place.fall_asleep()
        os.kill(place.up.component("autoscaler"), signal.SIGKILL)
        client.send(query("select 'served'"))
        assert rows_of(client.until(b"Z")) == [(b"served",)]


# --- the proxy ---------------------------------------------------------------------------------


def test_the_proxy_ends_in_good_order(place: Database) -> None:
    up = place.up
    proxy = up.component("proxy")
    with logged_in(place) as idle, logged_in(place) as stateful, logged_in(place) as working:
        idle.query("select 1")
        stateful.query("set work_mem to '1MB'")
        working.query("begin; insert into done values (1)")
        os.kill(proxy, signal.SIGTERM)
        for client in (idle, stateful):
            fields = last_words(client)
            assert fields["C"] == "57P01" and "shutting down" in fields["H"]
        with pytest.raises(ConnectionRefusedError), connected(up):
            pass
        assert working.query("insert into done values (2) returning n") == [(b"2",)]
        working.send(query("commit"))
        committed = working.until(b"Z")
        assert (b"C", b"COMMIT\0") in committed
        assert last_words(working)["C"] == "57P01"
    ended_at = time.monotonic()
    until(lambda: up.processes("torpor_proxy") not in ([], [proxy]), "another proxy")
    until(lambda: can_connect(up), "it listens")
    with logged_in(place) as fresh:
        assert fresh.query("select n from done order by n") == [(b"1",), (b"2",)]
    place.fall_asleep()
    assert time.monotonic() - ended_at < Limits().proxy_forget_s, "it was waited for"


def can_connect(up: Up) -> bool:
    try:
        with connected(up):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("kill", [kill_postmaster, kill_agent])
def test_a_password_that_was_changed_before_a_crash_is_the_new_one(
    place: Database, kill: Kill
) -> None:
    """Nothing was exported any more: a login waits for what the recovered Postgres says."""
    with logged_in(place) as client:
        client.query("alter role app password 'another'")
        kill(place, client)
    with connected(place.up) as stranger:
        stranger.start(place, user="app", options=f"endpoint={place.name}")
        stranger.message()
        stranger.prove(place.password)
        assert error_of([stranger.message()])["C"] == "28P01"
    with psycopg.connect(place.uri(), password="another") as again:
        assert again.execute("select 1").fetchone() == (1,)


LONG_STOP_SECONDS = 6.0
"""Longer than any answer that a client is owed while a database is awake or asleep."""


def test_a_newcomer_during_a_long_stop_is_served_afterwards(place: Database) -> None:
    with logged_in(place) as held, ThreadPoolExecutor(2) as threads:
        held.query("select 1")
        (writer,) = [pid for pid in place.postgres if "walwriter" in command_line(pid)]
        os.kill(writer, signal.SIGSTOP)
        try:
            asleep = threads.submit(place.fall_asleep)
            until(lambda: place.is_stopping, "the stop can't be called off any more")
            newcomer = threads.submit(lambda: psycopg.connect(place.uri()))
            with pytest.raises(TimeoutError):
                newcomer.result(LONG_STOP_SECONDS)
        finally:
            os.kill(writer, signal.SIGCONT)
        with newcomer.result(WAIT_SECONDS_MAX) as connection:
            assert connection.execute("select 2").fetchone() == (2,)
        with contextlib.suppress(AssertionError):
            asleep.result(WAIT_SECONDS_MAX)  # The newcomer may have woken it before it was seen.
        assert held.query("select 3") == [(b"3",)]
