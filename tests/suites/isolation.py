"""PostgreSQL's isolation suite: sessions that wait for each other, step by step.

Its driver knows that a step waits by asking Postgres whether one process is blocked by others,
with the process ids that its sessions were told when they connected. A park gives a session another
backend, and with it another process id: this is documented. So on the side that parks, the function
that answers is wrapped in one that first translates the ids, by what `torpor sessions` says at that
moment. Everything else is PostgreSQL's own.
"""

from __future__ import annotations

import contextlib

from suites import present_ids
from suites.outcomes import Results
from suites.regress import drive
from suites.suite import Run, Suite

SECONDS_MAX = 1800.0
"""Straight it takes half a minute; most of the rest is waiting for what `torpor sessions` says."""

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


def run(run: Run) -> Results:
    """Every specification of ``isolation_schedule``."""
    tests = run.workshop.tests / "isolation"
    run.side.run_sql(f"CREATE DATABASE {DBNAME} TEMPLATE template0")
    run.side.run_sql(
        *(f"ALTER DATABASE {DBNAME} SET {name} TO '{value}'" for name, value in SETTINGS.items())
    )
    driver = run.workshop.driver("isolation/pg_isolation_regress")
    argv = [driver, "--use-existing", f"--dbname={DBNAME}"]
    with contextlib.ExitStack() as stack:
        if run.side.database is not None and run.side.parks:
            file = run.workshop.folder / "present_ids.json"
            stack.enter_context(present_ids.kept(run.side.database, file))
            run.side.run_sql(*present_ids.wrapper(file), dbname=DBNAME)
        return drive(run, tests, tests / "isolation_schedule", argv, SECONDS_MAX)


SUITE = Suite("isolation", "PostgreSQL's isolation suite (pg_isolation_regress)", run)
