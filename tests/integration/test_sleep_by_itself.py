"""When a real database sleeps and wakes by itself: by what was learned of it, and by the clock."""

from __future__ import annotations

import asyncio
from time import monotonic

import asyncpg
import psycopg
import pytest

from support.up import Database, Up, running_up, until
from torpor_api.failures import Refused

CHEAP = ("--waiting-price", "1")
"""A wake costs a second and a bit of its compute then, and no test waits for longer."""

VISITED_EVERY_S = 0.2
"""A fifth of the idle timeout of a database that is not to sleep meanwhile."""

TRIES_MAX = 5
"""Each takes some seconds; one in which this machine paused itself tells nothing."""


def counted(database: Database) -> float:
    """How many gaps its record knows."""
    pairs = (pair.split(":") for pair in database.status["learnedGaps"]["counts"].split())
    return sum(float(count) for _, count in pairs)


async def visit(database: Database) -> None:
    """As a client that asks once, and is there for some milliseconds."""
    session = await asyncpg.connect(database.uri(), ssl=False)
    await session.execute("select count(*) from pg_class")
    await session.close()


def test_a_database_learns_and_what_it_has_learned_outlives_torpor_up() -> None:
    with running_up(*CHEAP) as up:
        database = up.database(idleTimeout="auto")
        with psycopg.connect(database.uri(), autocommit=True) as session:
            session.execute("select 1")
            why = database.why
            assert "sleeps by idleTimeout auto: after 1." in why or database.is_asleep, why
            until(lambda: database.is_asleep, "it sleeps by itself")
            epoch, known = database.epoch, counted(database)
            session.execute("select count(*) from pg_class")
            assert database.epoch == epoch + 1
            until(lambda: database.is_asleep, "it sleeps again")
        assert counted(database) == pytest.approx(known + 1.0, abs=0.1)
        up.stop()
        up.start(*CHEAP)
        with psycopg.connect(database.uri(), autocommit=True) as session:
            session.execute("select count(*) from pg_class")
            why = database.why
            assert f"{known + 2.0:.0f} gaps known" in why or database.is_asleep, why
            until(lambda: database.is_asleep, "it sleeps as before")
        assert counted(database) == pytest.approx(known + 2.0, abs=0.2)


async def test_clients_that_come_and_go_between_two_samples_keep_it_awake(up: Up) -> None:
    """As from ``psql -c``, or from functions without a pool."""
    database, timeout_s = up.database(idleTimeout="1s"), 1.0
    for _ in range(TRIES_MAX):
        await visit(database)
        epoch = database.epoch
        if await visits(database, 6 * timeout_s, pause_s_max=timeout_s / 2):
            break
    else:
        pytest.fail("clients came so late each time that it may have slept")
    assert database.epoch == epoch
    until(lambda: database.is_asleep, "nobody comes any more")


async def visits(database: Database, for_s: float, pause_s_max: float) -> bool:
    """Whether each came soon enough after the one before it."""
    left = monotonic()
    ends = left + for_s
    while left < ends:
        await asyncio.sleep(VISITED_EVERY_S)
        if monotonic() > left + pause_s_max:
            return False
        await visit(database)
        left = monotonic()
    return True


def test_a_schedule_wakes_it_without_a_client_and_keeps_it_awake(up: Up) -> None:
    always = {"cron": "* * * * *", "timeZone": "Europe/Berlin", "duration": "2m", "minCU": 0.5}
    database = Database(up, "by-the-clock", {"idleTimeout": "1s", "schedules": [always]})
    database.apply()
    until(lambda: bool(database.status["phase"] == "Active"), "its schedule wakes it")
    words = "schedule * * * * * Europe/Berlin"
    assert database.why.startswith(words)
    until(lambda: words in database.status["whyAwake"], "its record says why")
    with pytest.raises(Refused, match="is kept awake: schedule"):
        database.suspend()
    assert database.status["lastResume"]["cause"] == words
    database.apply(schedules=[])
    until(lambda: database.is_asleep, "nothing keeps it awake any more")
