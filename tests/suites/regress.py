"""PostgreSQL's own regression suite, driven by its own ``pg_regress`` and ``psql``."""

from __future__ import annotations

from suites.outcomes import Results
from suites.schedules import Driver, drive
from suites.suite import Run, Suite

SECONDS_MAX = 1200.0
"""Straight it takes a quarter of a minute; with a backend for each statement some minutes."""

PARALLEL_MAX = 20
"""As PostgreSQL's makefile has it."""


def run(run: Run) -> Results:
    """Every test of ``parallel_schedule``, or some of them."""
    argv = (
        run.workshop.driver("regress/pg_regress"),
        f"--dlpath={run.workshop.libraries}",
        f"--max-concurrent-tests={PARALLEL_MAX}",
    )
    return drive(run, Driver(argv, "regress", "parallel_schedule", SECONDS_MAX))


SUITE = Suite("regress", "PostgreSQL's regression suite (pg_regress)", run)
