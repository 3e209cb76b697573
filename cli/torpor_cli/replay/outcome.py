"""What a replay came to, whatever was replayed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torpor_cli.replay.figures import Figures, Times
from torpor_cli.replay.statement import Contents
from torpor_cli.replay.use import Use

Json = dict[str, Any]

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a log or of a script."""

    target: str
    took_s: float
    price: float
    """Of a CU-hour, in dollars."""
    use: Use | None
    """None: the database was not watched."""
    ended_early: bool = False

    @property
    def dollars(self) -> float:
        return 0.0 if self.use is None else self.use.cu_s / 3600 * self.price


@dataclass(frozen=True, slots=True)
class LogOutcome(Outcome):
    """Of a log."""

    figures: Figures = field(default_factory=Figures)
    expected: int = 0
    """Statements that there were to replay."""
    speed: float | None = 1.0
    through: str = ""
    """What is between the client and the endpoint, besides the network."""


def contents_as_json(found: Contents) -> Json:
    """For programs: what `--dry-run` tells."""
    return {
        "statements": found.statements,
        "sessions": found.sessions,
        "seconds": round(found.seconds, 3),
        "byDatabase": dict(found.by_database),
        "byUser": dict(found.by_user),
        "writes": dict(found.writes),
        "leftOut": {each.name: count for each, count in found.left_out.items()},
        "cutOff": found.cut_off,
        "hasEnds": found.has_ends,
    }


def use_as_json(outcome: Outcome) -> Json | None:
    """Sleep, wakes and cost; None where nobody looked."""
    use = outcome.use
    if use is None or not use.seconds:
        return None
    always_s = use.seconds * use.cu_most
    return {
        "watchedSeconds": round(use.seconds, 1),
        "asleepSeconds": round(use.asleep_s, 1),
        "transitions": dict(use.counts),
        "wakes": use.wakes,
        "cuSeconds": round(use.cu_s, 2),
        "dollars": outcome.dollars,
        "alwaysOn": {
            "cu": use.cu_most,
            "cuSeconds": round(always_s, 2),
            "dollars": always_s / 3600 * outcome.price,
        },
        "looksMissed": use.missed,
    }


def log_as_json(outcome: LogOutcome) -> Json:
    """For programs."""
    figures = outcome.figures
    return {
        "target": outcome.target,
        "seconds": round(outcome.took_s, 3),
        "endedEarly": outcome.ended_early,
        "speed": "max" if outcome.speed is None else outcome.speed,
        "statements": {
            "inLog": outcome.expected,
            "replayed": figures.statements,
            "notRun": figures.not_run,
            "refusedWrites": figures.refused_writes,
            "outOfOrder": figures.out_of_order,
        },
        "sessions": {
            "opened": figures.sessions,
            "lost": figures.lost,
            "notConnected": dict(figures.not_connected),
            "heldUp": figures.held_up,
            "heldUpSecondsMax": round(figures.held_up_most_s, 3),
        },
        "latencyMs": {
            "compared": figures.now.count,
            "now": quantiles(figures.now),
            "inLog": quantiles(figures.in_log),
            "all": quantiles(figures.all),
        },
        "late": {"count": figures.is_late, "ms": quantiles(figures.late)},
        "errors": {
            sqlstate: {"now": each.now, "inLog": each.in_log, "new": each.new}
            for sqlstate, each in sorted(figures.errors.items())
        },
        "newErrors": figures.new_errors,
        "newErrorsAt": figures.new_at,
        "slowest": [
            {"ms": round(each.ms, 3), "inLogMs": each.log_ms, "atSeconds": round(each.at_s, 3)}
            | {"where": each.where}
            for each in sorted(figures.slowest, reverse=True)
        ],
        "use": use_as_json(outcome),
        "ok": not figures.has_failed,
    }


def quantiles(times: Times) -> Json:
    """In milliseconds; None: there are none."""
    found: Json = {name: times.percentile(share) for name, share in QUANTILES.items()}
    found |= {"mean": times.sum_ms / times.count if times.count else None}
    found |= {"max": times.most_ms if times.count else None}
    return {name: None if ms is None else round(ms, 3) for name, ms in found.items()}
