"""Transitions as text: one as a tree of spans, many as a table. Pure: JSON in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from torpor_cli.output import (
    BAR_CHARACTERS,
    BAR_CHARACTERS_MIN,
    Json,
    ago,
    bar,
    printable,
    shortened,
    table,
)

SLACK_MS_MIN = 0.01
"""As :data:`torpor_api.transition.SLACK_MS_MIN`: less is the clock's."""

CAUSE_CHARACTERS_MAX = 60
"""In a table; the tree of one transition has it whole."""


def transition_tree(transition: Json, now: datetime, columns: int | None = None) -> str:
    """Its spans as a tree, each with when it began, its time, its slack and a bar; ``columns``: of
    the terminal, by which bars are shorter."""
    spans = transition["spans"]
    if not spans:
        return f"{_head(transition, now)}\n\nnothing is known of its steps"
    rows = [
        [
            f"{branch}{printable(span['name'])}",
            span["where"],
            f"{span['begin_ms']:.1f}",
            f"{span['ms']:.1f}",
            "-" if is_critical(span) else f"{span['slack_ms']:.1f}",
        ]
        for branch, span in _branches(spans)
    ]
    rows.append(["total", "", "", f"{transition['total_ms']:.1f}", ""])
    lines = table(["STEP", "WHERE", "AT", "MS", "SLACK"], rows, right=[2, 3, 4]).splitlines()
    left = len(lines[0]) + 2
    characters = BAR_CHARACTERS if columns is None else min(BAR_CHARACTERS, columns - left)
    bars = ["", *_bars(transition, max(characters, BAR_CHARACTERS_MIN)), ""]
    drawn = (f"{line:<{left}}{each}".rstrip() for line, each in zip(lines, bars, strict=True))
    return "\n".join([_head(transition, now), "", *drawn])


def _bars(transition: Json, characters: int) -> Iterator[str]:
    spans = transition["spans"]
    ends = (span["begin_ms"] + span["ms"] for span in spans)
    whole_ms = max(transition["total_ms"], 0.001, *ends)
    for span in spans:
        yield bar(span["begin_ms"], span["ms"], whole_ms, characters)


def transition_table(transitions: Sequence[Json], now: datetime) -> str:
    """One line each, with its longest step that could not have been longer, and its cause."""
    rows = [
        [
            f"{each['total_ms']:.1f}",
            each["database"],
            _kind(each),
            ago(each["at"], now),
            _longest(each),
            printable(shortened(each["failure"] or each["cause"], CAUSE_CHARACTERS_MAX)),
        ]
        for each in transitions
    ]
    return table(["MS", "DATABASE", "KIND", "AGO", "LONGEST STEP", "CAUSE"], rows, right=[0])


def critical_chain(transition: Json) -> list[Json]:
    """The deepest spans without slack."""
    spans = transition["spans"]
    followed = zip(spans, [*spans[1:], None], strict=True)
    leaves = [span for span, after in followed if after is None or after["depth"] <= span["depth"]]
    return [span for span in leaves if is_critical(span)]


def is_critical(span: Json) -> bool:
    """It could not have taken longer without the whole."""
    return bool(span["slack_ms"] < SLACK_MS_MIN)


def is_recorded(transition: Json) -> bool:
    """An autoscaler of the release before says nothing of it."""
    return bool(transition.get("is_recorded"))


def is_unfinished(transition: Json) -> bool:
    """No first row has been seen yet; there may still come one that was waited for."""
    return bool(transition.get("is_unfinished"))


def marks(transition: Json) -> list[str]:
    """What is to be known before it is compared with others."""
    found = {
        "failed": transition["failure"],
        "recorded": is_recorded(transition),
        "no row yet": is_unfinished(transition),
    }
    return [mark for mark, holds in found.items() if holds]


def _kind(transition: Json) -> str:
    return " ".join([transition["kind"], *(f"({mark})" for mark in marks(transition))])


def _head(transition: Json, now: datetime) -> str:
    words = "of" if transition["kind"] == "suspend" else "to"
    epoch = f" {words} epoch {transition['epoch']}" if transition["epoch"] else ""
    took = f"{transition['total_ms']:.1f} ms, {ago(transition['at'], now)} ago"
    lines = [f"{transition['database']}: {transition['kind']}{epoch}, {took}"]
    if transition["cause"]:
        lines.append(f"because: {printable(transition['cause'])}")
    if transition["failure"]:
        lines.append(f"came to nothing: {printable(transition['failure'])}")
    if is_recorded(transition):
        lines.append("from its record, where parts of steps are not kept")
    if is_unfinished(transition):
        lines.append("awake, and nobody has got a first row yet")
    return "\n".join(lines)


def _longest(transition: Json) -> str:
    chain = critical_chain(transition)
    if not chain:
        return "-"
    longest = max(chain, key=lambda span: float(span["ms"]))
    return f"{printable(longest['name'])}, {longest['ms']:.1f} ms"


def _branches(spans: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    """Each span with the lines that join it to the one that it is a part of."""
    for index, span in enumerate(spans):
        lines = ""
        for depth in range(1, span["depth"] + 1):
            goes_on = _goes_on(spans[index + 1 :], depth)
            own = depth == span["depth"]
            lines += ("├─ " if goes_on else "└─ ") if own else ("│  " if goes_on else "   ")
        yield lines, span


def _goes_on(behind: Sequence[Json], depth: int) -> bool:
    """Whether another of that depth has the same parent."""
    for span in behind:
        if span["depth"] <= depth:
            return bool(span["depth"] == depth)
    return False
