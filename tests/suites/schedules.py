"""Runs one of PostgreSQL's two test drivers, which take the same options, through a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from suites import regress_output
from suites.outcomes import Results
from suites.programs import TookTooLong, watch
from suites.suite import Run

QUICK = Path(__file__).parent / "quick"
"""Schedules of the same names for a quick run: some of the same tests."""


@dataclass(frozen=True, slots=True)
class Driver:
    """One of them, and what it is to run."""

    argv: tuple[str, ...]
    folder: str
    """Of its tests, below PostgreSQL's ``src/test``."""
    schedule: str
    seconds_max: float
    environment: Mapping[str, str] = field(default_factory=dict)


def drive(run: Run, driver: Driver) -> Results:
    """What each test of the schedule came to. Tests that a time-out cut off are not among them."""
    tests = run.workshop.tests / driver.folder
    schedule = (QUICK if run.is_quick else tests) / driver.schedule
    output = run.workshop.results(f"{driver.folder}-{run.side.slug}")
    total = _count(schedule.read_text())
    passed: dict[str, bool] = {}

    def heard(line: str) -> None:
        if (found := regress_output.reported(line)) is not None:
            test, passed[test] = found
            if not passed[test]:
                run.tell(f"{test} fails")
            run.count(len(passed), total)

    try:
        watch(
            [*driver.argv, *_options(run, tests, schedule, output)],
            environment={**run.side.environment(), **driver.environment},
            folder=output,
            seconds_max=driver.seconds_max,
            heard=heard,
        )
    except TookTooLong as late:
        run.tell(str(late))
    diffs = output / "regression.diffs"
    return regress_output.results(passed, diffs.read_text() if diffs.exists() else "")


def _options(run: Run, tests: Path, schedule: Path, output: Path) -> list[str]:
    return [
        f"--inputdir={tests}",
        f"--expecteddir={tests}",
        f"--outputdir={output}",
        f"--bindir={run.workshop.programs}",
        f"--schedule={schedule}",
        f"--host={run.side.host}",
        f"--port={run.side.port}",
    ]


def _count(schedule: str) -> int:
    """How many tests a schedule names, each after a blank."""
    return sum(line.count(" ") for line in schedule.splitlines() if line.startswith("test:"))
