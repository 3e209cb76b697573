"""What schedules, and jobs of pg_cron, say of this moment: be awake, and how large at least.

The answer is kept until the moment at which it may be another one, or until the clock on the wall
shows an earlier time than before. A schedule is parsed when it is looked up: of a database that
sleeps nothing is kept but the last answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from torpor_api.resource import LastResume
from torpor_api.rhythm import CronJobs
from torpor_api.rhythm import Schedule as Declared
from torpor_autoscaler.core.schedule import (
    Schedule,
    ScheduleChoice,
    choose_awake,
    parse_job,
    parse_schedule,
)
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.lifecycle.remembered import Decisions

ROUNDING_S: Final = 0.001
"""A look at the clock is so much late, or it would come too early by as much as numbers are off."""


class ByClock:
    """Of one database that has any of them."""

    __slots__ = ("_choice", "_looked_at_s", "_rests_on")

    def __init__(self) -> None:
        self._rests_on: object = None
        self._choice: ScheduleChoice | None = None
        self._looked_at_s = 0.0

    def choice(
        self,
        declared: Sequence[Declared],
        jobs: CronJobs | None,
        wall_s: float,
        lead_s: float,
        decisions: Decisions,
    ) -> ScheduleChoice | None:
        """``lead_s``: so long before a window begins it is woken. A new answer is a decision."""
        known = self._choice
        if (
            known is None
            or self._rests_on != (declared, jobs)
            or not self._looked_at_s <= wall_s < known.look_again_s
        ):
            known = choose_awake([*_parsed(declared, jobs)], wall_s, lead_s)
            self._choice, self._rests_on, self._looked_at_s = known, (declared, jobs), wall_s
            if known is not None:
                decisions.add(known.decision, wall_s)
        return known


def lead_s(last_resume: LastResume | None, limits: Limits) -> float:
    """Twice what its last wake took: the next one may be slower."""
    took_s = 0.0 if last_resume is None else last_resume.total_ms / 1000.0
    return min(max(2.0 * took_s, limits.lead_s_min), limits.lead_s_max)


def jobs_known(before: CronJobs | None, told: CronJobs | None) -> CronJobs | None:
    """Behind a look inside: one at which they could not be read takes none away."""
    if told is None:
        return before
    return told if told.schedules else None


def _parsed(declared: Sequence[Declared], jobs: CronJobs | None) -> Iterator[Schedule]:
    for one in declared:
        yield parse_schedule(one.cron, one.time_zone, one.duration, one.min_cu)
    if jobs is not None:
        found = (parse_job(schedule, jobs.time_zone) for schedule in jobs.schedules)
        yield from (job for job in found if job is not None)
