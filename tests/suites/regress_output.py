"""Reads what ``pg_regress`` prints and writes. Pure.

It reports in TAP, one line a test; how a test failed stands in ``regression.diffs``, which is one
``diff`` after the other, each between the expected and the actual output.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from suites.outcomes import Outcome, Result

_LINE = re.compile(r"^(?P<failed>not )?ok \d+ +[-+] (?P<test>\S+)")

_PLAN = re.compile(r"^1\.\.(\d+)")

_DIFF = re.compile(r"^diff .*/(?P<test>[^/]+)\.out$")

_NUMBERS = re.compile(r"^@@ .* @@")

_PROCESS = re.compile(r"\bPID \d+")


def reported(line: str) -> tuple[str, bool] | None:
    """The test that a line reports on and whether it passed; None for any other line."""
    found = _LINE.match(line)
    return None if found is None else (found["test"], not found["failed"])


def results(passed: Mapping[str, bool], diffs: str) -> dict[str, Result]:
    """Of all tests that were reported on."""
    how = details(diffs.splitlines())
    return {
        test: Result(Outcome.PASSED) if is_ok else Result(Outcome.FAILED, how.get(test, ""))
        for test, is_ok in passed.items()
    }


def details(lines: Iterable[str]) -> dict[str, str]:
    """The differing lines of each test, without paths, line numbers and process ids."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if (header := _DIFF.match(line)) is not None:
            current = found.setdefault(header["test"], [])
        elif not line.startswith(("--- /", "+++ /")):
            current.append(_PROCESS.sub("PID n", _NUMBERS.sub("@@", line)))
    return {test: "\n".join(kept) + "\n" for test, kept in found.items()}
