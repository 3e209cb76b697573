"""The table says what ran, what differs and why, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

from suites import record, report
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


def _entries(*lines: Line) -> list[dict[str, object]]:
    return [report.as_json(line) | {"machine": MACHINE} for line in lines]


def test_for_a_document() -> None:
    text = record.as_markdown(_entries(*LINES))
    assert "| `suite` | `lossy` | currval() and lastval() are lost: asks currval() |" in text
    assert "| `suite` | `bad` | **none**: passed straight, failed through |" in text
    assert "- `suite`: bad: passed straight, failed through" in text
    assert "- `gone`: MISSING: no compiler" in text


def test_what_fails_on_both_sides_is_named() -> None:
    bad = STRAIGHT | {"old": Result(Outcome.FAILED, "-1")}
    line = Line("suite", "Somebody's tests", judge("suite", bad, dict(bad), ()))
    assert "to the letter: `old`." in record.as_markdown(_entries(line))
    assert "to the letter" not in record.as_markdown(_entries(*LINES))


def test_where_nothing_differs_it_says_so() -> None:
    clean = Line("suite", "Somebody's tests", judge("suite", STRAIGHT, STRAIGHT, ()))
    text = record.as_markdown(_entries(clean))
    assert "No test differs." in text and "What is wrong" not in text


def test_a_run_of_one_suite_leaves_the_record_of_the_others(tmp_path: Path) -> None:
    file, order = tmp_path / "results.md", ("gone", "suite")
    record.write(file, order, LINES, MACHINE)
    record.write(file, order, [Line("gone", "Others", missing="a mirror")], {"commit": "def"})
    first, second = json.loads((tmp_path / "results.json").read_text())
    assert first["faults"] == ["MISSING: a mirror"]
    assert first["machine"] == {"commit": "def"}
    assert second["straight"] == {"tests": "3 passed", "seconds": 1.0}
    assert second["through"] == {"tests": "1 passed, 2 failed", "seconds": 2.5}
    assert [each["test"] for each in second["differences"]] == ["bad", "lossy"]
    assert "a mirror" in file.read_text() and "1 passed, 2 failed" in file.read_text()
