"""Real drivers through a real `torpor up`: what works straight on Postgres works through it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import asyncpg
import psycopg
import pytest
from psycopg import sql

from support.up import Database

LARGE_BYTES = 10 << 20

COMMAND_SECONDS_MAX = 60.0


def run(database: Database, *argv: str, stdin: str = "") -> str:
    """A command-line client with the connection in its environment."""
    done = subprocess.run(
        argv,
        env={**os.environ, **database.connection().environment()},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_psql_with_several_statements_and_copy_both_ways(each_database: Database) -> None:
    script = (
        "create table fruit (name text, price int);\n"
        "copy fruit from stdin;\napple\t3\npear\t4\n\\.\n"
        "begin; update fruit set price = price + 1; commit;\n"
        "copy fruit to stdout;\n"
    )
    assert run(each_database, "psql", "-qAt", "-f", "-", stdin=script) == "apple\t4\npear\t5\n"


def test_psql_shows_an_error_and_goes_on(each_database: Database) -> None:
    shown = run(each_database, "psql", "-qAt", "-f", "-", stdin="select 1/0;\nselect 2;\n")
    assert shown == "2\n"


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_pgbench(each_database: Database, protocol: str) -> None:
    run(each_database, "pgbench", "-iq", "-s", "1")
    options = ["-n", "-c", "4", "-t", "50", "-M", protocol]
    assert "actually processed: 200/200" in run(each_database, "pgbench", *options)


def test_psycopg_parameters_errors_and_transactions(each_database: Database) -> None:
    with psycopg.connect(each_database.uri()) as connection:
        connection.execute("create table t (n int)")
        connection.commit()
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("select %s / 0", (1,))
        connection.rollback()
        with pytest.raises(ZeroDivisionError), connection.transaction():
            connection.execute("insert into t values (1)")
            raise ZeroDivisionError
        assert connection.execute("select count(*) from t").fetchone() == (0,)


def test_psycopg_pipeline(each_database: Database) -> None:
    with psycopg.connect(each_database.uri(), autocommit=True) as connection:
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("select %s::int", (n,)) for n in range(500)]
            pipeline.sync()
            assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(500)]
        with pytest.raises(psycopg.errors.DivisionByZero), connection.pipeline():
            connection.execute("select 1 / %s::int", (0,))
            connection.execute("select 1")
        assert connection.execute("select 1").fetchone() == (1,)


def test_psycopg_copy_both_ways(each_database: Database) -> None:
    with psycopg.connect(each_database.uri(), autocommit=True) as connection:
        connection.execute("create table t (n int, words text)")
        with connection.cursor() as cursor:
            with cursor.copy("copy t from stdin") as copy:
                for n in range(50_000):
                    copy.write_row((n, "x" * (n % 50)))
            with cursor.copy("copy t to stdout") as copy:
                assert sum(1 for _ in copy.rows()) == 50_000
            with pytest.raises(psycopg.errors.BadCopyFileFormat):
                with cursor.copy("copy t from stdin") as copy:
                    copy.write("1\t2\t3\n")
        assert connection.execute("select count(*) from t").fetchone() == (50_000,)


def test_psycopg_notifications_and_notices(each_database: Database) -> None:
    uri = each_database.uri()
    with psycopg.connect(uri, autocommit=True) as hears, psycopg.connect(uri) as tells:
        hears.execute("listen news")
        for n in range(20):
            tells.execute(sql.SQL("notify news, {}").format(str(n)))
            tells.commit()
        heard = hears.notifies(timeout=30, stop_after=20)
        assert [notice.payload for notice in heard] == [str(n) for n in range(20)]
        noticed: list[str | None] = []
        hears.add_notice_handler(lambda diagnostic: noticed.append(diagnostic.message_primary))
        hears.execute("do $$ begin raise notice 'mind the gap'; end $$")
        assert noticed == ["mind the gap"]


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_psycopg_large_values_both_ways(each_database: Database, sslmode: str) -> None:
    value = os.urandom(LARGE_BYTES)
    with psycopg.connect(each_database.uri(sslmode=sslmode), autocommit=True) as connection:
        connection.execute("create table t (v bytea)")
        connection.execute("insert into t values (%b)", (value,))
        found = connection.execute("select v from t").fetchone()
        assert found == (value,)


def test_psycopg_server_side_cursor(each_database: Database) -> None:
    with psycopg.connect(each_database.uri()) as connection:
        with connection.cursor(name="slowly") as cursor:
            cursor.itersize = 100
            cursor.execute("select generate_series(1, 10000)")
            assert sum(row[0] for row in cursor) == 50_005_000


async def test_psycopg_asynchronous(each_database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(each_database.uri()) as connection:
        async with connection.pipeline():
            cursors = [await connection.execute("select %s::int", (n,)) for n in range(100)]
        assert [await cursor.fetchone() for cursor in cursors] == [(n,) for n in range(100)]
        async with connection.cursor() as cursor:
            async with cursor.copy("copy (select generate_series(1, 1000)) to stdout") as copy:
                assert len([row async for row in copy.rows()]) == 1000


async def test_asyncpg_pool_and_prepared_statements(each_database: Database) -> None:
    async with asyncpg.create_pool(each_database.uri(), min_size=5, max_size=5) as pool:

        async def work(n: int) -> int:
            async with pool.acquire() as connection:
                async with connection.transaction():
                    statement = await connection.prepare("select $1::int * 2")
                    return int(await statement.fetchval(n))

        assert await asyncio.gather(*map(work, range(50))) == [2 * n for n in range(50)]


async def test_asyncpg_copy_and_listen(each_database: Database, tmp_path: Path) -> None:
    connection = await asyncpg.connect(each_database.uri())
    try:
        await connection.execute("create table t (n int, words text)")
        rows = [(n, "words " * n) for n in range(1000)]
        await connection.copy_records_to_table("t", records=rows)
        await connection.copy_from_query("select * from t", output=tmp_path / "out")
        assert (tmp_path / "out").read_text().count("\n") == 1000
        heard: asyncio.Queue[object] = asyncio.Queue()
        await connection.add_listener("news", lambda *told: heard.put_nowait(told[3]))
        await connection.execute("notify news, 'hello'")
        assert await asyncio.wait_for(heard.get(), COMMAND_SECONDS_MAX) == "hello"
    finally:
        await connection.close()


async def test_asyncpg_cancels_by_a_time_limit(each_database: Database) -> None:
    connection = await asyncpg.connect(each_database.uri())
    try:
        with pytest.raises(TimeoutError):
            await connection.fetch("select pg_sleep(600)", timeout=0.5)
        assert await connection.fetchval("select 1") == 1
    finally:
        await connection.close()
