"""A benchmark's result as a table for a person and as JSON for a machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rig.figures import Part, summary
from torpor_cli.output import table

COLUMNS = ("", "UNIT", "N", "P50", "P99", "REFERENCE", "P50", "P99", "RATIO P50", "P99", "GOAL")


def as_table(parts: Sequence[Part]) -> str:
    """One line per comparison."""
    return table(COLUMNS, [_row(part) for part in parts], right=(2, 3, 4, 6, 7, 8, 9))


def as_json(
    name: str, parts: Sequence[Part], headline: Part, machine: dict[str, object]
) -> dict[str, object]:
    """``headline``'s figures under the benchmark's name, all comparisons in ``parts``."""
    return {
        **headline.as_json(),
        "name": name,
        "headline": headline.name,
        "parts": [part.as_json() for part in parts],
        "machine": machine,
    }


def write(path: Path, document: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _row(part: Part) -> list[str]:
    ours = summary(part.torpor)
    cells = [part.name, part.unit, str(len(part.torpor)), _short(ours["p50"]), _short(ours["p99"])]
    if not part.reference:
        return [*cells, part.reference_name, "-", "-", "-", "-", part.goal]
    theirs, ratio = summary(part.reference), part.ratio()
    return [
        *cells,
        part.reference_name,
        *(_short(theirs["p50"]), _short(theirs["p99"])),
        *(f"{ratio['p50']:.2f}", f"{ratio['p99']:.2f}"),
        part.goal,
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
