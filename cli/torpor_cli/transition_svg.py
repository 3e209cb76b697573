"""One transition as a picture, as `systemd-analyze plot` draws a boot. Pure: JSON in, SVG out.

A row a span, on a line of time; what could not have taken longer is filled, what has slack is pale
with a line as long as its slack. Nothing is loaded from elsewhere; it reads on a light and on a
dark page, and each bar says its figures when it is pointed at.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import floor, log10

from torpor_cli.output import Json, printable
from torpor_cli.transition_text import is_critical, marks

WIDTH, LABEL_WIDTH, RIGHT = 960, 330, 90
ROW_HEIGHT, BAR_HEIGHT, HEAD, FOOT = 20, 12, 84, 40
INDENT = 14
TICKS_MAX = 10

COLOURS = {
    "postgres": "#2f81f7",
    "agent": "#8957e5",
    "autoscaler": "#bf8700",
    "proxy": "#1a7f64",
    "cluster": "#8b949e",
}
"""By who spent the time; whoever is none of these is one proxy of several."""

TEXT_COLOUR = "#808890"
FONT = "ui-sans-serif, system-ui, sans-serif"


def transition_svg(transition: Json) -> str:
    """The whole file."""
    spans = transition["spans"]
    ends = [span["begin_ms"] + span["ms"] + span["slack_ms"] for span in spans]
    whole_ms = max([transition["total_ms"], 0.001, *ends])
    scale = (WIDTH - LABEL_WIDTH - RIGHT) / whole_ms
    bottom = HEAD + len(spans) * ROW_HEIGHT
    parts = [
        _opening(transition, bottom + FOOT),
        *_head(transition),
        *_time_line(whole_ms, scale, bottom),
        *(part for row, span in enumerate(spans) for part in _row(span, row, scale)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _opening(transition: Json, height: int) -> str:
    title = escape(f"{transition['kind']} of {transition['database']}: {_figures(transition)}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="{FONT}" role="img" aria-label="{title}">'
    )


def _figures(transition: Json) -> str:
    epoch = f", epoch {transition['epoch']}" if transition["epoch"] else ""
    figures = [f"{transition['total_ms']:.1f} ms{epoch}", transition["at"], *marks(transition)]
    return ", ".join(figures)


def _head(transition: Json) -> Iterator[str]:
    yield _text(0, 20, f"{transition['database']}: {transition['kind']}", size=16, weight=600)
    yield _text(0, 38, _figures(transition))
    because = transition["failure"] or transition["cause"]
    if because:
        words = "came to nothing: " if transition["failure"] else "because: "
        yield _text(0, 54, printable(words + because)[:140])
    x = float(LABEL_WIDTH)
    for where in dict.fromkeys(_who(span) for span in transition["spans"]):
        yield f'<rect x="{x:.0f}" y="62" width="10" height="10" rx="2" fill="{COLOURS[where]}"/>'
        yield _text(x + 15, 71, where, size=11)
        x += 30 + 7 * len(where)


def _time_line(whole_ms: float, scale: float, bottom: int) -> Iterator[str]:
    step_ms = _step(whole_ms)
    for number in range(floor(whole_ms / step_ms) + 1):
        x = LABEL_WIDTH + number * step_ms * scale
        yield (
            f'<line x1="{x:.1f}" y1="{HEAD - 6}" x2="{x:.1f}" y2="{bottom}" '
            f'stroke="{TEXT_COLOUR}" stroke-opacity="0.25"/>'
        )
        unit = " ms" if number == 0 else ""
        yield _text(x, bottom + 16, f"{number * step_ms:g}{unit}", size=11, anchor="middle")


def _step(whole_ms: float) -> float:
    """1, 2 or 5 times a power of ten, so that there are at most ten marks."""
    power = 10.0 ** floor(log10(whole_ms / TICKS_MAX))
    return next(power * by for by in (1, 2, 5, 10) if whole_ms / (power * by) <= TICKS_MAX)


def _row(span: Json, row: int, scale: float) -> Iterator[str]:
    y = HEAD + row * ROW_HEIGHT
    begin, length = LABEL_WIDTH + span["begin_ms"] * scale, max(1.0, span["ms"] * scale)
    colour, critical = COLOURS[_who(span)], is_critical(span)
    told = f"{span['ms']:.1f} ms" + ("" if critical else f", slack {span['slack_ms']:.1f} ms")
    name = printable(span["name"])
    weight = 600 if critical and span["depth"] == 0 else 400
    yield _text(span["depth"] * INDENT, y + 11, name[:46], weight=weight)
    words = escape(f"{name} ({span['where']}): at {span['begin_ms']:.1f} ms, {told}")
    yield (
        f'<rect x="{begin:.1f}" y="{y + 1}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2" '
        f'fill="{colour}" fill-opacity="{1 if critical else 0.35}"><title>{words}</title></rect>'
    )
    end, middle = begin + length, y + 1 + BAR_HEIGHT / 2
    if not critical:
        until = end + span["slack_ms"] * scale
        yield (
            f'<line x1="{end:.1f}" y1="{middle}" x2="{until:.1f}" y2="{middle}" '
            f'stroke="{colour}" stroke-dasharray="2 3"/>'
        )
        end = until
    yield _text(end + 5, y + 11, told, size=11)


def _who(span: Json) -> str:
    return span["where"] if span["where"] in COLOURS else "proxy"


def _text(
    x: float, y: float, text: str, *, size: int = 12, weight: int = 400, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
        f'fill="{TEXT_COLOUR}" text-anchor="{anchor}">{escape(text)}</text>'
    )
