"""`torpor replay` of a log and of a script, by a person who reaches the API server alone."""

from __future__ import annotations

from pathlib import Path

from e2e.database import Database
from e2e.test_cli import named, torpor_json
from support.postgres_log import as_csv, took

LOG = (
    took(0.0, 1.0, "statement: create table fruit (id int primary key, name text)"),
    took(0.1, 1.0, "execute <unnamed>: insert into fruit values ($1, $2)"),
    took(0.2, 1.0, "statement: update fruit set name = 'pear'", session_id="6a.2"),
)
"""Two sessions; what the second one finds the first one has written."""


def test_a_log_is_replayed_on_a_database_that_sleeps(database: Database, tmp_path: Path) -> None:
    lines = [dict(each) for each in LOG]
    lines[1]["detail"] = "Parameters: $1 = '1', $2 = 'apple'"
    (tmp_path / "log.csv").write_text(as_csv(lines))
    told = torpor_json("replay", str(tmp_path / "log.csv"), "--to", named(database))
    assert told["ok"] and told["use"]["transitions"] == {"resume": 1}
    with database.connect() as client:
        assert client.execute("select id, name from fruit").fetchall() == [(1, "pear")]


def test_a_script_is_run_by_pgbench_through_the_api_server(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "visit.sql").write_text("select 1;\n\\sleep 10 ms\n")
    script = (str(tmp_path / "visit.sql"), "--clients", "2", "--seconds", "2")
    told = torpor_json("replay", *script, "--to", named(database))
    assert told["ok"] and told["transactions"] > 0
    assert told["use"]["transitions"] == {"resume": 1}
    assert told["use"]["wakes"][0]["database"] == named(database)
