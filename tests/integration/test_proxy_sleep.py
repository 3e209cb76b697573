"""Held sessions: a client that is connected before the sleep goes on after it and sees nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from subprocess import PIPE, STDOUT

import asyncpg
import psycopg

from support.up import Database, Up, a_database, until
from support.wire_client import WireClient, connected, logged_in, query, rows_of
from torpor_proxy.core import keepalive, wire

HERD = 100


def test_psycopg_goes_on_after_each_sleep(each_database: Database) -> None:
    with psycopg.connect(each_database.uri(), autocommit=True) as connection:
        connection.execute("create table t (n int)")
        for n in range(3):
            connection.execute("insert into t values (%s)", (n,))
            epoch = each_database.epoch
            each_database.fall_asleep()
            assert connection.execute("select max(n) from t").fetchone() == (n,)
            assert each_database.epoch == epoch + 1


async def test_psycopg_asynchronous_goes_on_after_a_sleep(each_database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(
        each_database.uri(), autocommit=True
    ) as connection:
        await connection.execute("select 1")
        await asyncio.to_thread(each_database.fall_asleep)
        cursor = await connection.execute("select 'after'")
        assert await cursor.fetchone() == ("after",)


async def test_asyncpg_goes_on_after_a_sleep(each_database: Database) -> None:
    connection = await asyncpg.connect(each_database.uri(), statement_cache_size=0)
    try:
        assert await connection.fetchval("select 1") == 1
        await asyncio.to_thread(each_database.fall_asleep)
        assert await connection.fetchval("select $1::text", "after") == "after"
    finally:
        await connection.close()


def test_psql_goes_on_after_a_sleep(each_database: Database) -> None:
    environment = {**os.environ, **each_database.connection().environment()}
    with subprocess.Popen(
        ["psql", "-qAt"], env=environment, stdin=PIPE, stdout=PIPE, stderr=STDOUT, text=True
    ) as psql:
        assert psql.stdin is not None and psql.stdout is not None
        for n in range(2):
            psql.stdin.write(f"select 'answer {n}';\n")
            psql.stdin.flush()
            assert psql.stdout.readline() == f"answer {n}\n"
            each_database.fall_asleep()
        psql.stdin.close()
        assert psql.stdout.read() == ""


def test_over_tls_as_well(each_database: Database) -> None:
    with psycopg.connect(each_database.uri(sslmode="require"), autocommit=True) as connection:
        connection.execute("select 1")
        each_database.fall_asleep()
        assert connection.execute("select 'after'").fetchone() == ("after",)


def test_a_client_that_connects_to_a_sleeping_database(each_database: Database) -> None:
    each_database.fall_asleep()
    with psycopg.connect(each_database.uri()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_it_sleeps_by_itself_after_its_idle_time(up: Up) -> None:
    with a_database(up, idleTimeout="1s") as database:
        with psycopg.connect(database.uri(), autocommit=True) as connection:
            connection.execute("select 1")
            until(lambda: database.is_asleep, "it sleeps with a client connected")
            assert connection.execute("select 2").fetchone() == (2,)


def test_wakes_that_are_over_at_once_use_up_no_more_than_their_agents(database: Database) -> None:
    """Each takes a warm agent that is never warm again; the pool refills however short it was."""
    for _ in range(8):
        database.fall_asleep()
        database.wake()


def test_keepalives_wake_nobody(database: Database) -> None:
    with logged_in(database) as client:
        client.query("select 1")
        database.fall_asleep()
        epoch = database.epoch
        for sql in ("select 1", "SELECT 1;", "", ";"):
            said = client.ask(query(sql))
            assert b"".join(wire.message(*each) for each in said) == keepalive.answer(query(sql))
        assert client.ask(wire.SYNC) == [(b"Z", b"I")]
        assert database.is_asleep and database.epoch == epoch
        assert client.query("select 2") == [(b"2",)]
        assert database.epoch == epoch + 1


def test_keepalives_wake_where_the_resource_says_so(up: Up) -> None:
    with a_database(up, keepalives="wake") as database, logged_in(database) as client:
        client.query("select 1")
        database.fall_asleep()
        epoch = database.epoch
        assert client.query("select 1") == [(b"1",)]
        assert database.epoch == epoch + 1


def test_a_farewell_wakes_nobody(database: Database) -> None:
    with logged_in(database) as client:
        client.query("select 1")
        database.fall_asleep()
        epoch = database.epoch
        client.send(wire.TERMINATE)
        assert client.rest() == b""
    assert database.is_asleep and database.epoch == epoch


def test_the_unnamed_statement_outlives_a_sleep(database: Database) -> None:
    with logged_in(database) as client:
        said = client.ask(wire.parse("", "select $1::int * 2") + wire.SYNC)
        assert [kind for kind, _ in said] == [b"1", b"Z"]
        database.fall_asleep()
        said = client.ask(wire.bind("", [b"21"]) + wire.execute() + wire.SYNC)
        assert rows_of(said) == [(b"42",)]


def test_a_message_in_parts_around_a_sleep(database: Database) -> None:
    whole = query("select 'in parts'")
    with logged_in(database) as client:
        client.query("select 1")
        database.fall_asleep()
        for at in (1, 4, 5, 6):
            client.send(whole[:at])
            client.send(whole[at:])
            assert rows_of(client.until(b"Z")) == [(b"in parts",)]
            database.fall_asleep()


def test_bytes_sent_in_the_very_moment_of_a_suspend_are_served(each_database: Database) -> None:
    """One client asks without a pause while the database is put to sleep again and again."""
    asked, is_over = [0], threading.Event()

    def ask(client: WireClient) -> None:
        while not is_over.is_set():
            number = asked[0]
            assert client.query(f"select {number}") == [(str(number).encode(),)]
            asked[0] += 1
            time.sleep(0.001 * (number % 7))  # Sometimes between two queries, sometimes not.

    with logged_in(each_database) as client, ThreadPoolExecutor() as threads:
        asking = threads.submit(ask, client)
        try:
            epoch = each_database.epoch
            deadline = time.monotonic() + 30
            while each_database.epoch < epoch + 3:
                assert time.monotonic() < deadline and not asking.done()
                with contextlib.suppress(Exception):
                    each_database.suspend()
        finally:
            is_over.set()
        asking.result()
        assert asked[0] > 0


def test_a_herd_of_clients_is_served_by_one_resume(each_database: Database) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(logged_in(each_database)) for _ in range(HERD // 4)]
        for client in clients:
            client.query("select 1")
        each_database.fall_asleep()
        epoch = each_database.epoch
        clients += [
            stack.enter_context(connected(each_database.up)) for _ in range(HERD - len(clients))
        ]

        def ask(client: WireClient) -> list[tuple[bytes | None, ...]]:
            if not client.parameters:
                client.log_in(each_database)
            return client.query("select pg_backend_pid() > 0")

        with ThreadPoolExecutor(HERD) as threads:
            assert list(threads.map(ask, clients)) == [[(b"t",)]] * HERD
        assert each_database.epoch == epoch + 1


def test_a_changed_default_is_told_after_the_sleep(database: Database) -> None:
    """The client's idea of a reported parameter is the server's, whatever happened meanwhile."""
    with logged_in(database) as client, logged_in(database) as other:
        assert client.parameters["DateStyle"] == "ISO, MDY"
        other.query("alter role app set DateStyle to 'SQL, DMY'")
        database.fall_asleep()
        assert client.query("show DateStyle") == [(b"SQL, DMY",)]
        assert client.parameters["DateStyle"] == "SQL, DMY"


def test_what_the_startup_packet_set_is_set_after_the_sleep(database: Database) -> None:
    with logged_in(database, application_name="sleeper", client_encoding="LATIN1") as client:
        client.query("select 1")
        database.fall_asleep()
        assert client.query("show application_name") == [(b"sleeper",)]
        assert client.query("show client_encoding") == [(b"LATIN1",)]
