"""The table says what ran, what differs and why, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

from suites import report
from suites.outcomes import Allowed, Loss, Outcome, Result, judge
from suites.report import Line

ENTRY = Allowed("suite", "lossy", Loss.SEQUENCE_STATE, "asks currval()")
STRAIGHT = {each: Result(Outcome.PASSED) for each in ("good", "lossy", "bad")}
THROUGH = STRAIGHT | {each: Result(Outcome.FAILED) for each in ("lossy", "bad")}

LINES = [
    Line("suite", "Somebody's tests", judge("suite", STRAIGHT, THROUGH, (ENTRY,)), (1.0, 2.5)),
    Line("gone", "Others", missing="no compiler"),
]

MACHINE: dict[str, object] = {"at": "now", "commit": "abc", "cores": 2, "postgres": "18"}


def test_for_the_terminal() -> None:
    text = report.as_text(LINES)
    assert "3 passed" in text and "1 passed, 2 failed" in text
    assert "suite: bad: passed straight, failed through" in text
    assert "gone: MISSING: no compiler" in text
    assert "suite: lossy" not in text


def test_for_a_document() -> None:
    text = report.as_markdown(LINES, MACHINE)
    assert "| `suite` | `lossy` | currval() and lastval() are lost: asks currval() |" in text
    assert "| `suite` | `bad` | **none**: passed straight, failed through |" in text
    assert "MISSING: no compiler" in text


def test_where_nothing_differs_it_says_so() -> None:
    clean = Line("suite", "Somebody's tests", judge("suite", STRAIGHT, STRAIGHT, ()))
    assert "No test differs." in report.as_markdown([clean], MACHINE)


def test_for_a_machine(tmp_path: Path) -> None:
    report.write(tmp_path / "results.md", LINES, MACHINE)
    first, second = json.loads((tmp_path / "results.json").read_text())["suites"]
    assert first["straight"] == {"seconds": 1.0, "passed": 3}
    assert first["through"] == {"seconds": 2.5, "passed": 1, "failed": 2}
    assert [each["test"] for each in first["differences"]] == ["bad", "lossy"]
    assert second == {"suite": "gone", "missing": "no compiler"}
