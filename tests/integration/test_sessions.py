"""Who is connected to a database, as `torpor sessions` and `torpor why` say it at this moment."""

from __future__ import annotations

from typing import Any

import psycopg
from click.testing import CliRunner

from support.up import Database, until
from torpor_cli.client import ask_autoscaler
from torpor_cli.main import torpor


def sessions(database: Database) -> list[dict[str, Any]]:
    told = ask_autoscaler(database.up.folder, "Sessions", name=database.name)
    assert told["missing"] == [] and told["total"] == len(told["sessions"])
    found: list[dict[str, Any]] = told["sessions"]
    return found


def shown(database: Database, *options: str) -> str:
    argv = ["sessions", database.name, "--state", str(database.up.folder.root), *options]
    return CliRunner().invoke(torpor, argv).output


def test_a_pinned_one_is_named_and_comes_first(database: Database) -> None:
    with (
        psycopg.connect(database.uri(), autocommit=True) as idle,
        psycopg.connect(database.uri(application_name="worker"), autocommit=True) as pinned,
    ):
        idle.execute("select 1")
        pinned.execute("select pg_advisory_lock(42)")
        until(lambda: sessions(database)[0]["state"] == "pinned", "it is known to be pinned")
        first, second = sessions(database)
        assert (first["application"], first["user"], first["dbname"]) == ("worker", "app", "app")
        assert "advisory lock" in first["reason"] and second["state"] != "pinned"
        assert first["process_id"] == pinned.info.backend_pid
        assert second["process_id"] == idle.info.backend_pid
        assert first["backend_process_id"] > 0
        until(lambda: "worker" in database.why, "the proxy has reported since the start")
        assert "advisory lock" in database.why
        line = shown(database).splitlines()[1]
        assert "pinned" in line and line.endswith(first["reason"])
        pinned.execute("select pg_advisory_unlock(42)")
        until(lambda: "advisory lock" not in database.why, "it is known to be free")


def test_a_parked_one_is_listed_while_its_database_sleeps(database: Database) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        connection.execute("select 1")
        database.fall_asleep()
        (session,) = sessions(database)
        assert (session["state"], session["backend_process_id"]) == ("parked", 0)
        assert session["process_id"] == connection.info.backend_pid
        assert "parked" in shown(database, "-o", "wide")
    until(lambda: sessions(database) == [], "it has left")
    assert shown(database) == f"nobody is connected to {database.name}\n"
