"""What a database's record tells of its latest wake and its latest switchover. Pure.

An autoscaler that has just begun knows no more of what was before it. Nothing is kept for that: it
is read from the record, which is there anyhow, when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from operator import attrgetter

from torpor_api.chain import Step
from torpor_api.resource import LastResume, LastSwitchover
from torpor_api.transition import EPOCH_UNKNOWN, Span, Transition, TransitionKind
from torpor_autoscaler.lifecycle.times import exact_timestamp, seconds

_MS = attrgetter("ms")

AHEAD_S_MAX = 60.0
"""So far ahead of ours the clock of another machine may have been; what is later can't be."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One transition, as a record has it: steps in their order, without a tree."""

    database: str
    kind: TransitionKind
    """A record tells a failover as the resume that it is."""
    began_s: float
    """Since 1970."""
    total_ms: float
    steps: tuple[Step, ...]
    epoch: int = EPOCH_UNKNOWN
    cause: str = ""

    def told(self) -> Transition:
        return Transition(
            database=self.database,
            kind=self.kind,
            at=exact_timestamp(self.began_s),
            epoch=self.epoch,
            cause=self.cause,
            total_ms=self.total_ms,
            spans=tuple(_one_behind_the_other(self.steps)),
            is_recorded=True,
        )


def wake(database: str, last: LastResume | None, wall_s: float) -> Recorded | None:
    """None: there was none, or what the record says of it can't be. ``wall_s``: now."""
    began_s = None if last is None else _moment(last.at, wall_s)
    if last is None or began_s is None or not _can_be(last.total_ms, last.steps):
        return None
    # Its epoch is not recorded: the one beside it may be of a move since, or of a failed start.
    return Recorded(
        database, TransitionKind.RESUME, began_s, last.total_ms, last.steps, cause=last.cause
    )


def switchover(database: str, last: LastSwitchover | None, wall_s: float) -> Recorded | None:
    """None: there was none, or what the record says of it can't be. ``wall_s``: now."""
    began_s = None if last is None else _moment(last.at, wall_s)
    if last is None or began_s is None or not _can_be(last.pause_ms, last.steps):
        return None
    kind = TransitionKind.SWITCHOVER
    return Recorded(database, kind, began_s, last.pause_ms, last.steps, last.epoch)


def _moment(at: str, wall_s: float) -> float | None:
    try:
        began_s = seconds(at)
    except (ValueError, OverflowError):
        return None
    return began_s if 0.0 <= began_s <= wall_s + AHEAD_S_MAX else None


def _can_be(total_ms: float, steps: Sequence[Step]) -> bool:
    return isfinite(total_ms + sum(map(_MS, steps)))


def _one_behind_the_other(steps: Sequence[Step]) -> Iterator[Span]:
    passed_ms = 0.0
    for step in steps:
        yield Span(name=step.name, where=step.where, begin_ms=passed_ms, ms=step.ms)
        passed_ms += step.ms
