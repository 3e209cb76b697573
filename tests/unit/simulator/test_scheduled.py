"""Who is used by a clock that Torpor knows is awake in time, and nobody waits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torpor_api.failures import InvalidRequest
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_simulator import scheduled
from torpor_simulator.falling import Falling
from torpor_simulator.fleet import Fleet, Order
from torpor_simulator.life import Life, of_uses
from torpor_simulator.policies import named
from torpor_simulator.tally import Tally
from unit.simulator.kinds import trace

DAY_S = 86400.0
FALLS = Falling(late_s=0.5, takes_s=0.25)
EACH_S = scheduled.LEAD_S + 1.0 + 2.0 + 5.0 + 0.75
"""Awake for a use of two seconds, which comes one second late, with a time-out of five."""


def hourly(late_s: float = 1.0, jitter_s: float = 2.0) -> Life:
    uses = [(3600.0 * hour + late_s, 2.0) for hour in range(1, 24)]
    life = of_uses(uses, DAY_S, queries=len(uses))
    life.period_s, life.jitter_s = 3600.0, jitter_s
    return life


def test_it_wakes_ahead_of_each_use_and_nobody_waits() -> None:
    account = scheduled.account(hourly(), 5.0, FALLS, DAY_S)
    assert (account.wakes, account.clock_wakes, account.sleeps) == (0, 23, 23)
    assert account.woken_at[0] == 3600.0 - scheduled.LEAD_S
    assert account.awake_s == pytest.approx(23 * EACH_S)
    assert account.awake_s + account.asleep_s == pytest.approx(DAY_S)


def test_it_stays_awake_for_as_long_as_a_use_may_be_late() -> None:
    account = scheduled.account(hourly(jitter_s=600.0), 5.0, FALLS, DAY_S)
    assert account.awake_s == pytest.approx(23 * (scheduled.LEAD_S + 600.0 + 0.75))


def test_who_is_awake_when_the_next_use_is_near_does_not_sleep() -> None:
    account = scheduled.account(hourly(), 3600.0, FALLS, DAY_S)
    assert (account.clock_wakes, account.sleeps) == (1, 0)


def test_a_knock_wakes_nothing() -> None:
    knocked = hourly()
    knocked.knocks = [5000.0]
    plain = scheduled.account(hourly(), 5.0, FALLS, DAY_S)
    assert scheduled.account(knocked, 5.0, FALLS, DAY_S) == plain


def tally(**kind: Any) -> Tally:
    policy = named("torpor-5s+schedules")
    return Fleet(Order(trace(**kind), (policy,), 4)).shard(0).tallies[0]


def test_of_a_fleet_only_those_have_a_schedule_that_are_used_by_a_clock() -> None:
    timers, people = tally(periods=[[1.0, 3600.0]]), tally(visits_per_day=[[0, 20], [1, 50]])
    assert timers.wakes == 0 and timers.clock_wakes == 4 * 24
    assert people.wakes > 0 and people.clock_wakes == 0


def test_a_wake_by_the_clock_is_paid() -> None:
    life, found = hourly(), Tally()
    policy = replace(named("torpor-5s+schedules"), falls=FALLS)
    found.count(policy, life, scheduled.account(life, 5.0, FALLS, DAY_S))
    assert found.cu_s == pytest.approx(23 * (EACH_S + policy.paid_after_s) * 0.25)


def test_the_lead_is_the_autoscalers() -> None:
    assert Limits().lead_s_min == scheduled.LEAD_S


@pytest.mark.parametrize("name", ["torpor-auto+schedules", "neon+schedules", "torpor-x+schedules"])
def test_what_has_no_schedules_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="policy"):
        named(name)
