"""How a database slept, woke, moved and was lost, as `torpor critical-chain` and `plot` tell it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest

from support import verbs
from support.up import Database, until
from torpor_cli.client import ask_autoscaler

Json = dict[str, Any]


def transitions(database: Database, **asked: Any) -> list[Json]:
    folder = database.up.folder
    told = ask_autoscaler(folder, "AskTransitions", database=database.name, **asked)
    found: list[Json] = told["transitions"]
    return found


def row_of(database: Database) -> Json:
    row: Json
    (row,) = ask_autoscaler(database.up.folder, "AskFleet", names=[database.name])["databases"]
    return row


def latest(database: Database, kind: str) -> Json:
    """Once it is told up to its end."""

    def is_whole() -> bool:
        found = transitions(database, kinds=[kind])
        return bool(found) and not found[0]["is_unfinished"]

    until(is_whole, f"the {kind} is told")
    return transitions(database, kinds=[kind])[0]


def torpor(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    return verbs.torpor(*arguments, "--state", database.up.folder.root)


def names(transition: Json, depth: int | None = None) -> list[str]:
    spans = transition["spans"]
    return [span["name"] for span in spans if depth is None or span["depth"] == depth]


def is_a_tree(transition: Json) -> None:
    """The laps follow each other up to the total; nothing is deeper by more than one; and something
    could not have taken longer."""
    laps = [span for span in transition["spans"] if span["depth"] == 0]
    assert sum(span["ms"] for span in laps) == pytest.approx(transition["total_ms"], abs=0.5)
    depths = [-1, *(span["depth"] for span in transition["spans"])]
    assert all(after <= before + 1 for before, after in pairwise(depths))
    assert any(span["slack_ms"] < 0.01 for span in transition["spans"])


def test_a_resume_is_told_up_to_the_first_row(database: Database) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        connection.execute("select 1")
        database.captured(connection.info.backend_pid)
        database.fall_asleep()
        connection.execute("select 41 + 1")
        epoch = database.epoch
        until(lambda: latest(database, "resume")["epoch"] == epoch, "the resume is told")
    resume = latest(database, "resume")
    is_a_tree(resume)
    assert "start of postgres" in names(resume) and names(resume, 0)[-1] == "first row"
    assert "start the compute" in names(resume, 1) and "write the record" in names(resume, 1)
    assert resume["cause"].startswith("session ")


def test_a_wake_that_nobody_has_used_yet_is_told_so_far(database: Database) -> None:
    database.fall_asleep()
    ask_autoscaler(database.up.folder, "Wake", name=database.name, cause="a person")
    (resume,) = transitions(database, limit=1)
    assert resume["kind"] == "resume" and resume["is_unfinished"]
    is_a_tree(resume)
    assert "start of postgres" in names(resume) and "first row" not in names(resume)


def test_a_suspend_is_told_with_what_its_sessions_took(database: Database) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        connection.execute("select 1")
        database.captured(connection.info.backend_pid)
        database.fall_asleep()
        suspend = latest(database, "suspend")
    is_a_tree(suspend)
    assert suspend["cause"] == "somebody asked for it"
    assert {"close the gates", "park 1", "stop the compute"} <= set(names(suspend))


def test_a_suspend_that_is_called_off_says_why(database: Database) -> None:
    with psycopg.connect(database.uri()) as connection:
        connection.execute("create temporary table t (n int)")
        done = torpor(database, "suspend", database.name)
        assert done.returncode == 1
        connection.rollback()
    database.fall_asleep()
    assert latest(database, "suspend")["failure"] == ""


def test_a_switchover_is_one_transition(database: Database) -> None:
    moved = ask_autoscaler(database.up.folder, "Switchover", name=database.name, patience_s=1.0)
    move = latest(database, "switchover")
    is_a_tree(move)
    assert (move["epoch"], move["total_ms"]) == (moved["epoch"], moved["pause_ms"])
    assert {"stop the compute", "start the compute"} <= set(names(move, 1))


def test_a_compute_that_is_killed_is_a_failover(database: Database) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        connection.execute("select 1")
        database.captured(connection.info.backend_pid)
        # Of a loss before that, the session gets another compute with its next query only.
        until(lambda: row_of(database)["sessions"] == 1, "the autoscaler has heard of the session")
        epoch = database.epoch
        os.kill(database.agent, signal.SIGKILL)
        until(lambda: database.epoch > epoch, "it has another compute")
        connection.execute("select 41 + 1")
        failover = latest(database, "failover")
    assert failover["epoch"] == epoch + 1
    assert "start the compute" in names(failover, 1)


def test_the_slowest_of_the_fleet_are_found(database: Database) -> None:
    latest(database, "resume")
    done = torpor(database, "critical-chain", "--slowest", "3", "--within", "1h", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    took = [each["total_ms"] for each in found]
    assert took == sorted(took, reverse=True) and 1 <= len(took) <= 3
    row = row_of(database)
    assert row["wakes_last_hour"] >= 1 and row["phase"] == "Active"
    assert row["last_wake_ms"] and row["slowest_wake_ms"] >= row["last_wake_ms"] - 0.01


def test_people_see_it_as_text_as_json_and_as_a_picture(database: Database) -> None:
    database.fall_asleep()
    text = torpor(database, "critical-chain", database.name, "--kind", "suspend").stdout
    assert text.startswith(f"{database.name}: suspend of epoch {database.epoch}, ")
    assert "├─" in text or "└─" in text
    told = json.loads(torpor(database, "critical-chain", database.name, "-o", "json").stdout)
    assert told["kind"] == "suspend" and told["spans"]
    picture = torpor(database, "plot", database.name).stdout
    assert ElementTree.fromstring(picture).get("aria-label", "").startswith("suspend of")
    lines = torpor(database, "critical-chain", database.name, "--last", "9").stdout.splitlines()
    assert lines[0].split()[:2] == ["MS", "DATABASE"] and len(lines) >= 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["critical-chain"], 2, "name a database"),
        (["critical-chain", "nobody"], 1, "no database 'nobody'"),
        (["critical-chain", "--slowest", "0"], 2, "0 is not in the range"),
        (["critical-chain", "--slowest", "3", "--within", "soon"], 2, "soon"),
        (["critical-chain", "d", "--last", "1", "--slowest", "1"], 2, "exclude each other"),
        (["plot", "nobody"], 1, "no database 'nobody'"),
    ],
)
def test_a_wrong_question_is_told_what_is_wrong(
    database: Database, arguments: list[str], status: int, words: str
) -> None:
    done = torpor(database, *arguments)
    assert done.returncode == status and words in done.stderr
