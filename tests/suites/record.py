"""The recorded table: a JSON file that each run brings up to date, and a document made of it.

A suite's entry is of one run, both sides of it; which commit that was stands beside it. A run of
one suite leaves the entries of the others as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from suites.report import Line, as_json

Entry = dict[str, Any]

HEADER = ("Suite", "Straight", "Through Torpor", "Differ", "Wrong", "Seconds", "At commit")

INTRODUCTION = """\
# Other people's tests through Torpor

Recorded by `make suites`; [suites.md](suites.md) says what is compared and how to read it.
Seconds are straight, then through Torpor with a park at every safe point, which costs a new
backend each time: the tests are run for what they say, not for speed."""


def write(file: Path, order: Sequence[str], lines: Sequence[Line], machine: Entry) -> None:
    """Bring the JSON up to date, and ``file`` with it."""
    data = file.with_suffix(".json")
    old = json.loads(data.read_text()) if data.exists() else []
    entries = merged(order, old, [as_json(line) | {"machine": machine} for line in lines])
    data.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    file.write_text(as_markdown(entries))


def merged(order: Sequence[str], old: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """The newest entry of each suite."""
    newest = {entry["suite"]: entry for entry in (*old, *new)}
    return [newest[suite] for suite in order if suite in newest]


def as_markdown(entries: Sequence[Entry]) -> str:
    parts = [
        INTRODUCTION,
        _table(HEADER, [_cells(entry) for entry in entries]),
        "\n".join(f"- `{entry['suite']}`: {entry['about']}" for entry in entries),
        _differences(entries),
    ]
    alike = [f"`{test}`" for entry in entries for test in entry.get("failAlike", ())]
    if alike:
        parts.append(f"Fail on both sides in the same way, to the letter: {', '.join(alike)}.")
    wrong = [f"- `{entry['suite']}`: {fault}" for entry in entries for fault in entry["faults"]]
    if wrong:
        parts.append("What is wrong:\n\n" + "\n".join(wrong))
    return "\n\n".join(parts) + "\n"


def _cells(entry: Entry) -> list[str]:
    commit = str(entry["machine"]["commit"])
    if "through" not in entry:
        return [f"`{entry['suite']}`", "missing", "missing", "-", "-", "-", commit]
    straight, through = entry["straight"], entry["through"]
    return [
        f"`{entry['suite']}`",
        straight["tests"],
        through["tests"],
        str(len(entry["differences"])),
        str(len(entry["faults"])),
        f"{straight['seconds']:.0f}, {through['seconds']:.0f}",
        commit,
    ]


def _differences(entries: Sequence[Entry]) -> str:
    rows = [
        [f"`{entry['suite']}`", f"`{found['test']}`", found["reason"]]
        for entry in entries
        for found in entry.get("differences", ())
    ]
    if not rows:
        return "No test differs."
    return _table(("Suite", "Test that differs", "Reason"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
