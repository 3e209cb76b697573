"""The console of a real `torpor up`, with psql and drivers, with right clients and wrong ones."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from click.testing import CliRunner
from psycopg import errors

from support.postgres import binaries
from support.up import Database, Up, until
from support.wire_client import WireClient, error_of, query
from torpor_cli.client import ask_cluster
from torpor_cli.main import torpor
from torpor_cli.uri import connection_to
from torpor_proxy.core import wire

SECONDS_MAX = 30


def uri(up: Up, role: str | None = None) -> str:
    return connection_to(up.folder, "torpor", role).uri


@pytest.fixture
def console(up: Up) -> Iterator[psycopg.Connection]:
    with psycopg.connect(uri(up), autocommit=True) as connection:
        yield connection


def psql(up: Up, *arguments: str, role: str | None = None) -> subprocess.CompletedProcess[str]:
    program = binaries().program("psql")
    argv = [program, "-X", uri(up, role), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS_MAX)


# --- what it shows and does -----------------------------------------------------------------


def test_every_command_of_a_databases_life(database: Database, console: psycopg.Connection) -> None:
    """Through psycopg, which prepares what is asked often and binds parameters."""
    found = console.execute("SHOW DATABASES")
    assert found.description is not None
    names = [column.name for column in found.description]
    shown = {row[0]: dict(zip(names, row, strict=True)) for row in found}[database.name]
    assert shown["phase"] == "Active" and shown["ready"] is True and shown["epoch"] >= 1

    assert console.execute(f"SUSPEND {database.name}").statusmessage == "SUSPEND"
    assert database.is_asleep
    (name, epoch, wait_ms) = _one(console, "RESUME %s", database.name)
    assert name == database.name and epoch == shown["epoch"] + 1 and wait_ms > 0

    wakes = console.execute(f"SHOW WAKES {database.name}").fetchall()
    assert "RESUME of torpor" in str(wakes[0][6])
    assert wakes[0][-1] is True, "nobody has got a row"

    def is_listed() -> bool:
        """Of which databases there are sessions, the latest samples say."""
        whole = console.execute("SHOW SESSIONS").fetchall()
        return sessions[0][:5] in [row[:5] for row in whole]

    with psycopg.connect(database.uri(application_name="shop"), autocommit=True) as client:
        client.execute("SELECT 1")
        sessions = console.execute("SHOW SESSIONS %s", (database.name,)).fetchall()
        assert [(row[0], row[4]) for row in sessions] == [(database.name, "shop")]
        assert sessions[0][9] == client.info.backend_pid
        until(is_listed, "it is listed among all")
        moved = _one(console, f"SWITCHOVER {database.name}")
        assert moved[1] == epoch + 1 and moved[3] > 0
        assert client.execute("SELECT 2").fetchone() == (2,)

    chain = console.execute(f"SHOW CHAIN {database.name}").fetchall()
    assert chain and chain[0][1] == "switchover" and isinstance(chain[0][0], datetime)
    reasons = [row[2] for row in console.execute(f"SHOW WHY {database.name}")]
    assert reasons and all(reasons)
    assert console.execute(f"SHOW DECISIONS {database.name}").fetchall() is not None
    (proxy,) = console.execute("SHOW PROXIES").fetchall()
    assert proxy[1] is True
    assert console.execute("SHOW POOLS").fetchall()
    served = {row[4] for row in console.execute("SHOW COMPUTES")}
    assert database.name in served
    stats = {row[0]: row for row in console.execute("SHOW STATS")}
    assert stats[database.name][7] >= 2 and stats[database.name][8] > 0


def test_a_size_is_given_by_a_number_or_by_a_parameter(up: Up, console: psycopg.Connection) -> None:
    database = up.database(minCU=0.25, maxCU=2)
    try:
        assert _one(console, f"RESIZE {database.name} TO 0.5")[1] == 0.5
        assert _one(console, "RESIZE %s TO %s", database.name, 1)[1] == 1
        with pytest.raises(psycopg.Error) as raised:
            console.execute(f"RESIZE {database.name} TO 8")
        assert "2" in str(raised.value)
    finally:
        database.apply(idleTimeout="1s")


def test_a_session_at_the_console_keeps_no_database_awake(
    database: Database, console: psycopg.Connection
) -> None:
    console.execute(f"SHOW SESSIONS {database.name}")
    database.fall_asleep()
    for _ in range(3):
        console.execute(f"SHOW SESSIONS {database.name}")
        console.execute(f"SHOW WHY {database.name}")
        console.execute("SHOW DATABASES")
    assert database.is_asleep
    assert console.execute(f"SHOW SESSIONS {database.name}").fetchall() == []


def _one(console: psycopg.Connection, sql: str, *values: object) -> tuple[Any, ...]:
    row = console.execute(sql.encode(), values or None).fetchone()
    assert row is not None
    return row


# --- who may ------------------------------------------------------------------------------------


def test_who_may_look_may_change_nothing(up: Up, database: Database) -> None:
    with psycopg.connect(uri(up, "viewer"), autocommit=True) as viewer:
        assert database.name in [row[0] for row in viewer.execute("SHOW DATABASES")]
        with pytest.raises(errors.InsufficientPrivilege):
            viewer.execute(f"SUSPEND {database.name}")
        assert not database.is_asleep


def test_a_databases_roles_may_not_enter_nor_the_consoles_a_database(
    up: Up, database: Database
) -> None:
    own = database.connection()
    wrong = f"postgresql://{own.role}:{own.password}@{up.host}:{up.port}/torpor"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    password = connection_to(up.folder, "torpor").password
    other = f"postgresql://torpor:{password}@{up.host}:{up.port}/app"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{other}?options=endpoint%3D{database.name}")


def test_the_password_is_needed_and_another_database_is_none(up: Up) -> None:
    address = f"{up.host}:{up.port}"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://torpor:wrong@{address}/torpor")
    password = connection_to(up.folder, "torpor").password
    with pytest.raises(psycopg.OperationalError, match='database "app" does not exist'):
        psycopg.connect(f"postgresql://torpor:{password}@{address}/app?options=endpoint%3Dtorpor")


def test_tls_with_channel_binding(up: Up) -> None:
    verified = f"?sslmode=verify-full&sslrootcert={up.ca}&channel_binding=require"
    address = f"@localhost:{up.port}/"
    with psycopg.connect(uri(up).replace(f"@{up.host}:{up.port}/", address) + verified) as console:
        assert console.execute("SHOW VERSION").fetchone() is not None


def test_no_password_is_in_what_the_proxy_reads(up: Up) -> None:
    text = up.folder.console_roles.read_text()
    assert "SCRAM-SHA-256$" in text
    for role in ("torpor", "viewer"):
        password = connection_to(up.folder, "torpor", role).password
        assert password and password not in text


def test_no_database_may_be_called_like_it(up: Up) -> None:
    resource = {
        "apiVersion": "torpor.dev/v1alpha1",
        "kind": "ServerlessDatabase",
        "metadata": {"name": "torpor"},
        "spec": {},
    }
    with pytest.raises(Exception, match="reserved for the operator console"):
        ask_cluster(up.folder, "ApplyResource", resource=resource)


# --- clients as there are -------------------------------------------------------------------------


def test_psql(up: Up, database: Database) -> None:
    shown = psql(up, "-At", "-c", "SHOW DATABASES")
    assert shown.returncode == 0, shown.stderr
    assert database.name in [line.split("|")[0] for line in shown.stdout.splitlines()]
    assert "WARNING" not in shown.stderr
    several = psql(up, "-At", "-c", f"SHOW VERSION; SUSPEND {database.name}")
    assert several.stdout.startswith("Torpor ") and several.returncode == 0
    gone = psql(up, "-v", "VERBOSITY=verbose", "-c", "SUSPEND no-such-database")
    assert gone.returncode == 1 and "3D000" in gone.stderr and "no-such-database" in gone.stderr
    for command in ("\\d", "\\l", "SELECT * FROM pg_class"):
        refused = psql(up, "-v", "VERBOSITY=verbose", "-c", command)
        assert refused.returncode == 1 and "42601" in refused.stderr
        assert "SHOW HELP" in refused.stderr and "connection" not in refused.stderr.lower()


def test_the_verbs_lead_there(up: Up) -> None:
    argv = ["uri", "torpor", "--state", str(up.folder.root)]
    told = CliRunner().invoke(torpor, argv).output.strip()
    assert told == uri(up) and told.endswith("/torpor")
    viewer = CliRunner().invoke(torpor, [*argv, "--role", "viewer"]).output.strip()
    assert viewer == uri(up, "viewer")
    assert CliRunner().invoke(torpor, [*argv, "--role", "nobody"]).exit_code == 1


async def test_asyncpg_and_its_pool(up: Up, database: Database) -> None:
    """Prepares everything, and takes every known type in binary."""
    pool = await asyncpg.create_pool(uri(up), min_size=1, max_size=2)
    try:
        for _ in range(2):
            async with pool.acquire() as console:
                rows = await console.fetch("SHOW DATABASES")
                row = next(each for each in rows if each["name"] == database.name)
                assert row["ready"] is True and row["sessions"] == 0 and row["cu"] > 0
                assert row["last_wake_at"] is None or row["last_wake_at"].tzinfo is not None
                reasons = await console.fetch("SHOW WHY $1", database.name)
                assert reasons[0]["database"] == database.name
                with pytest.raises(asyncpg.PostgresSyntaxError) as raised:
                    await console.fetch("SELECT * FROM pg_class")
                assert "SHOW HELP" in str(raised.value.hint)
    finally:
        await pool.close()


async def test_asyncpg_takes_rows_by_portions(up: Up, database: Database) -> None:
    console = await asyncpg.connect(uri(up))
    try:
        async with console.transaction():
            cursor = await console.cursor("SHOW HELP")
            assert len(await cursor.fetch(5)) == 5
            assert len(await cursor.fetch(100)) == 11
    finally:
        await console.close()


def test_psycopg_without_autocommit(up: Up, database: Database) -> None:
    with psycopg.connect(uri(up)) as console:
        assert console.execute("SHOW DATABASES").fetchall()
        with pytest.raises(errors.ActiveSqlTransaction):
            console.execute(f"SUSPEND {database.name}")
        console.rollback()
        assert console.execute("SHOW DATABASES").fetchall()
    assert not database.is_asleep


def test_a_cancel_request_ends_what_is_waited_for(up: Up, database: Database) -> None:
    """A busy session holds the switchover up, for ten seconds at most."""
    with (
        psycopg.connect(database.uri(), autocommit=True) as busy,
        psycopg.connect(uri(up), autocommit=True) as console,
    ):
        busy.execute("BEGIN")
        stop = threading.Event()

        def cancel() -> None:
            while not stop.wait(0.05):
                console.cancel_safe()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            with pytest.raises(errors.QueryCanceled):
                console.execute(f"SWITCHOVER {database.name}")
        finally:
            stop.set()
            canceller.join()
        assert console.execute("SHOW VERSION").fetchone() is not None


# --- clients as there should not be ---------------------------------------------------------------


def logged_in(up: Up) -> WireClient:
    client = WireClient(socket.create_connection((up.host, up.port), SECONDS_MAX))
    client.send(wire.startup((("user", "torpor"), ("database", "torpor"))))
    client.until(b"R")
    client.prove(connection_to(up.folder, "torpor").password or "")
    client.until(b"Z")
    return client


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 64, b"Q\xff\xff\xff\xff", b"Q\0\0\0\1", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_garbage_ends_one_session_and_no_other(
    up: Up, console: psycopg.Connection, garbage: bytes
) -> None:
    with logged_in(up) as client:
        client.send(garbage)
        assert b"08P01" in client.rest()
    assert console.execute("SHOW VERSION").fetchone() is not None


def test_a_slow_reader_costs_the_proxy_no_memory(up: Up, console: psycopg.Connection) -> None:
    """Two hundred answers of 100 KB, and nobody reads: TCP holds the client up."""
    with logged_in(up) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        proxy, before = up.component("proxy"), 0
        asked = query("; ".join(["SHOW HELP"] * 100))
        before = _resident_bytes(proxy)
        client.socket.settimeout(2)
        with pytest.raises(TimeoutError):
            for _ in range(100_000):
                client.send(asked)
        assert _resident_bytes(proxy) - before < 32 << 20
        assert console.execute("SHOW VERSION").fetchone() is not None
        client.socket.settimeout(SECONDS_MAX)
        answered = client.until(b"Z")
        assert sum(kind == b"D" for kind, _ in answered) == 1600


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_parameter_that_is_no_name(up: Up) -> None:
    with logged_in(up) as client:
        said = client.ask(
            wire.parse("", "SUSPEND $1") + wire.bind("", [b"No Name"]) + wire.execute() + wire.SYNC
        )
        assert error_of(said)["C"] == "42602"
        assert client.query("SHOW VERSION")


def test_what_was_done_is_in_the_log(up: Up, database: Database) -> None:
    with psycopg.connect(uri(up), autocommit=True) as console:
        console.execute(f"SUSPEND {database.name}")

    def is_told() -> bool:
        lines = up.log_of("proxy").splitlines()
        told = [line for line in lines if "console_command" in line and database.name in line]
        return any("SUSPEND" in line and "torpor" in line for line in told)

    until(is_told, "the log has it")
