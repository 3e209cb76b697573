from __future__ import annotations

from math import exp
from random import Random
from statistics import mean
from typing import Any

import pytest

from torpor_simulator.arrivals import Arrivals, quantile
from torpor_simulator.life import Life
from unit.simulator.kinds import trace

DAY_S = 86400.0


def lives(number: int, *, days: int = 1, **kind: Any) -> list[Life]:
    arrivals = Arrivals(trace(days=days, **kind))
    return [arrivals.life(Random(seed)) for seed in range(number)]


def whole(life: Life) -> float:
    gaps_s = sum(stretch.idle_s for stretch in life.stretches)
    return life.lead_s + life.busy_s + life.tail_s + gaps_s


def even(visits: float) -> list[list[float]]:
    return [[0.0, visits], [1.0, visits]]


@pytest.mark.parametrize("visits", [0.3, 24.0, 1000.0, 3000.0, 30_000.0, 1e6])
@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_a_life_is_the_whole_time(visits: float, cv: float) -> None:
    for life in lives(5, visits_per_day=even(visits), cv=cv):
        assert whole(life) == pytest.approx(DAY_S)
        assert all(gap > 0.99 for stretch in life.stretches for gap in stretch.gaps)
        assert life.lead_s >= 0 and life.tail_s >= 0


def test_as_many_visits_come_as_the_kind_says() -> None:
    for visits in (24.0, 400.0, 5000.0):
        found = lives(40, visits_per_day=even(visits), queries_per_visit=1)
        assert mean(life.queries for life in found) == pytest.approx(visits, rel=0.1)


def test_the_same_die_gives_the_same_life() -> None:
    kind: dict[str, Any] = {"visits_per_day": [[0, 1], [1, 1e5]], "knocks_per_day": 10}
    assert lives(5, **kind) == lives(5, **kind)


def test_drawn_in_part_or_one_by_one_gaps_are_as_many_and_as_long() -> None:
    """Just below the border every visit is made, just above it only gaps are."""
    sums = []
    for visits in (1439.0, 1441.0):
        gaps = [
            gap
            for life in lives(20, visits_per_day=even(visits), visit_s=0.3)
            for stretch in life.stretches
            for gap in stretch.gaps * stretch.times
        ]
        sums.append((len(gaps), sum(gaps), len([gap for gap in gaps if gap > 120])))
    one_by_one, in_part = sums
    assert in_part == pytest.approx(one_by_one, rel=0.02)


def test_no_gap_is_lost_at_an_hours_end() -> None:
    found = lives(40, visits_per_day=even(2000.0), visit_s=0.3)
    gaps = sum(len(stretch.gaps) for life in found for stretch in life.stretches)
    assert gaps == pytest.approx(40 * 2000 * exp(-1.3 / 43.2), rel=0.008)


def test_of_an_hour_with_thousands_of_gaps_a_part_stands_for_all() -> None:
    (life,) = lives(1, visits_per_day=even(86400.0), visit_s=0.01)
    assert {stretch.times > 1 for stretch in life.stretches} == {True}
    longer = sum(len(stretch.gaps) * stretch.times for stretch in life.stretches)
    assert longer == pytest.approx(86400 * 0.364, rel=0.1)  # exp(-1.01) of exponential gaps


def test_nobody_comes_at_night_where_the_hours_say_so() -> None:
    office = [0.0] * 9 + [1.0] * 8 + [0.0] * 7
    for visits in (100.0, 20_000.0):
        for life in lives(10, visits_per_day=even(visits), hours=office):
            assert life.lead_s >= 9 * 3600
            assert life.tail_s >= 7 * 3600 - 120  # A last gap that stands for some more.


def test_weekends_are_quiet_by_their_share() -> None:
    def ends(life: Life) -> list[float]:
        return [end for stretch in life.stretches for end in stretch.ends or []]

    found = lives(20, days=7, visits_per_day=even(100.0), weekend=0.1)
    moments = [end for life in found for end in ends(life)]
    at_weekend = len([at for at in moments if at >= 5 * DAY_S]) / len(moments)
    assert at_weekend == pytest.approx(0.2 / 5.2, abs=0.01)


def test_periods_begin_with_the_full_hour() -> None:
    (life,) = lives(1, periods=[[1.0, 900.0]], jitter_s=1.0, visit_s=0.5)
    ends = life.stretches[0].ends
    assert ends is not None and len(ends) == 95 and life.lead_s < 1
    assert all(end % 900 < 1 for end in ends)


def test_bursts_are_visits_shortly_after_each_other() -> None:
    found = lives(50, visits_per_day=even(400.0), visits_per_burst=100, think_s=2.0)
    gaps = [gap for life in found for stretch in life.stretches for gap in stretch.gaps]
    assert mean(life.queries for life in found) / 8 == pytest.approx(400, rel=0.3)
    assert len([gap for gap in gaps if gap > 600]) < len(gaps) / 30


def test_strangers_knock_by_chance() -> None:
    found = lives(50, visits_per_day=even(1.0), knocks_per_day=144)
    assert mean(len(life.knocks) for life in found) == pytest.approx(144, rel=0.05)


def test_databases_are_spread_over_the_quantiles() -> None:
    """Those of the Azure Functions: 45 % at most one an hour, 81 % at most one a minute."""
    points = [(0.0, 0.1), (0.45, 24.0), (0.81, 1440.0), (1.0, 1e7)]
    found = [quantile(points, (step + 0.5) / 1000) for step in range(1000)]
    assert found == sorted(found)
    assert len([visits for visits in found if visits <= 24]) == pytest.approx(450, abs=1)
    assert len([visits for visits in found if visits <= 1440]) == pytest.approx(810, abs=1)
    assert found[0] == pytest.approx(0.1, rel=0.05) and found[-1] == pytest.approx(1e7, rel=0.05)
