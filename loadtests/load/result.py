"""What a run came to, and its numbers for the table and for the files. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from load import judge, limits
from load.judge import Side, Verdict
from load.samples import State
from load.scenario import Scenario
from load.watcher import EVERY_SECONDS, Row
from rig.figures import percentile
from torpor_api.prices import CU_HOUR_PRICE
from torpor_api.transition import Transition, TransitionKind

Json = dict[str, Any]

WAKES = (TransitionKind.RESUME, TransitionKind.FAILOVER)


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen from outside while one side had its load."""

    began_at: float
    """In seconds since 1970."""
    rows: Sequence[Row]
    transitions: Sequence[Transition] = ()
    is_asked: bool = False
    """Whether somebody could be asked about the fleet."""

    @property
    def wakes(self) -> list[Transition]:
        return [one for one in self.transitions if one.kind in WAKES and not one.failure]

    @property
    def cu_seconds(self) -> float:
        """Of the computes that were awake: each second counts as it was seen at its end."""
        at = [self.began_at, *(row.at for row in self.rows)]
        return sum(
            row.awake_cu * min(later - earlier, 2 * EVERY_SECONDS)
            for row, (earlier, later) in zip(self.rows, pairwise(at), strict=True)
        )


@dataclass(frozen=True, slots=True)
class Result:
    """One scenario, both sides."""

    scenario: Scenario
    torpor: Side
    always_on: Side
    watched: Watched
    """While Torpor had its load."""
    machine: Json
    where: str
    """That the load went to."""

    @property
    def verdicts(self) -> list[Verdict]:
        return [
            judge.verdict(each, self.torpor, self.always_on) for each in self.scenario.objectives
        ]

    @property
    def is_met(self) -> bool:
        return all(verdict.is_met for verdict in self.verdicts)

    @property
    def reached(self) -> Json:
        """How much there was of everything."""
        rows = self.watched.rows
        woken = [
            sample.at
            for sample, state in zip(self.torpor.samples, self.torpor.states, strict=True)
            if state is State.ASLEEP
        ]
        return {
            "databases": len({sample.database for sample in self.torpor.samples}),
            "clients": self.scenario.clients,
            "sessions": max((row.sessions for row in rows), default=0),
            "questions": len(judge.waits_s(self.torpor)),
            "wakes": len(self.watched.wakes) if self.watched.is_asked else len(woken),
            "wakesPerSecond": limits.sustained_per_s(woken),
            "limit": limits.limit_of(rows),
        }


def as_json(result: Result) -> Json:
    """Without the samples."""
    scenario = result.scenario
    return {
        "name": scenario.name,
        "question": scenario.question,
        "isMet": result.is_met,
        "where": result.where,
        "seconds": scenario.seconds,
        "idleTimeoutSeconds": scenario.idle_timeout_s,
        "objectives": [_of_verdict(each) for each in result.verdicts],
        "reached": result.reached,
        "torpor": _of_side(result.torpor),
        "alwaysOn": _of_side(result.always_on),
        "dollarsPerCuHour": CU_HOUR_PRICE,
        "machine": result.machine,
    }


def _of_verdict(verdict: Verdict) -> Json:
    objective = verdict.objective
    return {
        "measure": objective.measure,
        "isMet": verdict.is_met,
        "value": _rounded(verdict.value),
        "limit": objective.limit,
        "atLeast": objective.is_least,
        "of": objective.of,
        "torpor": _rounded(verdict.torpor),
        "alwaysOn": _rounded(verdict.always_on),
        "why": objective.why,
    }


def _of_side(side: Side) -> Json:
    waits = {state: judge.waits_s(side, state) for state in State}
    return {
        "errors": sum(bool(sample.error) for sample in side.samples),
        "cuSeconds": _rounded(side.cu_seconds),
        "states": {
            state.name.lower(): {
                "n": len(found),
                "p50Ms": _rounded(percentile(found, 50) * 1000),
                "p99Ms": _rounded(percentile(found, 99) * 1000),
                "maxMs": _rounded(max(found) * 1000),
            }
            for state, found in waits.items()
            if found
        },
    }


def _rounded(value: float | None) -> float | None:
    """Four significant digits: more were not measured."""
    return None if value is None else float(f"{value:.4g}")
