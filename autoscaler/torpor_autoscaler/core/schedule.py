"""By the clock: when a database has to be awake, how large at least, and when it has to be woken.

Each schedule opens a window at its cron's moments, for a duration. Windows may overlap: one that is
open keeps the database awake, the largest minimum counts. A function of the wall clock alone: after
a jump of it the answer is that of the new time, and nothing is made up for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import ceil
from typing import Final
from zoneinfo import ZoneInfo

from torpor_api.cron import (
    DAYS_AHEAD_MAX,
    Cron,
    parse_cron,
    parse_time_zone,
)
from torpor_api.rhythm import WINDOW_SECONDS_MAX
from torpor_autoscaler.core.decision import Decision, Loop

DAY_S: Final = 86_400.0

JOB_WINDOW_S: Final = 15.0
"""For which a database is awake for a job of pg_cron. It begins within a second of its minute, by a
clock that may be some seconds off; then it runs inside, and keeps the database awake by that. With
much longer windows a database that has a job each minute would never sleep."""

_MINUTE_S: Final = 60.0

JOB: Final = "pg_cron job"

_SECONDS: Final = re.compile(r"\s*\d+\s+seconds?\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Window:
    """Moments in seconds since 1970; the end is not within."""

    begins_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Be awake from each moment of the cron on, for so long, with at least this size."""

    cron: Cron
    zone: ZoneInfo
    duration_s: float
    min_cu: Decimal
    kind: str = "schedule"

    @property
    def line(self) -> str:
        return f"{self.kind} {self.cron.text} {self.zone.key}"

    def window_at(self, now_s: float) -> Window | None:
        """The one that is open; of several that overlap the one that ends last."""
        days_back = ceil(self.duration_s / DAY_S)
        begins_s = self.cron.latest_until(now_s, self.zone, days_back)
        if begins_s is None or begins_s + self.duration_s <= now_s:
            return None
        return Window(begins_s, begins_s + self.duration_s)

    def next_window(self, now_s: float) -> Window | None:
        """The first that begins later; None: none in eight years."""
        begins_s = self.cron.next_after(now_s, self.zone)
        return None if begins_s is None else Window(begins_s, begins_s + self.duration_s)


@dataclass(frozen=True, slots=True)
class ScheduleChoice:
    """Whether a database has to be awake now."""

    is_awake: bool
    min_cu: Decimal
    """0: no schedule asks for a size."""
    look_again_s: float
    """When the answer may be another one, in seconds since 1970."""
    decision: Decision
    line: str = ""
    """The schedule by which it has to be, of several the one whose window ends last."""
    ends_s: float = 0.0
    """When that one ends."""


def parse_schedule(
    cron: str, time_zone: str, duration_s: float, min_cu: Decimal = Decimal(0)
) -> Schedule:
    """Raises ValueError that names what is wrong and what is allowed."""
    if not 0 < duration_s <= WINDOW_SECONDS_MAX:
        raise ValueError(
            f"duration {duration_s:g} s: allowed is above 0, up to {WINDOW_SECONDS_MAX} s; "
            "keepAwake is for longer"
        )
    if not min_cu >= 0:
        raise ValueError(f"minCU {min_cu}: allowed is a number from 0 on")
    return Schedule(parse_cron(cron), parse_time_zone(time_zone), duration_s, min_cu)


def parse_job(schedule: str, time_zone: str) -> Schedule | None:
    """As pg_cron has it. None: it runs by no clock (`@reboot`), or can't be read.

    A job that runs every few seconds keeps its database awake: a window is open at all times.
    """
    try:
        zone = parse_time_zone(time_zone)
        if _SECONDS.fullmatch(schedule):
            cron = replace(parse_cron("* * * * *"), text=schedule.strip())
            return Schedule(cron, zone, 2 * _MINUTE_S, Decimal(0), JOB)
        cron = parse_cron(schedule, knows_last_day=True)
    except ValueError:
        return None
    return Schedule(cron, zone, JOB_WINDOW_S, Decimal(0), JOB)


def _window_between(schedule: Schedule, now_s: float, at_s: float) -> Window | None:
    """One that is open at any of these moments; of several one that is open at the last."""
    if window := schedule.window_at(at_s) or schedule.window_at(now_s):
        return window
    coming = schedule.next_window(now_s)
    return coming if coming is not None and coming.begins_s <= at_s else None


def choose_awake(
    schedules: Sequence[Schedule], now_s: float, lead_s: float = 0.0
) -> ScheduleChoice | None:
    """``lead_s``: a window counts from so long before its begin, which a wake takes.

    None: there is no schedule.
    """
    if not schedules:
        return None
    # A window that is about to begin is open at the moment at which a wake would be done.
    at_s = now_s + lead_s
    opened = [(s, w) for s in schedules if (w := _window_between(s, now_s, at_s))]
    coming = [(s, w) for s in schedules if (w := s.next_window(at_s))]
    horizon_s = now_s + DAYS_AHEAD_MAX * DAY_S
    next_s = min((window.begins_s - lead_s for _, window in coming), default=horizon_s)
    if not opened:
        follows, metric = "may sleep by its schedules", "time to the next window"
        until_s = next_s + lead_s - now_s
        decision = Decision(Loop.SCHEDULE, metric, until_s, lead_s, "s", 0.0, follows)
        return ScheduleChoice(False, Decimal(0), next_s, decision)
    schedule, last = max(opened, key=lambda pair: pair[1].ends_s)
    min_cu = max(schedule.min_cu for schedule, _ in opened)
    size = f" with {min_cu.normalize():f} CU or more" if min_cu else ""
    follows, metric = f"is awake{size} by {schedule.line}", "time to the window's end"
    decision = Decision(Loop.SCHEDULE, metric, last.ends_s - now_s, 0.0, "s", 0.0, follows)
    look_again_s = min(next_s, *(window.ends_s for _, window in opened))
    return ScheduleChoice(True, min_cu, look_again_s, decision, schedule.line, last.ends_s)
