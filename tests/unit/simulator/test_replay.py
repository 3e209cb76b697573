"""The rule of each policy on a timeline that can be reckoned by hand."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from torpor_simulator import policies
from torpor_simulator.falling import INSTANT, Falling
from torpor_simulator.life import Life, Stretch, of_uses
from torpor_simulator.policies import AURORA, AZURE, NEON, Policy
from torpor_simulator.replay import Account, accounts, hold_of, knocked
from torpor_simulator.tally import Tally, no_moments

DAY_S = 86400.0

LATE_S, TAKES_S = 0.5, 0.25
TORPOR_5S = replace(policies.BY_NAME["torpor-5s"], falls=Falling(LATE_S, TAKES_S))
AWAKE_S = 10 + 5 + LATE_S + TAKES_S
"""After a use of ten seconds."""


def shop(linger_s: float = 0.0, knocks: tuple[float, ...] = ()) -> Life:
    """Used at 1000 for 10 s, at 1100, at 2000 and at 40000."""
    uses = [(1000.0, 10.0), (1100.0, 10.0), (2000.0, 10.0), (40000.0, 10.0)]
    life = of_uses(uses, DAY_S, queries=40)
    life.linger_s, life.sessions, life.knocks = linger_s, 3, list(knocks)
    return life


def under(policy: Policy, life: Life) -> Account:
    assert policy.timeout_s is not None
    hold = hold_of(policy, life, policy.timeout_s)
    return accounts(life, (hold,), DAY_S)[hold]


def test_torpor_sleeps_by_use_whoever_is_connected() -> None:
    for linger_s in (0.0, 600.0, inf):
        account = under(TORPOR_5S, shop(linger_s))
        assert account.wakes == 4 and account.sleeps == 4
        assert account.awake_s == pytest.approx(4 * AWAKE_S)
        assert account.woken_at == [1000.0, 1100.0, 2000.0, 40000.0]


def test_neon_waits_five_minutes_and_ends_connections() -> None:
    account = under(NEON, shop(inf))
    assert account.wakes == 3  # The pause of 90 s was none for it.
    assert account.awake_s == pytest.approx((10 + 90 + 10 + 300) + (10 + 300) * 2)
    tally = Tally()
    tally.count(NEON, shop(inf), account)
    assert tally.killed == 3 * 3


def test_neon_kills_nobody_who_has_gone_before() -> None:
    tally = Tally()
    tally.count(NEON, shop(60.0), under(NEON, shop(60.0)))
    assert tally.killed == 0


def test_aurora_waits_for_the_last_client_to_go() -> None:
    account = under(AURORA, shop(600.0))
    assert account.wakes == 2  # 890 s of pause are less than 600 s connected and 300 s alone.
    assert account.awake_s == pytest.approx((2010 - 1000 + 900) + (10 + 900))


def test_aurora_never_sleeps_where_a_pool_stays_connected() -> None:
    account = under(AURORA, shop(inf))
    assert (account.awake_s, account.asleep_s, account.wakes) == (DAY_S, 0.0, 0)


def test_azure_pauses_after_an_hour_and_is_paid_a_minute_more() -> None:
    account = under(AZURE, shop())
    assert account.wakes == 2
    awake_s = (2010 - 1000 + 3600) + (10 + 3600)
    assert account.awake_s == pytest.approx(awake_s)
    tally = Tally()
    tally.count(AZURE, shop(), account)
    assert tally.cu_s == pytest.approx((awake_s + 2 * 60) * 0.25)


def test_always_on_is_awake_and_nobody_waits() -> None:
    account = under(policies.ALWAYS_ON, shop())
    assert (account.awake_s, account.wakes) == (DAY_S, 0)


def test_torpors_wake_is_paid_from_the_claim_until_the_compute_has_gone() -> None:
    account, tally = under(TORPOR_5S, shop()), Tally(moments=no_moments(DAY_S))
    tally.count(TORPOR_5S, shop(), account)
    each_s = TORPOR_5S.warm.mean_s + AWAKE_S + policies.COMPUTE_ENDS_S
    assert tally.cu_s == pytest.approx(4 * each_s * 0.25)
    assert tally.moments is not None
    assert tally.moments.by_second[1100] == 1 and sum(tally.moments.by_second) == 4


class TestFallingAsleep:
    """It begins late, and takes its time."""

    def woken_after(self, pause_s: float) -> Account:
        uses = [(1000.0, 10.0), (1010.0 + pause_s, 10.0)]
        account = under(TORPOR_5S, of_uses(uses, DAY_S, queries=2))
        assert account.awake_s + account.asleep_s == pytest.approx(DAY_S)
        return account

    def test_a_use_before_there_is_no_way_back_keeps_it_awake(self) -> None:
        account = self.woken_after(5.4)
        assert (account.wakes, account.sleeps, account.caught) == (1, 1, 0)

    def test_who_comes_while_it_falls_asleep_waits_for_that_and_wakes_it(self) -> None:
        account = self.woken_after(5.6)
        assert (account.wakes, account.sleeps, account.caught) == (2, 2, 1)
        assert account.awake_s == pytest.approx(10 + 5.6 + AWAKE_S)  # It never slept in between.

    def test_who_comes_later_finds_it_asleep(self) -> None:
        account = self.woken_after(5.9)
        assert (account.wakes, account.sleeps, account.caught) == (2, 2, 0)
        assert account.awake_s == pytest.approx(2 * AWAKE_S)

    def test_a_rival_falls_asleep_in_no_time(self) -> None:
        rivals = [policy for policy in policies.POLICIES if not policy.is_ours]
        assert all(policy.falls == INSTANT for policy in rivals)


@pytest.mark.parametrize("policy", [p for p in policies.POLICIES if p.timeout_s is not None])
@pytest.mark.parametrize("linger_s", [0.0, 45.0, inf])
def test_awake_and_asleep_are_the_whole_time(policy: Policy, linger_s: float) -> None:
    account = under(policy, shop(linger_s))
    assert account.awake_s + account.asleep_s == pytest.approx(DAY_S)
    assert account.awake_s >= 40


def test_a_dense_hour_counts_as_often_as_it_says() -> None:
    once = Life(0.0, 800.0, 0.0, [Stretch(0.0, [10.0, 2.0] * 10)], queries=100)
    half = replace(once, stretches=[Stretch(0.0, [10.0, 2.0] * 5, times=2)])
    for timeout_s in (1.0, 5.0):
        hold = INSTANT.after(timeout_s)
        whole, drawn = (accounts(life, (hold,), 920.0)[hold] for life in (once, half))
        assert (whole.wakes, whole.awake_s) == (drawn.wakes, drawn.awake_s)
        assert whole.woken_in == [(0.0, whole.wakes - 1)]


class TestKnocks:
    """Attempts to log in that come to nothing."""

    KNOCKS = (100.0, 1050.0, 30000.0)

    def test_wake_who_authenticates_in_the_compute(self) -> None:
        account = knocked(shop(0.0, self.KNOCKS), 300.0, 300.0, DAY_S)
        assert account.knock_wakes == 2  # At 1050 it was awake.
        assert account.wakes == 3
        used_s = (2000 - 1100 - 10 > 300) and (1110 + 300 - 1000) + (10 + 300) * 2
        assert account.awake_s == pytest.approx(used_s + 300 * 2)
        assert account.awake_s + account.asleep_s == pytest.approx(DAY_S)

    def test_a_query_that_finds_it_awake_by_a_knock_waits_for_nothing(self) -> None:
        account = knocked(shop(0.0, (900.0,)), 300.0, 300.0, DAY_S)
        assert account.wakes == 2 and account.knock_wakes == 1

    def test_who_may_not_enter_does_not_stay_connected(self) -> None:
        account = knocked(of_uses([(0.0, 10.0)], DAY_S, 1), 900.0, 300.0, DAY_S)
        with_a_knock = of_uses([(0.0, 10.0)], DAY_S, 1)
        with_a_knock.knocks = [30_000.0]
        assert knocked(with_a_knock, 900.0, 300.0, DAY_S).awake_s == account.awake_s + 300

    def test_without_knocks_it_is_the_same_as_by_gaps(self) -> None:
        for timeout_s in (5.0, 300.0, 3600.0):
            hold = INSTANT.after(timeout_s)
            by_gaps = accounts(shop(), (hold,), DAY_S)[hold]
            by_moments = knocked(shop(), timeout_s, timeout_s, DAY_S)
            assert by_moments.wakes == by_gaps.wakes
            assert by_moments.sleeps == by_gaps.sleeps
            assert by_moments.awake_s == pytest.approx(by_gaps.awake_s)
