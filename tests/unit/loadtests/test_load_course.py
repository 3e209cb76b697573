"""A course says when a client asks, and nothing but its seed changes that."""

from __future__ import annotations

from random import Random

import pytest

from load.course import Phase, length_s, phase_at, rate_at, repeated, stretched, uses

RAMP = (Phase("calm", 10.0), Phase("ramp", 10.0, rate=0.0, rate_end=20.0), Phase("calm", 10.0))
VOLLEYS = (Phase("all", 4.0, volley_s=0.5), Phase("none", 6.0))


def test_the_same_seed_asks_at_the_same_times() -> None:
    assert uses(RAMP, Random(7)) == uses(RAMP, Random(7)) != uses(RAMP, Random(8))


def test_a_client_asks_as_often_as_its_rate_says_and_in_order() -> None:
    found = uses(RAMP, Random(1))
    assert found == sorted(found)
    assert all(10.0 <= at <= 20.0 for at in found)
    assert 70 <= len(found) <= 130  # 100 by the rate
    late = sum(at > 15.0 for at in found)
    assert late > 2 * (len(found) - late)


def test_in_a_volley_everyone_asks_once_at_its_beginning() -> None:
    twice = uses(VOLLEYS * 2, Random(1))
    assert len(twice) == 2
    assert 0.0 <= twice[0] <= 0.5 and 10.0 <= twice[1] <= 10.5


def test_a_day_may_be_ahead_and_goes_round() -> None:
    ahead = uses(RAMP, Random(1), shift_s=15.0)
    assert ahead and all(at <= 5.0 or at >= 25.0 for at in ahead)


def test_a_rate_changes_evenly() -> None:
    assert [rate_at(RAMP, second) for second in (5.0, 10.0, 15.0, 25.0, 99.0)] == [
        *(0.0, 0.0, pytest.approx(10.0), 0.0, 0.0)
    ]


def test_longer_is_more_often_or_slower() -> None:
    assert length_s(repeated(VOLLEYS, 25.0)) == 30.0
    assert length_s(repeated(VOLLEYS, 1.0)) == 10.0
    assert length_s(stretched(RAMP, 60.0)) == pytest.approx(60.0)
    assert [phase_at(stretched(RAMP, 60.0), at) for at in (19.0, 21.0, 61.0)] == [
        *("calm", "ramp", "")
    ]
