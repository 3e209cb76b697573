"""One life whose uses come by a clock that stands in ``spec.schedules``: it is awake in time.

As `torpor_autoscaler.core.schedule` has it: a window opens at each moment of the clock, lasts as
long as a use may be late, and counts from ``LEAD_S`` before. Nobody waits for such a wake.
"""

from __future__ import annotations

from math import floor
from typing import Final

from torpor_simulator.falling import Falling
from torpor_simulator.life import Life
from torpor_simulator.replay import Account, moments

LEAD_S: Final = 5.0
"""`Limits.lead_s_min` of the autoscaler: more than a cold start takes."""


def account(life: Life, timeout_s: float, falls: Falling, duration_s: float) -> Account:
    """Moment by moment. Only for a life that has a period."""
    found = Account(duration_s, 0.0)
    idle_at = None
    for begin, is_query, used_until in moments(life, duration_s):
        if not is_query:
            continue  # It wakes nothing, and keeps nothing awake.
        opens = floor(begin / life.period_s) * life.period_s
        wakes_at = max(opens - LEAD_S, 0.0)
        if idle_at is None or wakes_at > idle_at + falls.late_s:
            _sleep(found, idle_at, wakes_at, falls)
            found.clock_wakes += 1
            found.woken_at.append(wakes_at)
        idle_at = max(used_until + timeout_s, opens + life.jitter_s)
    _sleep(found, idle_at, duration_s, falls)
    return found


def _sleep(found: Account, idle_at: float | None, until: float, falls: Falling) -> None:
    """``idle_at``: from then on nothing keeps it awake; None: it has not been used yet."""
    hold = falls.after(idle_at or 0.0)
    asleep_s = until if idle_at is None else max(until - hold.asleep_s, 0.0)
    found.asleep_s += asleep_s
    found.awake_s -= asleep_s
    found.sleeps += int(idle_at is not None and until > hold.until_s)
