"""Draws the recorded results as pictures for the documents: `python loadtests/plot.py`.

SVG is text, so nothing is needed to write it. One bar per side, as long as its median; a thin line
goes on to its 99th percentile. Colours work on a light and on a dark page.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

COUNT = "n"
"""The unit of what is counted."""

WIDTH, LABEL_WIDTH, VALUE_WIDTH = 760, 190, 150
BAR_HEIGHT, GAP, HEAD = 13, 14, 46

TORPOR_COLOUR, REFERENCE_COLOUR, TEXT_COLOUR = "#2f81f7", "#8b949e", "#808890"


@dataclass(frozen=True, slots=True)
class Bar:
    """One side of a comparison."""

    label: str
    colour: str
    p50: float
    p99: float


def main() -> None:
    for file in sorted(RESULTS.glob("*.json")):
        picture = file.with_suffix(".svg")
        picture.write_text(drawn(json.loads(file.read_text())))
        print(f"{picture.name} drawn from {file.name}")


def drawn(result: dict[str, Any]) -> str:
    """The picture of one benchmark; what is nothing has no bar."""
    parts: list[dict[str, Any]] = [
        part for part in result["parts"] if "/" not in part["name"] and part["torpor"]["p99"]
    ]
    lines = [*_head(result)]
    top = HEAD
    for part in parts:
        bars = _bars(part)
        scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / _longest(part, parts)
        middle = top + len(bars) * BAR_HEIGHT / 2 + 4
        lines.append(_text(LABEL_WIDTH - 10, middle, part["name"], anchor="end"))
        for bar in bars:
            unit = "" if part["unit"] in (result["unit"], COUNT) else part["unit"]
            lines += _drawn_bar(bar, top, scale, unit)
            top += BAR_HEIGHT
        top += GAP
    return "\n".join([_opening(top), *lines, "</svg>", ""])


def _bars(part: dict[str, Any]) -> list[Bar]:
    sides = [("Torpor", TORPOR_COLOUR, part["torpor"])]
    if part["reference"]:
        sides.append((part["referenceName"], REFERENCE_COLOUR, part["reference"]))
    return [Bar(label, colour, side["p50"], side["p99"]) for label, colour, side in sides]


def _longest(part: dict[str, Any], parts: list[dict[str, Any]]) -> float:
    """Of one scale for all parts, where they are near each other; else each has its own."""
    longest = [max(max(bar.p50, bar.p99) for bar in _bars(each)) for each in parts]
    own = max(max(bar.p50, bar.p99) for bar in _bars(part))
    return own if max(longest) > 20 * min(longest) else max(longest)


def _drawn_bar(bar: Bar, top: float, scale: float, unit: str) -> list[str]:
    """``unit``: where it is not the picture's."""
    length, reach = bar.p50 * scale, max(bar.p50, bar.p99) * scale
    middle = top + BAR_HEIGHT / 2
    value = f"{bar.label} {_short(bar.p50)} {unit}".rstrip()
    return [
        f'<rect x="{LABEL_WIDTH}" y="{top + 1:.1f}" width="{length:.1f}" '
        f'height="{BAR_HEIGHT - 2}" fill="{bar.colour}"/>',
        f'<line x1="{LABEL_WIDTH}" x2="{LABEL_WIDTH + reach:.1f}" y1="{middle:.1f}" '
        f'y2="{middle:.1f}" stroke="{bar.colour}" stroke-width="2"/>',
        _text(LABEL_WIDTH + reach + 6, middle + 4, value, size=10),
    ]


def _head(result: dict[str, Any]) -> list[str]:
    machine = result["machine"]
    where = f"{machine['cores']} cores, {machine['processor']}, Postgres {machine['postgres']}"
    return [
        _text(0, 14, f"{result['name']}: {result['unit']}".removesuffix(": "), size=14),
        _text(0, 30, f"bar: median, line: 99th percentile. {where}", size=10),
    ]


def _opening(height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" font-family="sans-serif" role="img">'
    )


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{TEXT_COLOUR}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
