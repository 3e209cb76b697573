"""What a run came to: for the terminal, and as plain data for the record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from suites.outcomes import Difference, Outcome, Verdict
from torpor_cli.output import table

COLUMNS = ("SUITE", "STRAIGHT", "THROUGH TORPOR", "DIFFER", "NOT ALLOWED", "SECONDS", "THROUGH")

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Line:
    """One suite in the table."""

    suite: str
    about: str
    verdict: Verdict | None = None
    """None: it could not be had."""
    seconds: tuple[float, float] = (0.0, 0.0)
    """Straight and through."""
    missing: str = ""


def as_text(lines: Sequence[Line]) -> str:
    """The table and what is wrong."""
    rows = [_cells(line) for line in lines]
    wrong = [f"{line.suite}: {fault}" for line in lines for fault in faults(line)]
    return "\n".join([table(COLUMNS, rows, right=(3, 4, 5, 6)), *wrong])


def faults(line: Line) -> Iterator[str]:
    if line.verdict is None:
        yield f"MISSING: {line.missing}"
    else:
        yield from line.verdict.faults


def as_json(line: Line) -> Json:
    """One suite for the record."""
    document: Json = {"suite": line.suite, "about": line.about, "faults": list(faults(line))}
    if line.verdict is None:
        return document
    return document | {
        "straight": _side(line.verdict.straight, line.seconds[0]),
        "through": _side(line.verdict.through, line.seconds[1]),
        "failAlike": list(line.verdict.fail_alike),
        "differences": [
            {"test": found.test, "reason": _reason(found)} for found in line.verdict.differences
        ],
    }


def counts(side: Counter[Outcome]) -> str:
    return ", ".join(f"{side[each]} {each}" for each in Outcome if side[each])


def _cells(line: Line) -> list[str]:
    if line.verdict is None:
        return [line.suite, "missing", "missing", "-", "-", "-", "-"]
    return [
        line.suite,
        counts(line.verdict.straight),
        counts(line.verdict.through),
        str(len(line.verdict.differences)),
        str(len(line.verdict.faults)),
        *(f"{seconds:.0f}" for seconds in line.seconds),
    ]


def _side(side: Counter[Outcome], seconds: float) -> Json:
    return {"tests": counts(side), "seconds": round(seconds, 1)}


def _reason(found: Difference) -> str:
    if found.allowed is None:
        return f"**none**: {found.straight.outcome} straight, {found.through.outcome} through"
    return f"{found.allowed.loss}: {found.allowed.why}"
