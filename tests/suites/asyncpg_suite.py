"""asyncpg's own tests, against the server that its environment names."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

from suites.outcomes import Outcome, Result, Results
from suites.programs import TookTooLong, watch
from suites.suite import Run, Suite

SECONDS_MAX = 900.0
"""Straight it takes half a minute."""

TESTS = 400
"""About so many lines are told: for the progress only."""

LEFT_OUT = (
    # Judges the style of asyncpg's own sources.
    "TestCodeQuality",
    # Starts two Postgres of its own, as primary and standby: would never reach the one named.
    "TestConnectionAttributes",
    # Asks that an error be heard before 4 MB are written: on a busy machine the buffers of two
    # connections take them before the proxy has its turn. It judges speed.
    "test_executemany_server_failure_during_writes",
)

CHOSEN = " and ".join(f"not {each}" for each in LEFT_OUT)

QUICK = [
    f"tests/test_{each}.py"
    for each in ("cache_invalidation", "connect", "cursor", "execute", "listeners", "prepare")
]
"""What is most about sessions. The others take longer, most of it asleep."""


def run(run: Run) -> Results:
    """All of them, with the asyncpg that they belong to."""
    output = run.workshop.results(f"asyncpg-{run.side.slug}")
    report = output / "report.xml"
    seen = 0

    def heard(line: str) -> None:
        nonlocal seen
        if line.startswith("tests/") and "::" in line:
            seen += 1
            run.progress.count(run.side.name, seen, max(seen + 1, TESTS))
            if "FAILED" in line or "ERROR" in line:
                run.tell(line)

    argv = [
        *(sys.executable, "-m", "pytest", "--verbose", "--tb=short"),
        *(QUICK if run.is_quick else ["tests"]),
        *("-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=0", f"--junitxml={report}"),
        *("--rootdir", str(run.workshop.asyncpg_tests), "-k", CHOSEN),
    ]
    environment = run.side.environment() | {
        "PGUSER": run.side.user,
        "PYTHONPATH": str(run.workshop.asyncpg_packages),
    }
    try:
        watch(
            argv,
            environment=environment,
            folder=run.workshop.asyncpg_tests,
            seconds_max=SECONDS_MAX,
            heard=heard,
        )
    except TookTooLong as late:
        run.tell(str(late))
    return results(report.read_text()) if report.exists() else {}


def results(report: str) -> dict[str, Result]:
    """From pytest's report in JUnit's format."""
    found: dict[str, Result] = {}
    for case in ElementTree.fromstring(report).iter("testcase"):
        test = f"{case.get('classname', '').removeprefix('tests.')}.{case.get('name')}"
        found[test] = _worse(found.get(test), Result(_outcome(case)))
    return found


def _outcome(case: ElementTree.Element) -> Outcome:
    if case.find("failure") is not None or case.find("error") is not None:
        return Outcome.FAILED
    return Outcome.SKIPPED if case.find("skipped") is not None else Outcome.PASSED


def _worse(one: Result | None, other: Result) -> Result:
    """A test that passed and whose cleaning up failed is reported on twice."""
    return other if one is None or other.outcome is Outcome.FAILED else one


SUITE = Suite("asyncpg", "asyncpg's own tests, from its source distribution", run)
