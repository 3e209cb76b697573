"""A database sleeps, its clients stay: with their settings, prepared statements and LISTENs."""

from __future__ import annotations

import asyncio

from e2e.conftest import MakeDatabase
from e2e.database import QUICK
from e2e.kubectl import WAIT_SECONDS_MAX, until


def test_a_psycopg_session_outlives_its_compute(make_database: MakeDatabase) -> None:
    database = make_database(idleTimeout=QUICK)
    with database.connect() as client:
        client.execute("set work_mem = '5MB'")
        client.execute("set app.tenant = 'seven'")
        client.execute("prepare twice as select $1::int * 2")
        client.execute("create table kept (n int)")
        client.execute("insert into kept values (41)")
        before = database.epoch
        database.falls_asleep()
        assert client.execute("execute twice(21)").fetchone() == (42,)
        assert client.execute("show work_mem").fetchone() == ("5MB",)
        assert client.execute("show app.tenant").fetchone() == ("seven",)
        assert client.execute("select n from kept").fetchone() == (41,)
    assert database.epoch > before


async def test_an_asyncpg_session_outlives_its_compute(make_database: MakeDatabase) -> None:
    database = make_database(idleTimeout=QUICK)
    client = await database.connect_asyncpg(server_settings={"application_name": "held"})
    try:
        statement = await client.prepare("select $1::text || '!'")
        await client.execute("set work_mem = '6MB'")
        await asyncio.to_thread(database.falls_asleep)
        assert await statement.fetchval("still here") == "still here!"
        assert await client.fetchval("show work_mem") == "6MB"
        assert await client.fetchval("show application_name") == "held"
    finally:
        await client.close()


async def test_a_listener_hears_what_was_notified_after_a_sleep(
    make_database: MakeDatabase,
) -> None:
    database = make_database(idleTimeout=QUICK)
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await database.connect_asyncpg()
    try:
        await listener.add_listener("news", lambda *told: heard.put_nowait(told[-1]))
        await asyncio.to_thread(database.falls_asleep)
        other = await database.connect_asyncpg()
        await other.execute("notify news, 'good morning'")
        await other.close()
        assert await asyncio.wait_for(heard.get(), WAIT_SECONDS_MAX) == "good morning"
    finally:
        await listener.close()


def test_a_transaction_keeps_its_database_awake(make_database: MakeDatabase) -> None:
    database = make_database(idleTimeout=QUICK)
    with database.connect() as client, client.transaction():
        client.execute("select 1")
        until(lambda: "transaction" in database.why_awake, "its reason is named")
        until(lambda: database.phase == "Active", "its status says so")
    database.falls_asleep()
