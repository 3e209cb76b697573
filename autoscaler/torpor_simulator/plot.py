"""Cost against waiting as a picture: a dot a policy; whoever is nearer to the corner is better.

SVG is text, so nothing is needed to write it. Colours work on a light and on a dark page.
"""

from __future__ import annotations

from html import escape
from math import log10
from typing import Final

from torpor_simulator.report import Line

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 50, 50

TORPOR_COLOUR, RIVAL_COLOUR, TEXT_COLOUR = "#2f81f7", "#8b949e", "#808890"

WAIT_S_MIN, WAIT_S_MAX = 0.01, 100.0
"""The axis of waiting; what is less stands at its beginning."""

TICKS_S: Final = (0.01, 0.1, 1.0, 10.0, 100.0)
DOT = 5
LINE_HEIGHT = 12


def drawn(title: str, lines: list[Line]) -> str:
    """``lines``: of one trace. Cost is shown as a share of the dearest."""
    most = max((line.cu_s for line in lines), default=0.0) or 1.0
    parts = [
        _text(0, 16, title, size=14),
        _text(0, 33, "cost as a share of the dearest policy, against the p99 of waiting", size=10),
        *_axes(),
    ]
    labels: list[tuple[float, float]] = []
    for line in sorted(lines, key=lambda line: line.cu_s):
        x, y = _x(line.database_p99_s), _y(line.cu_s / most)
        is_ours = line.policy.startswith("torpor")
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT}" '
            f'fill="{TORPOR_COLOUR if is_ours else RIVAL_COLOUR}"/>'
        )
        at = _free(labels, x, y)
        labels.append((x, at))
        parts.append(_text(x + DOT + 4, at + 4, f"{line.policy} {line.cu_s / most:.0%}", size=10))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" role="img">'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _axes() -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    found = [
        _rule(LEFT, bottom, right, bottom),
        _rule(LEFT, TOP, LEFT, bottom),
        _text((LEFT + right) / 2, HEIGHT - 10, "p99 of waiting, each database alike", size=10),
    ]
    for seconds in TICKS_S:
        x = _x(seconds)
        name = f"{seconds:g} s" if seconds > WAIT_S_MIN else "≤ 10 ms"
        found += [
            _rule(x, bottom, x, bottom + 4),
            _text(x, bottom + 16, name, size=10, anchor="middle"),
        ]
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        found += [
            _rule(LEFT - 4, y, LEFT, y),
            _text(LEFT - 8, y + 4, f"{tenth * 10} %", size=10, anchor="end"),
        ]
    return found


def _free(labels: list[tuple[float, float]], x: float, y: float) -> float:
    """Where a label stands on no other: dots of one time may be near each other."""
    while any(
        abs(x - other_x) < RIGHT and abs(y - other_y) < LINE_HEIGHT for other_x, other_y in labels
    ):
        y -= LINE_HEIGHT
    return y


def _x(seconds: float) -> float:
    within = min(max(seconds, WAIT_S_MIN), WAIT_S_MAX)
    share = log10(within / WAIT_S_MIN) / log10(WAIT_S_MAX / WAIT_S_MIN)
    return LEFT + share * (WIDTH - RIGHT - LEFT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{TEXT_COLOUR}"/>'


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{TEXT_COLOUR}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
