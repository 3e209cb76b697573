"""The table of suites: for the terminal, for the documents, and for a machine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from suites.outcomes import Difference, Outcome, Verdict
from torpor_cli.output import table

COLUMNS = ("SUITE", "STRAIGHT", "THROUGH TORPOR", "DIFFER", "NOT ALLOWED", "SECONDS", "THROUGH")


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
    return "\n".join(
        [table(COLUMNS, [_cells(line) for line in lines], right=(3, 4, 5, 6)), *_faults(lines)]
    )


def as_markdown(lines: Sequence[Line], machine: dict[str, object]) -> str:
    """The recorded table."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(_cells(line) for line in lines)]
    parts = [
        "# Other people's tests through Torpor",
        "Recorded by `make suites`; [suites.md](suites.md) says how to read it.",
        ", ".join(f"{name} {machine[name]}" for name in ("at", "commit", "cores", "postgres")),
        "\n".join(f"| {' | '.join(_titled(cell) for cell in row)} |" for row in rows),
        "\n".join(f"- `{line.suite}`: {line.about}" for line in lines),
        *_differences(lines),
    ]
    if faults := list(_faults(lines)):
        parts.append("What is wrong:\n\n" + "\n".join(f"- {fault}" for fault in faults))
    return "\n\n".join(parts) + "\n"


def as_json(lines: Sequence[Line], machine: dict[str, object]) -> dict[str, object]:
    return {"machine": machine, "suites": [_document(line) for line in lines]}


def write(file: Path, lines: Sequence[Line], machine: dict[str, object]) -> None:
    """The Markdown into ``file``, the JSON beside it."""
    file.write_text(as_markdown(lines, machine))
    document = json.dumps(as_json(lines, machine), indent=2, ensure_ascii=False)
    file.with_suffix(".json").write_text(document + "\n")


def _cells(line: Line) -> list[str]:
    if line.verdict is None:
        return [line.suite, "missing", "missing", "-", "-", "-", "-"]
    return [
        line.suite,
        _counts(line.verdict.straight),
        _counts(line.verdict.through),
        str(len(line.verdict.differences)),
        str(len(line.verdict.faults)),
        *(f"{seconds:.0f}" for seconds in line.seconds),
    ]


def _counts(counts: Counter[Outcome]) -> str:
    return ", ".join(f"{counts[each]} {each}" for each in Outcome if counts[each])


def _titled(cell: str) -> str:
    return cell.capitalize() if cell in COLUMNS else cell


def _faults(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        if line.verdict is None:
            yield f"{line.suite}: MISSING: {line.missing}"
        else:
            yield from (f"{line.suite}: {fault}" for fault in line.verdict.faults)


def _differences(lines: Sequence[Line]) -> Iterator[str]:
    rows = [
        f"| `{line.suite}` | `{found.test}` | {_reason(found)} |"
        for line in lines
        if line.verdict is not None
        for found in line.verdict.differences
    ]
    if rows:
        yield "\n".join(["| Suite | Test that differs | Reason |", "| --- | --- | --- |", *rows])
    else:
        yield "No test differs."


def _reason(found: Difference) -> str:
    if found.allowed is None:
        return f"**none**: {found.straight.outcome} straight, {found.through.outcome} through"
    return f"{found.allowed.loss}: {found.allowed.why}"


def _document(line: Line) -> dict[str, object]:
    if line.verdict is None:
        return {"suite": line.suite, "missing": line.missing}
    return {
        "suite": line.suite,
        "straight": _side(line.verdict.straight, line.seconds[0]),
        "through": _side(line.verdict.through, line.seconds[1]),
        "differences": [
            {
                "test": found.test,
                "straight": found.straight.outcome,
                "through": found.through.outcome,
                "reason": _reason(found),
            }
            for found in line.verdict.differences
        ],
        "faults": list(line.verdict.faults),
    }


def _side(counts: Counter[Outcome], seconds: float) -> dict[str, object]:
    return {"seconds": round(seconds, 1), **{str(each): counts[each] for each in counts}}
