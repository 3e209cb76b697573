"""What `torpor up` tells of wakes that were before it was started again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support import verbs
from support.up import Database, Up, running_up, until
from torpor_cli.client import ask_autoscaler
from torpor_cli.uri import connection_to


@pytest.fixture
def up() -> Iterator[Up]:
    """Of its own: it is ended in the middle."""
    with running_up("--no-limits", "--warm", "1") as started:
        yield started


def used(database: Database) -> None:
    """Woken by a client, and its record tells of that all that there is to tell."""
    folder, name = database.up.folder, database.name
    with psycopg.connect(database.uri(), autocommit=True) as client:
        client.execute("select 1")

        def is_whole() -> bool:
            asked: dict[str, Any] = {"database": name, "kinds": ["resume"], "limit": 1}
            latest = ask_autoscaler(folder, "AskTransitions", **asked)["transitions"]
            whole = [each for each in latest if not each["is_unfinished"]]
            took_ms = [each["total_ms"] for each in whole if each["epoch"] == database.epoch]
            return took_ms == [pytest.approx(database.status["lastResume"]["totalMs"], abs=0.01)]

        until(is_whole, "the whole chain is on the record")


def test_the_last_wake_of_before_is_known_and_is_not_taken_for_all_of_them(up: Up) -> None:
    database = up.database()
    for _ in range(2):
        database.fall_asleep()
        used(database)
    database.fall_asleep()
    recorded = database.status["lastResume"]
    up.stop()
    up.start("--no-limits", "--warm", "1")
    until(database.is_known, "the autoscaler knows it")

    told = verbs.torpor("critical-chain", database.name, "--state", up.folder.root).stdout
    assert told.startswith(f"{database.name}: resume, {recorded['totalMs']:.1f} ms, ")
    assert "from its record" in told and "start of postgres" in told
    slowest = verbs.torpor(
        "critical-chain", "--slowest", "5", "-o", "json", "--state", up.folder.root
    )
    (found,) = json.loads(slowest.stdout)
    assert found["is_recorded"] and found["cause"] == recorded["cause"]

    (row,) = ask_autoscaler(up.folder, "AskFleet")["databases"]
    assert (row["wakes_last_hour"], row["wakes_known_since"]) == (1, recorded["at"])
    with psycopg.connect(connection_to(up.folder, "torpor").uri, autocommit=True) as console:
        (wake,) = console.execute("SHOW WAKES").fetchall()
        assert wake[1:4] == (database.name, "resume", recorded["totalMs"])
        assert wake[-2:] == (True, False), "recorded, and not unfinished"
        (shown,) = console.execute("SHOW DATABASES").fetchall()
        assert shown[-1] == wake[0]

    used(database)
    until(
        lambda: ask_autoscaler(up.folder, "AskFleet")["databases"][0]["wakes_last_hour"] == 2,
        "the wake of now is counted beside the recorded one",
    )
