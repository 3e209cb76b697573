"""PostgreSQL's ``libpq_pipeline``: pipelines, single rows, cancel, protocol versions.

As in PostgreSQL's own test script: each test is run by its name with the newest protocol, some
write a trace of every message, which must be the expected one to the letter, and the cancel test is
run with the old protocol as well.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

from suites import present_ids, told_ids
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
    with contextlib.ExitStack() as stack:
        if run.side.parks:
            # The cancel test waits until pg_stat_activity shows its session at work.
            stack.enter_context(present_ids.kept(run, "postgres", [told_ids.activity()]))
        return _all(run, run.workshop.results(f"pipeline-{run.side.slug}"))


def _all(run: Run, output: Path) -> Results:
    program = str(run.workshop.pipeline_program)
    names: list[str] = []
    _run(run, [program, "tests"], output, names.append)
    found: dict[str, Result] = {}
    for name in names:
        found.update(_one(run, program, name, output))
        run.count(len(found), len(names))
    old = [program, "cancel", "max_protocol_version=3.0"]
    return {**found, "cancel, protocol 3.0": _result(run, old, output)}


def _one(run: Run, program: str, name: str, output: Path) -> Results:
    """A test, and its trace where one is expected."""
    expected = run.workshop.tests / "modules" / "libpq_pipeline" / "traces" / f"{name}.trace"
    actual = output / f"{name}.trace"
    options = ["-t", str(actual)] if expected.exists() else []
    result = _result(run, [program, "-r", str(ROWS), *options, name, NEWEST], output)
    if not options or result.outcome is not Outcome.PASSED:
        return {name: result}
    return {name: result, f"{name}, trace": _compared(actual, expected)}


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
