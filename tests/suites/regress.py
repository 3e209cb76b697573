"""PostgreSQL's own regression suite, driven by its own ``pg_regress`` and ``psql``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from suites import regress_output
from suites.outcomes import Results
from suites.programs import TookTooLong, watch
from suites.suite import Run, Suite

SECONDS_MAX = 900.0
"""Straight it takes a quarter of a minute."""

PARALLEL_MAX = 20
"""As PostgreSQL's makefile has it."""

QUICK_SCHEDULE = Path(__file__).parent / "quick_schedule"


def run(run: Run) -> Results:
    """Every test of ``parallel_schedule``, or some of them."""
    tests = run.workshop.tests / "regress"
    return drive(
        run,
        tests,
        QUICK_SCHEDULE if run.is_quick else tests / "parallel_schedule",
        [
            run.workshop.driver("regress/pg_regress"),
            f"--dlpath={run.workshop.libraries}",
            f"--max-concurrent-tests={PARALLEL_MAX}",
        ],
        SECONDS_MAX,
    )


def drive(
    run: Run,
    tests: Path,
    schedule: Path,
    argv: list[str],
    seconds_max: float,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Results:
    """One of the two drivers, which take the same options, through a schedule."""
    output = run.workshop.results(f"{tests.name}-{run.side.slug}")
    total = sum(line.count(" ") for line in schedule.read_text().splitlines() if _names(line))
    passed: dict[str, bool] = {}

    def heard(line: str) -> None:
        if (found := regress_output.reported(line)) is None:
            return
        passed[found[0]] = found[1]
        if not found[1]:
            run.tell(f"{found[0]} fails")
        run.count(len(passed), total)

    options = [
        f"--inputdir={tests}",
        f"--expecteddir={tests}",
        f"--outputdir={output}",
        f"--bindir={run.workshop.programs}",
        f"--schedule={schedule}",
        f"--host={run.side.host}",
        f"--port={run.side.port}",
    ]
    try:
        watch(
            [*argv, *options],
            environment={**run.side.environment(), **environment},
            folder=output,
            seconds_max=seconds_max,
            heard=heard,
        )
    except TookTooLong as late:
        run.tell(str(late))
    diffs = output / "regression.diffs"
    return regress_output.results(passed, diffs.read_text() if diffs.exists() else "")


def _names(line: str) -> bool:
    """Whether a line of a schedule names tests, each after a blank."""
    return line.startswith("test:")


SUITE = Suite("regress", "PostgreSQL's regression suite (pg_regress)", run)
