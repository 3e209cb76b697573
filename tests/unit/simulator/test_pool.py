from __future__ import annotations

from random import Random

import pytest

from torpor_simulator.pool import TERMS, pooled, together
from torpor_simulator.tally import Moments, no_moments

HOURS = 4


def moments(seconds: int = HOURS * 3600) -> Moments:
    return no_moments(seconds)


def test_a_quiet_pool_costs_its_least_member() -> None:
    found = pooled(moments(), Random(1))
    assert (found.wakes, found.cold, found.size_max) == (0, 0, TERMS.least)
    assert found.cu_s == pytest.approx(HOURS * 3600 * TERMS.least * TERMS.member_cu)


def test_independent_wakes_find_a_member() -> None:
    steady = moments()
    steady.by_hour = [3600 * 5] * HOURS
    found = pooled(steady, Random(1))
    assert abs(found.wakes - 4 * 3600 * 5) < 2000
    # Those of the first seconds are not foreseen.
    assert found.cold < found.wakes / 200


def test_a_herd_on_the_hour_is_cold_until_it_is_known() -> None:
    herd = moments()
    for hour in range(HOURS):
        herd.by_second[hour * 3600] = 50
    found = pooled(herd, Random(1))
    assert 50 < found.cold < 4 * 50
    assert found.size_max >= 50


def test_several_are_summed() -> None:
    one = pooled(moments(60), Random(1))
    both = together([one, one])
    assert both.cu_s == 2 * one.cu_s and both.size_max == one.size_max
