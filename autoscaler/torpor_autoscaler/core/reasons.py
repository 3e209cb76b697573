"""Reasons in words, one line each: why a database is awake, why it can't wake, what it waits for.

A reason has two forms. The resource holds ``words``, which change only when the reason does; a
person who asks gets ``line``, with how long it has held.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torpor_api.messages import SessionReport
from torpor_api.quantities import format_duration
from torpor_api.resource import DatabaseSpec

PASSING_S = 3.0
"""What a session has done for less than this may be over before the resource is written."""


class Weight(Enum):
    """What a reason forbids."""

    TIME = "time"
    """Only time has to pass; a person who asks for a suspend need not wait for it."""
    UNKNOWN = "unknown"
    """Somebody has not reported: nothing is decided, not even for a person."""
    INSIDE = "inside"
    """At the last look something ran inside. It may have ended: a person's wish looks again."""
    IN_USE = "in use"
    """Somebody would be harmed."""
    KEPT = "kept"
    """The resource says so."""


@dataclass(frozen=True, slots=True)
class Reason:
    weight: Weight
    words: str
    detail: str = ""
    """For ``line`` only: what changes from second to second."""
    is_passing: bool = False
    """Comes and goes with every query; not worth a write to the resource."""

    @property
    def line(self) -> str:
        return f"{self.words}{self.detail}"


def duration(seconds: float) -> str:
    """Rounded as a person would say it: 12s, 3m, 2h5m."""
    whole = int(seconds)
    if whole >= 3600:
        whole -= whole % 60
    elif whole >= 60:
        whole -= whole % (60 if whole >= 180 else 1)
    return format_duration(float(whole))


def kept(spec: DatabaseSpec) -> tuple[Reason, ...]:
    """The resource's own reasons."""
    found = []
    if spec.min_cu > 0:
        found.append(Reason(Weight.KEPT, f"minCU is {spec.min_cu.normalize():f}"))
    if spec.keep_awake:
        found.append(Reason(Weight.KEPT, "keepAwake"))
    return tuple(found)


def scheduled(schedule: str, left_s: float) -> Reason:
    return Reason(Weight.KEPT, schedule, f" for {duration(left_s + 1)} more")


def pinned(report: SessionReport) -> Reason:
    words = (
        f"session {report.session}, user {report.user}"
        f"{f', application {report.application}' if report.application else ''}"
        f" from {report.client}: {report.reason}"
    )
    is_passing = report.since_s < PASSING_S
    return Reason(Weight.IN_USE, words, f" for {duration(report.since_s)}", is_passing)


def inside(what: str, for_s: float) -> Reason:
    """As the agent says it: a query, an open transaction, an autovacuum, an index build."""
    return Reason(Weight.INSIDE, what, f" for {duration(for_s)}", for_s < PASSING_S)


def busy(count: int) -> Reason:
    what = "1 session is" if count == 1 else f"{count} sessions are"
    detail = f": {what} in a transaction or query"
    return Reason(Weight.IN_USE, "sessions are busy", detail, is_passing=True)


def waiting(count: int) -> Reason:
    return Reason(Weight.IN_USE, "sessions wait for it", f": {count}", is_passing=True)


def used(idle_s: float, timeout_s: float, learned: str = "") -> Reason:
    """``learned``: what the time-out rests on. Then it changes as often as more is learned."""
    ago = f"; used {duration(idle_s)} ago"
    if not learned:
        return Reason(Weight.TIME, f"sleeps after {format_duration(timeout_s)} without use", ago)
    after = duration(timeout_s) if timeout_s >= 60 else f"{timeout_s:.3g}s"
    detail = f": after {after} without use ({learned}){ago}"
    return Reason(Weight.TIME, "sleeps by idleTimeout auto", detail)


def silent_proxy(proxy: str, for_s: float | None) -> Reason:
    how_long = "" if for_s is None else f" for {duration(for_s)}"
    words = f"proxy {proxy} has not reported its sessions"
    return Reason(Weight.UNKNOWN, words, how_long, is_passing=True)


def other_epoch(proxy: str, epoch: int, reported: int) -> Reason:
    words = f"proxy {proxy} still reports an earlier epoch"
    return Reason(Weight.UNKNOWN, words, f": {reported}, not {epoch}", is_passing=True)


def just_started(left_s: float) -> Reason:
    words = "the autoscaler has just started and proxies may still have to report"
    detail = f"; {duration(left_s + 1)} more"
    return Reason(Weight.UNKNOWN, words, detail, is_passing=True)


def refused_before(reason: str, left_s: float) -> Reason:
    detail = f"; the next try is in {duration(left_s + 1)}"
    return Reason(Weight.TIME, f"could not be put to sleep: {reason}", detail)
