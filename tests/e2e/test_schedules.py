"""A database that wakes for nobody, by the schedules of its spec."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from e2e.conftest import MakeDatabase
from e2e.database import QUICK
from e2e.kubectl import until
from e2e.test_cli import named, torpor

AHEAD_SECONDS = 12
"""At least, before a window opens: its database is made by then."""


def test_a_schedule_wakes_it_with_its_size_and_behind_its_window_it_sleeps(
    make_database: MakeDatabase,
) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=AHEAD_SECONDS, minutes=1)
    window = {"cron": f"{opens:%M %H} * * *", "duration": "30s", "minCU": 2}
    database = make_database(idleTimeout=QUICK, maxCU=2, schedules=[window])
    assert database.phase == "Suspended"
    database.wakes_by_itself()
    until(lambda: database.status.get("currentCU") == 2, "it has the size of its schedule")
    assert database.why_awake == f"schedule {window['cron']} UTC"
    awake = f"is awake with 2 CU or more by schedule {window['cron']} UTC"
    assert awake in torpor("decisions", named(database))
    database.falls_asleep()
    assert "may sleep by its schedules: time to " in torpor("decisions", named(database))
