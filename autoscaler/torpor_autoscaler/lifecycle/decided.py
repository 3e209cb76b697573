"""Decisions as people are told of them: those of one database, and the ones that hold now."""

from __future__ import annotations

from torpor_api import messages as m
from torpor_autoscaler.core.decision import Decision, Decisions
from torpor_autoscaler.lifecycle.outcomes import timestamp


def all_of(decisions: Decisions) -> tuple[m.Decided, ...]:
    """The oldest first, each with the figure that it was made by."""
    return tuple(_told(dated.since_s, dated.decision) for dated in decisions)


def current(decisions: Decisions) -> tuple[m.Decided, ...]:
    """The latest of each policy, with the figure of today."""
    return tuple(_told(dated.since_s, dated.latest) for dated in decisions.current)


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
