"""What a whole `torpor up` writes down of a bad day: lines of one form, and nobody's secret."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import sql

from support.up import Database, Up, a_database, running_up, until
from tidy.log_document import documented

FILES = ("proxy", "autoscaler", "agents", "up")

TRIED, SET, WORD, SETTING, SAID = (
    f"hush-{kind}-4711" for kind in ("tried", "set", "word", "setting", "said")
)
"""A password that is wrong, one that is set by SQL, a query's words, a setting's value, what is
sent to others: none of them is anybody's business."""

SECRETS = (TRIED, SET, WORD, SETTING, SAID, "SCRAM-SHA-256$")


@pytest.fixture(scope="module")
def talkative() -> Iterator[Up]:
    """At the level that tells most."""
    with running_up("--no-limits", TORPOR_LOG_LEVEL="debug") as started:
        yield started


@pytest.fixture
def place(talkative: Up) -> Iterator[Database]:
    roles = [{"name": "app"}, {"name": "boss", "superuser": True, "password": "boss"}]
    with a_database(talkative, roles=roles) as database:
        yield database


def connected(database: Database, role: str = "app") -> psycopg.Connection[Any]:
    return psycopg.connect(database.uri(role), autocommit=True)


def lines_of(up: Up) -> list[dict[str, Any]]:
    """Of all components."""
    return [json.loads(line) for name in FILES for line in up.log_of(name).splitlines()]


def postgres_log(database: Database) -> str:
    return (database.folder / "log" / "postgres.log").read_text()


def have_a_bad_day(database: Database) -> None:
    """Logins, statements and ends that fail, with secrets in all of them."""
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database.uri(), password=TRIED)
    with connected(database) as mine:
        mine.execute(sql.SQL("ALTER ROLE app PASSWORD {}").format(SET))
        mine.execute("SELECT set_config('app.token', %s, false)", (SETTING,))
        mine.execute(f"LISTEN news; NOTIFY news, '{SAID}'")
        for statement in (
            f"ALTER ROLE app PASWORD '{SET}'",
            f'SELECT 1/0 AS "{WORD}"',
            f"DO $$ BEGIN EXECUTE 'SELECT 1/0 /* {WORD} */'; END $$",
        ):
            with pytest.raises(psycopg.Error):
                mine.execute(statement)
        with pytest.raises(psycopg.Error):
            mine.execute("SELECT 1 / length(%s::text) / 0", (WORD,), prepare=True)
        database.fall_asleep()
        assert mine.execute("SELECT current_setting('app.token')").fetchone() == (SETTING,)


def crash(database: Database) -> None:
    """Of one backend in the middle of a statement, and with it of all others."""
    seek = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'"
    with connected(database, "boss") as watcher, ThreadPoolExecutor() as threads:
        sleeping = threads.submit(sleep_in, database)
        found: list[int] = []

        def is_running() -> bool:
            found[:] = [pid for (pid,) in watcher.execute(seek).fetchall()]
            return bool(found)

        until(is_running, "the statement runs")
        os.kill(found[0], signal.SIGKILL)
        sleeping.result()
    until(lambda: "was terminated by signal 9" in postgres_log(database), "a crash is told")


def sleep_in(database: Database) -> None:
    with connected(database, "boss") as mine, contextlib.suppress(psycopg.Error):
        mine.execute(f"SELECT pg_sleep(600) /* {WORD} */")


def test_nobody_s_secret_is_written_down_whatever_fails(place: Database) -> None:
    have_a_bad_day(place)
    crash(place)
    place.wake()
    said = postgres_log(place)
    assert said.count("ERROR:  division by zero") == 3 and 'option "pasword"' in said
    texts = {"postgres": said, "output": place.up.output}
    texts |= {name: place.up.log_of(name) for name in FILES}
    found = [(name, secret) for name, text in texts.items() for secret in SECRETS if secret in text]
    assert found == []


def test_who_asks_for_it_finds_his_statements(place: Database) -> None:
    with connected(place, "boss") as boss:
        boss.execute("ALTER SYSTEM SET log_min_error_statement = 'error'")
        boss.execute("ALTER SYSTEM SET log_error_verbosity = 'default'")
        boss.execute("SELECT pg_reload_conf()")

        def is_told() -> bool:
            with contextlib.suppress(psycopg.Error):
                boss.execute(f"DO $$ BEGIN EXECUTE 'SELECT 1/0 /* {WORD} */'; END $$")
            said = postgres_log(place)
            return all(f"{part}:  " in said for part in ("STATEMENT", "CONTEXT")) and WORD in said

        until(is_told, "Postgres has read its settings")


def test_each_line_says_whom_it_is_about_and_is_in_the_document(place: Database) -> None:
    have_a_bad_day(place)
    os.kill(place.postmaster, signal.SIGKILL)
    until(lambda: len(events_of(place, "postgres_lost")) == 2, "its agent notices it, and tells")
    place.wake()
    lines = lines_of(place.up)
    form = {"at", "level", "component", "event"}
    assert [line for line in lines if not form <= line.keys()] == []
    assert {line["event"] for line in lines} <= set(documented())
    assert [
        line for line in lines if "session" in line and not {"proxy", "database"} <= line.keys()
    ] == []
    refused, *_ = events_of(place, "login_refused")
    assert (refused["user"], refused["sqlstate"]) == ("app", "28P01")
    assert refused["reason"] == "wrong password" and refused["client"].startswith("127.0.0.1:")
    lost = events_of(place, "postgres_lost")
    assert {line["component"] for line in lost} == {"agent", "autoscaler"}
    assert all(line["epoch"] > 0 and line["compute"] for line in lost)


def events_of(database: Database, event: str) -> list[dict[str, Any]]:
    """Of this database."""
    lines = lines_of(database.up)
    return [
        line for line in lines if (line["event"], line.get("database")) == (event, database.name)
    ]
