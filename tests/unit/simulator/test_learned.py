"""``idleTimeout: auto`` in the simulator: its choices are the policy's, its sums are these."""

from __future__ import annotations

import pytest

from torpor_simulator import learned
from torpor_simulator.falling import INSTANT, Falling
from torpor_simulator.life import Life, Stretch, of_uses
from torpor_simulator.replay import Account

DAY_S = 86400.0
TERMS = learned.terms_for(0.25, waiting_price=60.0)


def periodic(period_s: float) -> Life:
    uses = [(step * period_s, 0.5) for step in range(int(DAY_S / period_s))]
    return of_uses(uses, DAY_S, queries=len(uses))


def under_auto(life: Life, falls: Falling = INSTANT) -> Account:
    return learned.account(life, TERMS, falls, DAY_S)


def test_it_stays_awake_where_the_next_query_is_near() -> None:
    account = under_auto(periodic(20.0))
    assert account.wakes == 1


def test_it_sleeps_at_once_where_the_next_query_is_far() -> None:
    account = under_auto(periodic(1800.0))
    assert account.wakes == 48
    # At first it waits for as long as a wake costs, a minute; later hardly at all.
    assert account.awake_s < 48 * TERMS.break_even_s / 4


def test_it_never_pays_more_than_the_policys_bound() -> None:
    for period_s in (2.0, 30.0, 70.0, 500.0, 5000.0):
        life = periodic(period_s)
        account = under_auto(life)
        gaps = life.stretches[0].gaps
        cost_s = account.awake_s + account.wakes * TERMS.wake_s
        least_s = sum(min(gap, TERMS.wake_s) for gap in gaps) + life.busy_s + TERMS.wake_s
        assert cost_s < 2.1 * least_s + 22 * TERMS.wake_s


def test_awake_and_asleep_are_the_whole_time() -> None:
    for life in (periodic(3.0), periodic(333.0), of_uses([], DAY_S, 0)):
        account = under_auto(life)
        assert account.awake_s + account.asleep_s == pytest.approx(DAY_S)


def test_each_sleep_comes_later_than_its_time_out() -> None:
    life = periodic(1800.0)
    instant, real = under_auto(life), under_auto(life, Falling(late_s=0.5, takes_s=0.25))
    assert (real.wakes, real.sleeps, real.caught) == (instant.wakes, instant.sleeps, 0)
    assert real.awake_s == pytest.approx(instant.awake_s + real.sleeps * 0.75)
    assert real.awake_s + real.asleep_s == pytest.approx(DAY_S)


def test_a_dense_hour_is_decided_by_what_was_before_it() -> None:
    hours = [Stretch(hour * 3600.0, [5.0] * 100, times=4) for hour in range(24)]
    account = under_auto(Life(0.0, DAY_S - 24 * 2000, 0.0, hours, queries=9600))
    assert account.wakes == 1 and account.asleep_s == 0


def test_who_is_never_used_never_wakes() -> None:
    account = under_auto(of_uses([], DAY_S, 0))
    assert (account.wakes, account.awake_s) == (0, 0.0)
