"""PostgreSQL's ``libpq_pipeline``: pipelines, single rows, cancel, protocol versions.

As in PostgreSQL's own test script: each test is run by its name with the newest protocol, some
write a trace of every message, which must be the expected one to the letter, and the cancel test is
run with the old protocol as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from suites.outcomes import Outcome, Result, Results
from suites.programs import TookTooLong, watch
from suites.suite import Run, Suite

SECONDS_MAX = 60.0
"""For one test; each takes a fraction of a second."""

ROWS = 700
"""As PostgreSQL's own script has it: more than a socket buffers."""

NEWEST = "max_protocol_version=latest"


def run(run: Run) -> Results:
    """Every test that the program says it has."""
    program = run.workshop.pipeline_program
    output = run.workshop.results(f"pipeline-{run.side.slug}")
    traces = run.workshop.tests / "modules" / "libpq_pipeline" / "traces"
    names: list[str] = []
    _run(run, [str(program), "tests"], output, names.append)
    found: dict[str, Result] = {}
    for name in names:
        expected = traces / f"{name}.trace"
        actual = output / f"{name}.trace"
        options = ["-t", str(actual)] if expected.exists() else []
        argv = [str(program), "-r", str(ROWS), *options, name, NEWEST]
        found[name] = _result(run, argv, output)
        if options and found[name].outcome is Outcome.PASSED:
            found[f"{name}, trace"] = _compared(actual, expected)
        run.count(len(found), len(names))
    old = [str(program), "cancel", "max_protocol_version=3.0"]
    found["cancel, protocol 3.0"] = _result(run, old, output)
    return found


def _result(run: Run, argv: list[str], folder: Path) -> Result:
    said: deque[str] = deque(maxlen=1)
    try:
        status = _run(run, argv, folder, said.append)
    except TookTooLong as late:
        return Result(Outcome.FAILED, str(late))
    if status == 0:
        return Result(Outcome.PASSED)
    return Result(Outcome.FAILED, "".join(said))


def _run(run: Run, argv: list[str], folder: Path, heard: Callable[[str], None]) -> int:
    environment = run.side.environment()
    return watch(argv, environment=environment, folder=folder, seconds_max=SECONDS_MAX, heard=heard)


def _compared(actual: Path, expected: Path) -> Result:
    if actual.read_text() == expected.read_text():
        return Result(Outcome.PASSED)
    return Result(Outcome.FAILED, actual.read_text())


SUITE = Suite("libpq_pipeline", "PostgreSQL's libpq_pipeline, with its expected traces", run)
