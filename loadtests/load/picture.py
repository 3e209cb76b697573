"""Plots as SVG: nothing is needed to write it, and nothing is loaded to see it. Pure.

Colours are names of the page's style sheet, so that a plot follows dark and light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Literal

WIDTH, HEIGHT = 860, 270
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 34, 34

DOTS_MAX = 4000
"""Of one series: more can't be told apart, and make a page slow."""

TICKS = 5

BAR_HEIGHT, BAR_GAP, BAR_LABEL, BAR_VALUE = 16, 6, 330, 90

LEGEND_CHARACTER = 7.4
"""As wide as one is on average where the page makes words largest, on a phone."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn in one colour. ``colour``: a name of the style sheet."""

    name: str
    colour: str
    points: Sequence[Point]
    kind: Literal["line", "dots", "area"] = "line"


@dataclass(frozen=True, slots=True)
class Axis:
    """Values upwards, as they are or by their powers of ten."""

    low: float
    high: float
    is_log: bool = False

    def y(self, value: float) -> float:
        low, high = self.low, self.high
        if self.is_log:
            value, low, high = log10(max(value, self.low)), log10(low), log10(high)
        share = (min(value, high) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    @property
    def ticks(self) -> list[float]:
        if self.is_log:
            return [
                10.0**power for power in range(round(log10(self.low)), round(log10(self.high)) + 1)
            ]
        step = _round_step((self.high - self.low) / TICKS)
        return [number * step for number in range(floor(self.high / step) + 1)]


def axis(series: Sequence[Series], *, is_log: bool = False) -> Axis:
    """That all values fit on."""
    values = [y for each in series for _, y in each.points]
    most = max(values, default=0.0)
    if not is_log:
        return Axis(0.0, most * 1.05 if most > 0 else 1.0)
    least = min((value for value in values if value > 0), default=1.0)
    low = floor(log10(least))
    return Axis(10.0**low, 10.0 ** max(low + 1, ceil(log10(max(most, least)))), is_log=True)


def plot(
    title: str, series: Sequence[Series], *, seconds: float, unit: str, is_log: bool = False
) -> str:
    """Over the seconds of a run. Those that are first are behind."""
    shown = [each for each in series if each.points]
    scale = axis(shown, is_log=is_log)
    lines = [_opening(WIDTH, HEIGHT, f"{title}: {', '.join(each.name for each in shown)}")]
    lines += _grid(scale, seconds, unit)
    for each in shown:
        lines += _drawn(each, scale, seconds)
    x = float(LEFT)
    for each in shown:
        lines.append(f'<rect class="{each.colour}" x="{x:.0f}" y="12" width="10" height="10"/>')
        lines.append(_text(x + 14, 21, each.name))
        x += 30 + LEGEND_CHARACTER * len(each.name)
    return "\n".join([*lines, "</svg></div>"])


def bars(title: str, rows: Sequence[tuple[str, float, str]], colour: str) -> str:
    """Lengths side by side: a name, a value, and how the value is written."""
    height = len(rows) * (BAR_HEIGHT + BAR_GAP) + BAR_GAP
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    lines = [_opening(WIDTH, height, f"{title}: {'; '.join(f'{n} {w}' for n, _, w in rows)}")]
    for number, (name, value, words) in enumerate(rows):
        top = BAR_GAP + number * (BAR_HEIGHT + BAR_GAP)
        length = value / most * (WIDTH - BAR_LABEL - BAR_VALUE)
        lines += [
            _text(BAR_LABEL - 8, top + 12, name, anchor="end"),
            f'<rect class="{colour}" x="{BAR_LABEL}" y="{top}" width="{max(length, 1):.1f}" '
            f'height="{BAR_HEIGHT}"/>',
            _text(BAR_LABEL + length + 6, top + 12, words),
        ]
    return "\n".join([*lines, "</svg></div>"])


def _drawn(series: Series, scale: Axis, seconds: float) -> list[str]:
    places = [(_x(x, seconds), scale.y(y)) for x, y in series.points]
    if series.kind == "dots":
        stride = ceil(len(places) / DOTS_MAX)
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places[::stride])
        return [f'<path class="dots {series.colour}" d="{path}"/>']
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    if series.kind == "line":
        return [f'<path class="line {series.colour}" d="M{path}"/>']
    floor_y = HEIGHT - BOTTOM
    ends = f"L{places[-1][0]:.1f} {floor_y}L{places[0][0]:.1f} {floor_y}Z"
    return [f'<path class="area {series.colour}" d="M{path}{ends}"/>']


def _grid(scale: Axis, seconds: float, unit: str) -> list[str]:
    lines = []
    for value in scale.ticks:
        y = scale.y(value)
        lines.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        lines.append(_text(LEFT - 6, y + 4, f"{value:g}", anchor="end"))
    step = _round_step(seconds / 10)
    for number in range(floor(seconds / step) + 1):
        words = f"{number * step:g}" + (" s" if number == 0 else "")
        lines.append(_text(_x(number * step, seconds), HEIGHT - 14, words, anchor="middle"))
    return [*lines, _text(LEFT - 6, 21, unit, anchor="end")]


def _x(second: float, seconds: float) -> float:
    return LEFT + min(max(second / seconds, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten."""
    if least <= 0:
        return 1.0
    power = 10.0 ** floor(log10(least))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= least * 0.999)


def _opening(width: float, height: float, label: str) -> str:
    """Its words would be too small to be read on a phone: there it is wider, and moves."""
    return (
        '<div class="wide" tabindex="0">'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'role="img" aria-label="{escape(label)}">'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
