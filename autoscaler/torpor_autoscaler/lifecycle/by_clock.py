"""What schedules say of this moment: whether a database has to be awake, and how large at least.

The answer is kept until the moment at which it may be another one, or until the clock on the wall
shows an earlier time than before. A schedule is parsed when it is looked up: of a database that
sleeps nothing is kept but the last answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torpor_api.resource import LastResume
from torpor_api.rhythm import Schedule as Declared
from torpor_autoscaler.core.decision import Decisions
from torpor_autoscaler.core.schedule import (
    Schedule,
    ScheduleChoice,
    choose_awake,
    parse_schedule,
)
from torpor_autoscaler.lifecycle.limits import Limits

ROUNDING_S: Final = 0.001
"""A look at the clock is so much late, or it would come too early by as much as numbers are off."""


class ByClock:
    """Of one database that has schedules."""

    __slots__ = ("_choice", "_declared", "_looked_at_s")

    def __init__(self) -> None:
        self._declared: Sequence[Declared] = ()
        self._choice: ScheduleChoice | None = None
        self._looked_at_s = 0.0

    def choice(
        self, declared: Sequence[Declared], wall_s: float, lead_s: float, decisions: Decisions
    ) -> ScheduleChoice | None:
        """``lead_s``: so long before a window begins it is woken. A new answer is a decision."""
        known = self._choice
        if (
            known is None
            or declared != self._declared
            or not self._looked_at_s <= wall_s < known.look_again_s
        ):
            known = choose_awake([_parsed(one) for one in declared], wall_s, lead_s)
            self._choice, self._declared, self._looked_at_s = known, declared, wall_s
            if known is not None:
                decisions.add(known.decision, wall_s)
        return known


def lead_s(last_resume: LastResume | None, limits: Limits) -> float:
    """Twice what its last wake took: the next one may be slower."""
    took_s = 0.0 if last_resume is None else last_resume.total_ms / 1000.0
    return min(max(2.0 * took_s, limits.lead_s_min), limits.lead_s_max)


def _parsed(one: Declared) -> Schedule:
    return parse_schedule(one.cron, one.time_zone, one.duration, one.min_cu)
