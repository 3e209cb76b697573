"""Another size for a database in use, on one machine: what a reload brings, and what a restart."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
import pytest

from support.up import Database, Up, a_database, until
from torpor_api.failures import InvalidRequest, Refused
from torpor_cli.client import ask_autoscaler


@pytest.fixture
def of_four(up: Up) -> Iterator[Database]:
    """It may have up to four units, and begins with one."""
    with a_database(up, maxCU=4) as made:
        yield made


@pytest.fixture
def of_sixteen(up: Up) -> Iterator[Database]:
    """Its shared buffers are more than its smallest compute should have."""
    with a_database(up, maxCU=16) as made:
        yield made


def resize(database: Database, cu: str) -> dict[str, Any]:
    return ask_autoscaler(database.up.folder, "Resize", name=database.name, cu=cu)


def shown(connection: psycopg.Connection[Any], setting: str) -> str:
    found = connection.execute(f"show {setting}").fetchone()
    assert found is not None
    return str(found[0])


def test_a_session_sees_the_new_size_and_stays_where_it_is(of_four: Database) -> None:
    database = of_four
    with psycopg.connect(database.uri(), autocommit=True) as session:
        assert shown(session, "effective_cache_size") == "3GB"
        assert database.status["currentCU"] == 1
        epoch = database.status["epoch"]
        assert resize(database, "1.5") == {"cu": "1.5", "pause_ms": None, "needs_restart": []}
        until(lambda: shown(session, "effective_cache_size") == "4608MB", "a reload")
        status = database.status
        assert (status["currentCU"], status["chosenCU"], status["epoch"]) == (1.5, 1.5, epoch)


def test_what_takes_a_restart_comes_by_a_switchover(of_sixteen: Database) -> None:
    database = of_sixteen
    with psycopg.connect(database.uri(), autocommit=True) as session:
        session.execute("set work_mem = '7MB'")
        assert shown(session, "shared_buffers") == "1GB"
        epoch = database.status["epoch"]
        resized = resize(database, "0.5")
        assert resized["pause_ms"] is not None and resized["needs_restart"] == []
        assert shown(session, "shared_buffers") == "512MB"
        assert shown(session, "work_mem") == "7MB"
        assert database.status["epoch"] == epoch + 1


def test_a_session_that_can_t_be_moved_keeps_what_it_has(of_sixteen: Database) -> None:
    database = of_sixteen
    with psycopg.connect(database.uri(), autocommit=True) as session:
        session.execute("create temporary table mine (x int)")
        resized = resize(database, "0.5")
        assert resized["needs_restart"] == ["shared_buffers is 1024MB, not 512MB"]
        session.execute("select * from mine")
        assert "shared_buffers" in database.why


def test_a_choice_ends_with_the_sleep(of_four: Database) -> None:
    database = of_four
    with psycopg.connect(database.uri(), autocommit=True) as session:
        session.execute("select 1")
        resize(database, "2")
        database.fall_asleep()
        assert database.status.get("chosenCU") is None
        assert shown(session, "effective_cache_size") == "3GB"


def test_a_crowd_gets_a_larger_compute_and_nobody_is_interrupted(of_four: Database) -> None:
    """Of four clients that compute all the time, within seconds; Postgres's settings follow."""
    database = of_four
    with psycopg.connect(database.uri(), autocommit=True) as session:
        assert shown(session, "effective_cache_size") == "3GB"
        epoch = database.status["epoch"]
        with crowd(database, 4):
            until(lambda: database.status["currentCU"] > 1, "it grows")
            until(lambda: shown(session, "effective_cache_size") != "3GB", "a reload")
            assert database.status["currentCU"] <= 4
        assert database.status["epoch"] == epoch
        (grown, *_) = [one for one in decisions(database) if one["follows"].startswith("grows")]
        assert (grown["metric"], grown["window_s"]) == ("load", 6)


@contextmanager
def crowd(database: Database, clients: int) -> Iterator[None]:
    """At work until the end, which is an error to each of them."""

    def work(client: psycopg.Connection[Any]) -> None:
        with suppress(psycopg.errors.QueryCanceled):
            client.execute("select count(*) from (select generate_series(1, 1000000000)) as many")

    with ExitStack() as ending, ThreadPoolExecutor(clients) as pool:
        made = [
            ending.enter_context(psycopg.connect(database.uri(), autocommit=True))
            for _ in range(clients)
        ]
        working = [pool.submit(work, client) for client in made]
        try:
            yield
        finally:
            for client in made:
                client.cancel_safe()
            for one in working:
                one.result()


def decisions(database: Database) -> list[dict[str, Any]]:
    told = ask_autoscaler(database.up.folder, "AskDecisions", name=database.name)
    found: list[dict[str, Any]] = told["decisions"]
    return found


def test_what_can_t_be_is_refused(database: Database) -> None:
    database.fall_asleep()
    with pytest.raises(Refused, match="there is no compute to resize"):
        resize(database, "1")
    with psycopg.connect(database.uri(), autocommit=True) as session:
        session.execute("select 1")
        with pytest.raises(Refused, match=r"0\.25 to 1 CU"):
            resize(database, "2")
        with pytest.raises(InvalidRequest, match=r"multiple of 0\.25"):
            resize(database, "0.3")
