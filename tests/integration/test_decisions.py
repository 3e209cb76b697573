"""What was decided about a database on this machine, as `torpor decisions` and `why` tell it."""

from __future__ import annotations

import json
import re

import psycopg
from click.testing import CliRunner

from support.up import Database, Json, until
from torpor_cli.main import torpor


def run(database: Database, verb: str, *options: str) -> str:
    argv = [verb, database.name, "--state", str(database.up.folder.root), *options]
    return CliRunner().invoke(torpor, argv).output


def told(database: Database) -> list[Json]:
    found: list[Json] = json.loads(run(database, "decisions", "-o", "json"))["decisions"]
    return found


def awake(database: Database) -> list[Json]:
    """What was decided of whether it is awake."""
    return [each for each in told(database) if each["loop"] == "awake"]


def test_a_life_from_wake_to_wake(database: Database) -> None:
    """Of one that sleeps when it is told to; it has been woken before anybody connects."""
    with psycopg.connect(database.uri(application_name="worker"), autocommit=True) as client:
        client.execute("create temporary table pinning (id int)")
        until(lambda: "temporary" in run(database, "decisions"), "what keeps it awake is told")
        client.execute("drop table pinning")
        database.fall_asleep()
        client.execute("select count(*) from pg_class")
    life = awake(database)
    follows = [each["follows"] for each in life]
    assert follows[0].startswith("wakes (") and any("temporary" in words for words in follows)
    slept = life[follows.index("goes to sleep")]
    assert slept["line"] == "goes to sleep: people who ask for it 1, above 0"
    behind = follows[follows.index("goes to sleep") + 1 :]
    # Its number: others have connected to this proxy before.
    assert any(re.match(r"wakes \(session \d+ of app", words) for words in behind), life
    assert all(each["line"] in run(database, "decisions") for each in (life[0], slept))
    # The next sample may bring another decision between the two questions.
    until(lambda: awake(database)[-1]["follows"] in run(database, "why"), "why says what holds")
