"""A compute is lost under real drivers: what each session sees of it follows from what it was in.

An idle session that was captured sees nothing; a transaction is answered by one error, and its
session goes on; what would lose state, or the protocol's place, ends the session and says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

import asyncpg
import psycopg
import pytest

from support.up import WAIT_SECONDS_MAX, Database, Up, a_database, until

ROLES = [{"name": "app"}, {"name": "other", "password": "other"}]

SURVIVES, REFUSED = '"session_survives"', '"session_refused"'
"""In the proxy's log."""

LOST = ("08006", "57P01")
"""What a session hears that ends: from the proxy, or from Postgres where it could still speak."""

Connection = psycopg.Connection[tuple[object, ...]]
Kill = Callable[[Database], None]


def kill_postgres(database: Database) -> None:
    os.kill(database.postmaster, signal.SIGKILL)


def kill_agent(database: Database) -> None:
    os.kill(database.agent, signal.SIGKILL)


each_kill = pytest.mark.parametrize("kill", [kill_postgres, kill_agent])


@pytest.fixture
def place(up_to_break: Up) -> Iterator[Database]:
    with a_database(up_to_break, roles=ROLES) as database:
        with connected(database) as connection:
            connection.execute("create table done (n int)")
        yield database


def connected(database: Database) -> Connection:
    return psycopg.connect(database.uri(), autocommit=True)


def watching(database: Database) -> Connection:
    """From another database of the cluster: it can't have notified anybody in the first."""
    return psycopg.connect(database.uri(), dbname="postgres", autocommit=True)


def captured(database: Database, process_id: int) -> None:
    database.captured(process_id)


def working(database: Database, wait_event: str) -> None:
    """Until one session of the first database is seen at it."""
    sql = (
        "select count(*) from pg_stat_activity"
        " where datname = 'app' and state = 'active' and wait_event = %s"
    )
    with watching(database) as watcher:
        until(lambda: watcher.execute(sql, (wait_event,)).fetchone() == (1,), wait_event)


def with_settings(database: Database) -> Connection:
    """A session that has something to lose, and was captured."""
    connection = connected(database)
    connection.execute("set work_mem = '5MB'")
    connection.execute("set app.tenant = 'é7'")
    connection.execute("prepare doubled as select 2 * $1::int")
    captured(database, connection.info.backend_pid)
    return connection


def still_has_settings(connection: Connection) -> None:
    assert connection.execute("show work_mem").fetchone() == ("5MB",)
    assert connection.execute("show app.tenant").fetchone() == ("é7",)
    assert connection.execute("execute doubled (21)").fetchone() == (42,)


def lose_compute(database: Database, kill: Kill, *, survivors: int = 0, refused: int = 0) -> None:
    """Until the proxy has noticed it of so many sessions that go on, and of so many that end."""
    before = fates(database)
    kill(database)
    after = (before[0] + survivors, before[1] + refused)
    until(lambda: fates(database) == after, f"{survivors} sessions go on and {refused} end")


def fates(database: Database) -> tuple[int, int]:
    """How many sessions have gone on without their compute, and how many were ended."""
    lines = database.up.log_of("proxy").splitlines()
    ours = [line for line in lines if f'"database": "{database.name}"' in line]
    return sum(SURVIVES in line for line in ours), sum(REFUSED in line for line in ours)


# --- idle ---------------------------------------------------------------------------------------


@each_kill
def test_idle_sessions_go_on_with_all_that_they_had(place: Database, kill: Kill) -> None:
    with ExitStack() as stack:
        plain = stack.enter_context(connected(place))
        stateful = stack.enter_context(with_settings(place))
        protocol = stack.enter_context(connected(place))
        for _ in range(2):
            protocol.execute("select %s::int + 1", (1,), prepare=True)
        plain.execute("select 1")
        for connection in (plain, protocol):
            captured(place, connection.info.backend_pid)
        lose_compute(place, kill, survivors=3)
        assert plain.execute("select 'plain'").fetchone() == ("plain",)
        still_has_settings(stateful)
        again = protocol.execute("select %s::int + 1", (41,), prepare=True)
        assert again.fetchone() == (42,)
        names = protocol.execute("select count(*) from pg_prepared_statements where not from_sql")
        assert names.fetchone() == (1,)


@each_kill
def test_a_listener_goes_on_listening(place: Database, kill: Kill) -> None:
    with connected(place) as listener:
        listener.execute("listen news")
        listener.execute("set work_mem = '5MB'")
        captured(place, listener.info.backend_pid)
        lose_compute(place, kill, survivors=1)
        with connected(place) as sender:
            sender.execute("notify news, 'after'")
        heard = listener.notifies(timeout=WAIT_SECONDS_MAX, stop_after=1)
        assert [(each.channel, each.payload) for each in heard] == [("news", "after")]
        assert listener.execute("show work_mem").fetchone() == ("5MB",)


