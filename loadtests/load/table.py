"""Results as text: one run for a terminal, all recorded ones as a table for the documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from load.judge import Verdict
from load.result import Json, Result
from load.scenario import Measure
from load.scenarios import SCENARIOS
from torpor_cli.output import table

MS_MEASURES = frozenset({Measure.WAKE_P99, Measure.AWAKE_P99})
"""Kept in seconds, shown in milliseconds."""


def of_verdicts(verdicts: Sequence[Verdict]) -> str:
    """A line for each objective."""
    rows = [
        [
            "met" if each.is_met else "MISSED",
            each.objective.measure,
            amount(each, each.torpor),
            amount(each, each.always_on),
            short(each.value),
            f"{'≥' if each.objective.is_least else '≤'} {each.objective.limit:g}",
            each.objective.of,
        ]
        for each in verdicts
    ]
    columns = ("", "OBJECTIVE", "TORPOR", "ALWAYS ON", "VALUE", "LIMIT", "OF")
    return table(columns, rows, right=(2, 3, 4))


def of_reached(found: Result) -> str:
    """In a sentence."""
    reached = found.reached
    return (
        f"{reached['databases']} databases, {reached['clients']} clients, "
        f"{reached['sessions']} sessions at once, {reached['questions']:,} questions answered, "
        f"{reached['wakes']} wakes, {reached['wakesPerSecond']:.1f} a second over ten seconds.\n"
        f"What was short: {reached['limit']}"
    )


def recorded(folder: Path) -> list[Json]:
    """In the order of the scenarios; those that were not recorded are left out."""
    files = [folder / f"{name}.json" for name in SCENARIOS]
    return [json.loads(file.read_text()) for file in files if file.exists()]


COLUMNS = (
    "scenario",
    "databases",
    "sessions",
    "questions",
    "wakes",
    "wakes/s",
    "asked asleep p50 / p99",
    "asked awake p50 / p99",
    "always on p50 / p99",
    "cost",
    "errors",
    "objectives",
    "what was short",
    "load average before",
)


def as_markdown(results: Sequence[Json]) -> str:
    """What was reached; times in milliseconds, cost as a share of always-on computes."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(_cells(each))} |" for each in results]
    return "\n".join(lines)


def _cells(result: Json) -> list[str]:
    reached, torpor = result["reached"], result["torpor"]
    cost = torpor["cuSeconds"]
    met = sum(each["isMet"] for each in result["objectives"])
    return [
        result["name"],
        str(reached["databases"]),
        f"{reached['sessions']:,}",
        f"{reached['questions']:,}",
        str(reached["wakes"]),
        f"{reached['wakesPerSecond']:.1f}",
        _times(torpor, "asleep"),
        _times(torpor, "awake"),
        _times(result["alwaysOn"], "awake"),
        "–" if cost is None else f"{cost / result['alwaysOn']['cuSeconds']:.0%}",
        str(torpor["errors"]),
        f"{met} of {len(result['objectives'])} met",
        reached["limit"],
        str(result["machine"]["load1m"]),
    ]


def _times(side: Json, state: str) -> str:
    found = side["states"].get(state)
    return "–" if found is None else f"{short(found['p50Ms'])} / {short(found['p99Ms'])}"


def amount(verdict: Verdict, value: float | None) -> str:
    """With its unit, where it has one."""
    if value is not None and verdict.objective.measure in MS_MEASURES:
        return f"{short(value * 1000)} ms"
    return short(value)


def short(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
