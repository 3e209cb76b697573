"""Decisions as people are told of them: those of one database, and the ones that hold now."""

from __future__ import annotations

from torpor_api import messages as m
from torpor_api.decided import CurrentDecision
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.lifecycle.remembered import Dated, Decisions
from torpor_autoscaler.lifecycle.times import seconds, timestamp


def all_of(decisions: Decisions) -> tuple[m.Decided, ...]:
    """The oldest first, each with the figure that it was made by."""
    return tuple(_told(dated.since_s, dated.decision) for dated in decisions)


def current(decisions: Decisions) -> tuple[m.Decided, ...]:
    """The latest of each policy, with the figure of today."""
    return tuple(_told(dated.since_s, dated.latest) for dated in decisions.current)


def for_record(decisions: Decisions) -> tuple[CurrentDecision, ...]:
    """With the figures by which they were made: today's would be a write each second. Whether it is
    awake, and why, the record says otherwise."""
    return tuple(
        _recorded(dated) for dated in decisions.current if dated.decision.loop is not Loop.AWAKE
    )


def remembered(status: DatabaseStatus) -> Decisions:
    """Of an awake database that somebody else has decided about before us."""
    found = Decisions()
    for each in sorted(status.decisions, key=lambda one: one.since or ""):
        try:
            loop, since_s = Loop(each.loop), seconds(each.since or "")
        except ValueError:
            continue  # Another release's, or somebody has cleared it.
        figures = (each.metric, each.value, each.threshold, each.unit, each.window_seconds)
        found.add(Decision(loop, *figures, each.follows), since_s)
    return found


def _told(since_s: float, decision: Decision) -> m.Decided:
    return m.Decided(
        since=timestamp(since_s),
        loop=decision.loop.value,
        follows=decision.follows,
        metric=decision.metric,
        value=decision.value,
        threshold=decision.threshold,
        unit=decision.unit,
        window_s=decision.window_s,
        line=decision.line,
    )


def _recorded(dated: Dated) -> CurrentDecision:
    decision = dated.decision
    return CurrentDecision(
        loop=decision.loop.value,
        follows=decision.follows,
        metric=decision.metric,
        value=_short(decision.value),
        threshold=_short(decision.threshold),
        unit=decision.unit,
        window_seconds=decision.window_s,
        since=timestamp(dated.since_s),
    )


def _short(value: float) -> float:
    """As many digits as a person compares, and one that survives every writer of JSON."""
    return float(f"{value:.4g}")
