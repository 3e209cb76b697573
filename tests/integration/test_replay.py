"""`torpor replay` on the real thing: what clients did elsewhere happens here, as it did there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from support.logging_postgres import LoggingPostgres, logging_postgres
from support.postgres_log import as_csv, failed, line, took
from support.up import WAIT_SECONDS_MAX, Database, until
from support.verbs import torpor
from torpor_cli.client import ask_autoscaler

TABLES = (
    "create table fruit"
    " (id int primary key, name text, tags text[], about jsonb, raw bytea, at date)"
)


def replay(database: Database, *arguments: object) -> subprocess.CompletedProcess[str]:
    return torpor(*command(database, *arguments))


@contextlib.contextmanager
def replaying(database: Database, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "torpor_cli.main", *command(database, *arguments)]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with running:
        try:
            yield running
        finally:
            running.kill()


def ended(running: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    output, errors = running.communicate(timeout=3 * WAIT_SECONDS_MAX)
    return subprocess.CompletedProcess([], running.returncode, output, errors)


def command(database: Database, *arguments: object) -> list[str]:
    return ["replay", "-o", "json", *map(str, arguments), f"--state={database.up.folder.root}"]


def told(done: subprocess.CompletedProcess[str], status: int = 0) -> dict[str, Any]:
    assert done.returncode == status, done.stderr + done.stdout
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def written(tmp_path: Path, *lines: dict[str, str]) -> Path:
    (tmp_path / "log.csv").write_text(as_csv(lines))
    return tmp_path / "log.csv"


def rows(connection: psycopg.Connection, query: str) -> list[Any]:
    return connection.execute(query.encode()).fetchall()


# --- a log of real clients -----------------------------------------------------------------


def work(postgres: LoggingPostgres) -> None:
    """One session behind the other, each on rows of its own."""
    with postgres.connect() as client:
        client.execute("insert into fruit values (%s, %s)", (1, "it's, $2 = 'pear'\n\\"))
        client.execute(
            "insert into fruit values (%s, %s, %s, %s, %s, %s)",
            (2, None, ["a,b", '"', None], '{"a": "b"}', b"\x00\xff'", "2027-01-01"),
        )
        for id in range(10, 20):
            client.execute("insert into fruit (id) values (%s)", (id,), prepare=True)
        with pytest.raises(psycopg.errors.UniqueViolation):
            client.execute("insert into fruit (id) values (%s)", (10,))
        with pytest.raises(psycopg.errors.SyntaxError):
            client.execute("selec 1")
        client.execute("discard all")
    with postgres.connect() as client:
        client.execute(
            "insert into fruit (id) values (30); update fruit set name = 'x' where id = 30"
        )
        with pytest.raises(psycopg.errors.DivisionByZero), client.transaction():
            client.execute("insert into fruit (id) values (31)")
            client.execute("select 1/0")
        with client.cursor() as cursor, cursor.copy("copy fruit to stdout") as copy:
            assert list(copy)
        with client.cursor() as cursor, cursor.copy("copy fruit (id) from stdin") as copy:
            copy.write("99\n")
        client.execute("delete from fruit where id = 99")


async def work_binary(postgres: LoggingPostgres) -> None:
    """asyncpg sends parameters as binary, and names its statements."""
    known = postgres.parameters()
    client = await asyncpg.connect(
        host=known["host"], port=int(known["port"]), user="app", database="app"
    )
    insert = await client.prepare("insert into fruit (id, name, tags, raw) values ($1, $2, $3, $4)")
    for id in (40, 41):
        await insert.fetch(id, "näme", ["x", None], b"\x01\x00")
    async with client.transaction():
        assert len(await client.fetch("select * from fruit where id > $1", 0)) > 10
    await client.close()


SLEEPING = "select from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'"


@dataclass(frozen=True, slots=True)
class Logged:
    """What is left of a server: its logs, and what it had in the end."""

    csv: Path
    json: Path
    rows: list[Any]


@pytest.fixture(scope="module")
def logged() -> Logged:
    with logging_postgres() as postgres:
        with postgres.connect() as client:
            client.execute(TABLES)
        work(postgres)
        asyncio.run(work_binary(postgres))
        with postgres.connect() as client:
            found = rows(client, "select * from fruit order by id")
    return Logged(postgres.csv, postgres.json, found)


@pytest.mark.parametrize("format", ["csv", "json"])
def test_what_clients_did_happens_here(database: Database, logged: Logged, format: str) -> None:
    database.fall_asleep()
    log = logged.csv if format == "csv" else logged.json
    done = replay(database, log, "--to", database.name, "--database", "app")
    document = told(done)
    with psycopg.connect(database.uri(), autocommit=True) as client:
        found = rows(client, "select * from fruit order by id")
    assert found == logged.rows
    errors = document["errors"]
    assert set(errors) == {"23505", "42601", "22012"}
    assert all(each["now"] == each["inLog"] == 1 and not each["new"] for each in errors.values())
    assert document["statements"]["replayed"] == document["statements"]["inLog"]
    assert document["use"]["wakes"] and document["use"]["wakes"][0]["spans"]
    assert document["sessions"]["lost"] == 0 and document["latencyMs"]["compared"] > 20
    assert "left out: 1 × COPY … FROM STDIN" in done.stderr
    assert "it writes: " in done.stderr and "CREATE TABLE" in done.stderr
    assert "pear" not in done.stderr + done.stdout


# --- how it goes ---------------------------------------------------------------------------


def test_what_fails_now_and_did_not_then(database: Database, tmp_path: Path) -> None:
    log = written(
        tmp_path,
        took(1, 1, "statement: select 1"),
        took(2, 1, "statement: select * from missing"),
        failed(3, "42P01", "select * from missing"),
    )
    document = told(replay(database, log, "--to", database.name, "--speed", "max"), status=1)
    assert document["errors"] == {"42P01": {"now": 2, "inLog": 1, "new": 1}}
    assert document["newErrorsAt"] == [f"{log}:2"] and not document["ok"]


def test_a_held_session_goes_on_behind_a_sleep(database: Database, tmp_path: Path) -> None:
    """Its prepared statement and its setting are there; the database sleeps in the middle."""
    detail = "parameters: $1 = '1'"
    log = written(
        tmp_path,
        took(1, 1, "statement: set torpor.test = 'held'"),
        took(2, 1, "execute s1: select current_setting('torpor.test'), $1::int", detail=detail),
        took(800, 1, "execute s1: select current_setting('torpor.test'), $1::int", detail=detail),
        took(800.1, 1, "statement: select 1/(current_setting('torpor.test') = 'held')::int"),
    )
    with replaying(database, log, "--to", database.name, "--speed", "100") as running:
        until(lambda: bool(sessions(database)), "the session is there")
        database.fall_asleep()
        document = told(ended(running))
    assert document["statements"]["replayed"] == 4 and document["sessions"]["opened"] == 1
    assert document["use"]["transitions"]["resume"] >= 1


def test_what_one_session_wrote_is_there_for_the_next_behind_a_wake_too(
    database: Database, tmp_path: Path
) -> None:
    """In the log the second one came when the table was made; here both find a database asleep."""
    lines = [took(1, 1, "statement: create table t (a int)")]
    for number in range(2, 12):
        begin_s, other = 1 + number / 500, {"session_id": f"6a.{number}"}
        lines.append(took(begin_s, 1, f"statement: insert into t values ({number})", **other))
    database.fall_asleep()
    document = told(replay(database, written(tmp_path, *lines), "--to", database.name))
    assert document["statements"]["replayed"] == 11 and not document["errors"]
    assert document["statements"]["outOfOrder"] == 0 and document["late"]["count"] > 0


def test_ctrl_c_tells_what_there_is(database: Database, tmp_path: Path) -> None:
    log = written(
        tmp_path,
        took(1, 1, "statement: select 1"),
        took(1.1, 1, "statement: select pg_sleep(600)"),
        took(3000, 1, "statement: select 2"),
    )
    with replaying(database, log, "--to", database.name) as running:
        with psycopg.connect(database.uri(), autocommit=True) as client:
            until(lambda: bool(rows(client, SLEEPING)), "the session sleeps in its statement")
        running.send_signal(signal.SIGINT)
        document = told(ended(running))
    assert document["endedEarly"] and document["statements"]["replayed"] == 1
    until(lambda: not sessions(database), "its session has left")


def sessions(database: Database) -> list[str]:
    """The states of those that are there."""
    found = ask_autoscaler(database.up.folder, "Sessions", name=database.name)["sessions"]
    return [each["state"] for each in found]


def test_a_connection_that_is_ended_is_told_and_another_one_goes_on(
    database: Database, tmp_path: Path
) -> None:
    log = written(
        tmp_path,
        took(1, 1, "statement: select pg_sleep(600)"),
        took(2, 1, "statement: select 2"),
    )
    with replaying(database, log, "--to", database.name) as running:
        with psycopg.connect(database.uri(), autocommit=True) as client:
            until(lambda: bool(rows(client, SLEEPING)), "the session sleeps in its statement")
            client.execute(
                SLEEPING.replace("select", "select pg_terminate_backend(pid)", 1).encode()
            )
        document = told(ended(running), status=1)
    assert document["errors"] == {"57P01": {"now": 1, "inLog": 0, "new": 1}}
    assert document["sessions"]["lost"] == 1 and document["statements"]["replayed"] == 2


def test_only_reads(database: Database, tmp_path: Path) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as client:
        client.execute("create table t (a int)")
        client.execute(
            "create function add() returns void language sql as 'insert into t values (1)'"
        )
    log = written(
        tmp_path,
        took(1, 1, "statement: insert into t values (2)"),
        took(2, 1, "statement: select add()"),
        took(3, 1, "statement: select * from t"),
    )
    done = replay(database, log, "--to", database.name, "--only-reads", "--speed", "max")
    document = told(done)
    assert document["statements"] == {
        "inLog": 2,
        "replayed": 1,
        "notRun": 0,
        "refusedWrites": 1,
        "outOfOrder": 0,
    }
    with psycopg.connect(database.uri(), autocommit=True) as client:
        assert rows(client, "select * from t") == []


def test_sessions_that_are_too_many_wait_for_each_other(database: Database, tmp_path: Path) -> None:
    log = written(
        tmp_path,
        took(1, 1, "statement: select pg_sleep(0.2)"),
        took(1, 1, "statement: select 2", session_id="6a.2"),
    )
    options = ("--to", database.name, "--speed", "max", "--sessions-max", 1)
    document = told(replay(database, log, *options))
    assert document["sessions"]["heldUp"] == 1 and document["statements"]["replayed"] == 2


def test_a_result_of_any_size_and_a_uri(database: Database, tmp_path: Path) -> None:
    log = written(
        tmp_path,
        line(1, "connection authorized: user=ann database=app"),
        took(2, 1, "statement: select repeat('x', 1000) from generate_series(1, 20000)"),
        took(3, 1, "statement: copy (select generate_series(1, 20000)) to stdout; select 1"),
    )
    document = told(replay(database, log, "--uri", database.uri(), "--speed", "max"))
    assert document["statements"]["replayed"] == 2 and document["use"] is None
    assert database.password not in json.dumps(document)


def test_who_can_not_connect_replays_nothing(database: Database, tmp_path: Path) -> None:
    log = written(tmp_path, took(1, 1, "statement: select 1"))
    wrong = database.uri().replace(database.password, "wrong")
    done = replay(database, log, "--uri", wrong)
    assert done.returncode == 1 and "a session can't connect" in done.stderr
    assert done.stdout == "" and "wrong" not in done.stderr


# --- scripts -------------------------------------------------------------------------------


def test_a_pgbench_script(database: Database, tmp_path: Path) -> None:
    database.fall_asleep()
    script = tmp_path / "count.sql"
    script.write_text("\\set n random(1, :most)\nselect :n + 1;\n\\sleep 10 ms\n")
    options = ("--clients", 2, "--seconds", 1, "-D", "most=9")
    document = told(replay(database, f"{script}@2", "--to", database.name, *options))
    assert document["ok"] and document["transactions"] > 2 and document["latencyMs"]["p50"] >= 10
    assert len(document["use"]["wakes"]) == 1


def test_a_script_that_fails(database: Database, tmp_path: Path) -> None:
    script = tmp_path / "bad.sql"
    script.write_text("select * from missing;\n")
    done = replay(database, script, "--to", database.name, "--seconds", 1)
    document = told(done, status=1)
    assert document["clientsAborted"] == 1 and "missing" in document["errors"][0]
    script.write_text("\\nonsense\n")
    refused = replay(database, script, "--to", database.name, "--seconds", 1)
    assert refused.returncode == 2 and "nonsense" in refused.stderr
    wrong = database.uri().replace(database.password, "wrong")
    script.write_text("select 1 + 1;\n")
    unreached = replay(database, script, "--uri", wrong)
    assert unreached.returncode == 1 and "wrong" not in unreached.stderr


def test_ctrl_c_of_a_script(database: Database, tmp_path: Path) -> None:
    script = tmp_path / "long.sql"
    script.write_text("select pg_sleep(0.01);\n")
    with replaying(database, script, "--to", database.name, "--seconds", 600) as running:
        until(lambda: bool(sessions(database)), "pgbench is there")
        running.send_signal(signal.SIGINT)
        document = told(ended(running))
    assert document["endedEarly"]
    until(lambda: not sessions(database), "pgbench has left")


def test_a_pgbench_that_is_ended_by_somebody_else(database: Database, tmp_path: Path) -> None:
    script = tmp_path / "long.sql"
    script.write_text("select pg_sleep(0.01);\n")
    with replaying(database, script, "--to", database.name, "--seconds", 600) as running:
        until(lambda: bool(sessions(database)), "pgbench is there")
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()
        os.kill(int(children), signal.SIGKILL)
        document = told(ended(running), status=1)
    assert not document["ok"] and "exit status -9" in document["errors"][0]
