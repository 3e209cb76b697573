"""What is decided about a database is told with its figures: to people, by its resource, and by the
next autoscaler."""

from __future__ import annotations

import time

from e2e.conftest import MakeDatabase
from e2e.database import QUICK, Database
from e2e.kubectl import Json, until
from e2e.test_cli import named, torpor, torpor_json

GAP_SECONDS = 3.0
"""Without use: long enough to count as a gap, and shorter than any first time-out."""


def test_a_life_is_told_with_its_figures_and_is_remembered_while_it_sleeps(
    make_database: MakeDatabase,
) -> None:
    database = make_database(idleTimeout=QUICK)
    with database.connect() as client:
        client.execute("select 1")
        database.falls_asleep()
        told = of_loop("awake", database)
        assert told[0]["follows"].startswith("wakes (session ")
        assert (told[-1]["follows"], told[-1]["threshold"]) == ("goes to sleep", 1.0)
        assert database.status["decisions"] == []
        client.execute("select 2")
        more = of_loop("awake", database)
        assert more[: len(told)] == told
        assert more[len(told)]["follows"].startswith("wakes (session ")


def test_auto_says_by_which_figure_it_waits_and_the_resource_what_it_has_learned(
    make_database: MakeDatabase,
) -> None:
    database = make_database(idleTimeout="auto")
    with database.connect() as client:
        client.execute("select 1")
        assert "sleeps by idleTimeout auto: after " in torpor("why", named(database))
        time.sleep(GAP_SECONDS)
        client.execute("select 1")
        until(lambda: "(1 known)" in torpor("why", named(database)), "the gap is counted")
        assert "expected cost of an idle gap (1 known)" in torpor("decisions", named(database))
        torpor("suspend", named(database))
        learned = database.status["learnedGaps"]
        assert learned["counts"] and learned["wakeMs"] > 0 and learned["lastUse"]


def of_loop(loop: str, database: Database) -> list[Json]:
    """Its decisions of one policy, the oldest first."""
    told = torpor_json("decisions", named(database))["decisions"]
    return [one for one in told if one["loop"] == loop]
