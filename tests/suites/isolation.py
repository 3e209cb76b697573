"""PostgreSQL's isolation suite: sessions that wait for each other, step by step.

Its driver knows that a step waits by asking Postgres whether one process is blocked by others,
with the process ids that its sessions were told when they connected, and three specifications
write their own ids down to signal each other. On the side that parks, these ids are translated
(:mod:`suites.told_ids`). Everything else is PostgreSQL's own.
"""

from __future__ import annotations

import contextlib

from suites import present_ids, told_ids
from suites.outcomes import Results
from suites.schedules import Driver, drive
from suites.suite import Run, Suite

SECONDS_MAX = 900.0
"""Straight it takes half a minute."""

STEP_SECONDS_MAX = 20
"""After twice this time the driver gives a step up, and the specification fails."""

DBNAME = "isolation_regression"

SETTINGS = {
    "lc_messages": "C",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "bytea_output": "hex",
    "timezone_abbreviations": "Default",
}
"""As the driver sets them for a database that it makes itself."""

PATIENCE = {"PG_TEST_TIMEOUT_DEFAULT": str(STEP_SECONDS_MAX)}


def run(run: Run) -> Results:
    """Every specification of ``isolation_schedule``, or some of them."""
    run.side.run_sql(f"CREATE DATABASE {DBNAME} TEMPLATE template0")
    run.side.run_sql(
        *(f"ALTER DATABASE {DBNAME} SET {name} TO '{value}'" for name, value in SETTINGS.items())
    )
    program = run.workshop.driver("isolation/pg_isolation_regress")
    argv = (program, "--use-existing", f"--dbname={DBNAME}")
    with contextlib.ExitStack() as stack:
        if run.side.parks:
            stack.enter_context(present_ids.kept(run, DBNAME, translations()))
        driver = Driver(argv, "isolation", "isolation_schedule", SECONDS_MAX, PATIENCE)
        return drive(run, driver)


def translations() -> tuple[str, ...]:
    """What the driver and three specifications do by process id."""
    by_id = (told_ids.own_id(), told_ids.cancel_by_id(), told_ids.end_by_id())
    return (*told_ids.blocked_sessions(), *by_id)


SUITE = Suite("isolation", "PostgreSQL's isolation suite (pg_isolation_regress)", run)
