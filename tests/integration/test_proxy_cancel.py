"""A cancel request finds the right query, or none; and whoever may not enter wakes nobody."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.up import Database, Up, until
from support.wire_client import WireClient, connected, error_of, logged_in, query
from torpor_proxy.core import wire

SLEEP = query("select pg_sleep(600)")


def cancel(up: Up, key: tuple[int, bytes]) -> None:
    """Until the proxy has hung up, which says nothing of what came of it."""
    with connected(up) as client:
        client.send(wire.cancel_request(*key))
        assert client.rest() == b""


RUNNING = (
    "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%'"
    " and state = 'active' and pid <> pg_backend_pid()"
)


def is_running(watcher: WireClient) -> None:
    """Until another client's query is seen at work."""
    until(lambda: watcher.query(RUNNING) == [(b"1",)], "it runs")


@pytest.mark.parametrize("minor", [0, 2])
def test_a_query_is_cancelled(each_database: Database, minor: int) -> None:
    with logged_in(each_database, minor=minor) as client, logged_in(each_database) as other:
        client.send(SLEEP)
        is_running(other)
        cancel(each_database.up, client.key)
        assert error_of(client.until(b"Z"))["C"] == "57014"
        assert client.query("select 'goes on'") == [(b"goes on",)]
        assert other.query("select 'untouched'") == [(b"untouched",)]


@pytest.mark.parametrize("minor", [0, 2])
def test_a_key_from_before_the_sleep_finds_the_query_after_it(
    each_database: Database, minor: int
) -> None:
    with logged_in(each_database, minor=minor) as client:
        client.query("select 1")
        each_database.fall_asleep()
        client.send(SLEEP)
        with logged_in(each_database) as watcher:
            is_running(watcher)
        cancel(each_database.up, client.key)
        assert error_of(client.until(b"Z"))["C"] == "57014"
        assert client.query("select 'goes on'") == [(b"goes on",)]


def test_psycopg_cancels(each_database: Database) -> None:
    with psycopg.connect(each_database.uri(sslmode="require"), autocommit=True) as connection:
        connection.execute("select 1")
        each_database.fall_asleep()
        with ThreadPoolExecutor() as threads, logged_in(each_database) as watcher:
            running = threads.submit(connection.execute, "select pg_sleep(600)")
            is_running(watcher)
            connection.cancel_safe()
            with pytest.raises(psycopg.errors.QueryCanceled):
                running.result()
        assert connection.execute("select 1").fetchone() == (1,)


def test_an_unknown_key_does_nothing(database: Database) -> None:
    with logged_in(database) as client, logged_in(database) as watcher:
        process_id, secret = client.key
        client.send(SLEEP)
        is_running(watcher)
        wrong = bytes(byte ^ 1 for byte in secret)
        for key in (
            (process_id, wrong),
            (process_id, b"x"),
            (process_id + 1, secret),
            (0, b"\0" * 256),
        ):
            cancel(database.up, key)
        assert watcher.query(RUNNING) == [(b"1",)]
        cancel(database.up, client.key)
        assert error_of(client.until(b"Z"))["C"] == "57014"


def test_the_key_of_a_session_that_is_over_does_nothing(database: Database) -> None:
    with logged_in(database) as gone:
        key = gone.key
    with logged_in(database) as client:
        client.send(query("select pg_sleep(0.3), 'whole'"))
        cancel(database.up, key)
        assert error_free(client.until(b"Z"))


def error_free(messages: list[tuple[bytes, bytes]]) -> bool:
    return not any(kind == b"E" for kind, _ in messages)


def test_a_session_that_runs_nothing_is_not_touched(database: Database) -> None:
    with logged_in(database) as client:
        client.query("select 1")
        cancel(database.up, client.key)
        assert client.query("select pg_sleep(0.2), 'whole'") == [(b"", b"whole")]


# --- nobody is woken ---------------------------------------------------------------------------


def test_strangers_wake_nobody(each_database: Database) -> None:
    up, epoch_before = each_database.up, each_database.epoch
    with logged_in(each_database) as client:
        client.query("select 1")
        each_database.fall_asleep()
        cancel(up, client.key)
        cancel(up, (1, b"none"))
        for role, password in (("app", "wrong"), ("nobody", "wrong"), ("torpor_admin", "wrong")):
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(each_database.uri(user=role, password=password))
        for greeting in (
            b"",
            b"\0",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
        ):
            with contextlib.suppress(OSError), socket.create_connection((up.host, up.port)) as scan:
                scan.sendall(greeting)
        with connected(up) as half_way:
            half_way.start(each_database)
            half_way.until(b"R")
        assert each_database.is_asleep and each_database.epoch == epoch_before
        assert client.query("select 'mine'") == [(b"mine",)]
        assert each_database.epoch == epoch_before + 1