@each_kill
async def test_asyncpg_goes_on_with_its_statements_and_listeners(
    place: Database, kill: Kill
) -> None:
    connection = await asyncpg.connect(place.uri())
    try:
        heard: SimpleQueue[object] = SimpleQueue()
        await connection.execute("set app.tenant = '7'")
        statement = await connection.prepare("select current_setting('app.tenant') || $1")
        await connection.add_listener("news", lambda *said: heard.put(said[-1]))
        assert await statement.fetchval("?") == "7?"
        captured(place, connection.get_server_pid())
        lose_compute(place, kill, survivors=1)
        assert await statement.fetchval("!") == "7!"
        await connection.execute("notify news, 'after'")
        assert heard.get(timeout=WAIT_SECONDS_MAX) == "after"
    finally:
        await connection.close()


# --- busy ---------------------------------------------------------------------------------------


@each_kill
def test_a_query_in_flight_is_answered_by_one_error(place: Database, kill: Kill) -> None:
    with with_settings(place) as connection, ThreadPoolExecutor() as threads:
        running = threads.submit(connection.execute, "select pg_sleep(600)")
        working(place, "PgSleep")
        kill(place)
        with pytest.raises(psycopg.errors.AdminShutdown, match=r"outcome .* unknown"):
            running.result(WAIT_SECONDS_MAX)
        still_has_settings(connection)


@each_kill
async def test_asyncpg_hears_of_a_query_in_flight_and_goes_on(place: Database, kill: Kill) -> None:
    connection = await asyncpg.connect(place.uri())
    try:
        await connection.execute("set app.tenant = '7'")
        sleeping = await connection.prepare("select pg_sleep($1::int)")
        # Before that it is no safe point: asyncpg prepares without a Sync.
        await sleeping.fetchval(0)
        captured(place, connection.get_server_pid())
        running = asyncio.create_task(sleeping.fetchval(600))
        await asyncio.to_thread(working, place, "PgSleep")
        kill(place)
        with pytest.raises(asyncpg.AdminShutdownError, match=r"outcome .* unknown"):
            await running
        assert await connection.fetchval("show app.tenant") == "7"
        await sleeping.fetchval(0)
    finally:
        await connection.close()


@each_kill
def test_an_open_transaction_is_told_at_its_next_query(place: Database, kill: Kill) -> None:
    with with_settings(place) as connection:
        connection.execute("begin")
        connection.execute("insert into done values (1)")
        connection.execute("set local work_mem = '6MB'")
        lose_compute(place, kill, survivors=1)
        with pytest.raises(psycopg.errors.AdminShutdown, match="rolled back"):
            connection.execute("insert into done values (2)")
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        assert connection.execute("select n from done").fetchall() == []
        still_has_settings(connection)


async def test_asyncpg_is_told_of_its_transaction_where_it_prepares(place: Database) -> None:
    """It waits for the answer to its Flush before it sends its Sync."""
    connection = await asyncpg.connect(place.uri())
    await asyncio.to_thread(captured, place, await connection.fetchval("select pg_backend_pid()"))
    await connection.execute("begin")
    await asyncio.to_thread(lose_compute, place, kill_postgres, survivors=1)
    with pytest.raises(asyncpg.AdminShutdownError, match="rolled back"):
        await connection.fetchval("select $1::int + 5", 1, timeout=WAIT_SECONDS_MAX)
    assert await connection.fetchval("select $1::int + 5", 1, timeout=WAIT_SECONDS_MAX) == 6
    await connection.close()


@each_kill
def test_a_transaction_block_of_a_driver_ends_with_the_error(place: Database, kill: Kill) -> None:
    with with_settings(place) as connection:
        with pytest.raises(psycopg.errors.AdminShutdown, match="rolled back"):
            with connection.transaction():
                connection.execute("insert into done values (1)")
                lose_compute(place, kill, survivors=1)
                connection.execute("insert into done values (2)")
        with connection.transaction():
            connection.execute("insert into done values (3)")
        assert connection.execute("select n from done").fetchall() == [(3,)]
        still_has_settings(connection)


# --- what ends ----------------------------------------------------------------------------------


@each_kill
def test_a_copy_in_flight_ends_its_session(place: Database, kill: Kill) -> None:
    with with_settings(place) as connection:
        with pytest.raises(psycopg.Error) as ended:
            with connection.cursor().copy("copy done from stdin") as copy:
                copy.write("1\n")
                working(place, "ClientRead")
                lose_compute(place, kill, refused=1)
                copy.write("2\n")
        assert ended.value.sqlstate == "08006"
        assert connection.closed
    with connected(place) as fresh:
        assert fresh.execute("select n from done").fetchall() == []


PINS = {
    "an advisory lock": "select pg_advisory_lock(42)",
    "a temporary table": "create temporary table scratch (n int)",
    "a cursor": "begin; declare c cursor with hold for select 1; commit",
}


@each_kill
@pytest.mark.parametrize("kind", PINS)
def test_a_pinned_session_ends(place: Database, kill: Kill, kind: str) -> None:
    """Its lock is not held any more, and it must not go on as if it were."""
    with with_settings(place) as connection:
        connection.execute(PINS[kind])
        captured(place, connection.info.backend_pid)
        kill(place)
        with pytest.raises(psycopg.Error) as ended:
            # A backend that dies may serve a little longer.
            until(lambda: not connection.execute("select 'still'"), "it is told")
        assert ended.value.sqlstate in LOST
        assert connection.closed
    with connected(place) as fresh:
        assert fresh.execute("select pg_try_advisory_lock(42)").fetchone() == (True,)
