"""When databases wake: what is recent, to the second, and what hours and days are learned by."""

from __future__ import annotations

import pytest

from torpor_autoscaler.core.wakes import (
    BACKWARDS_S_MAX,
    RECENT_S,
    Foreseen,
    Pattern,
    Wakes,
)

NOON = 1_767_268_800
"""The first of January 2026, 12:00 UTC."""
HOUR = 3600


def woken(*seconds: float, count: int = 1) -> Wakes:
    """So many in each of these seconds from NOON on."""
    wakes = Wakes()
    for second in seconds:
        wakes.add(NOON + second, 5.0, count)
    return wakes


def passed(wakes: Wakes, until: int, begin: int = 0) -> Wakes:
    """Time went by, a minute at a time."""
    for second in range(begin, until, 60):
        wakes.advance(NOON + second)
    wakes.advance(NOON + until)
    return wakes


def test_before_anything_was_heard_of_nothing_is_known() -> None:
    wakes = Wakes()
    assert (wakes.within(60.0), wakes.rate(60.0), wakes.foresee(60.0)) == (0, 0.0, Foreseen())


def test_the_latest_seconds_are_counted_whole() -> None:
    wakes = woken(0.0, 1.0, 2.9)
    within = {seconds: wakes.within(seconds) for seconds in (0.0, 1.0, 1.1, 2.0, 2.1, 3.0)}
    assert within == {0.0: 1, 1.0: 1, 1.1: 2, 2.0: 2, 2.1: 3, 3.0: 3}
    assert wakes.rate(2.0) == 1.0
    wakes.add(NOON + 2.5, 5.0, 4)
    assert (wakes.within(1.0), wakes.within(2.0)) == (5, 6)


@pytest.mark.parametrize("begin", [0, 1, RECENT_S - 1])
def test_a_wake_counts_for_ten_minutes(begin: int) -> None:
    """Wherever in its memory it is."""
    wakes = passed(woken(begin, count=7), begin + RECENT_S - 1, begin)
    assert wakes.within(RECENT_S) == wakes.within(10 * RECENT_S) == 7
    assert wakes.within(RECENT_S - 1) == 0
    wakes.advance(NOON + begin + RECENT_S)
    assert wakes.within(RECENT_S) == 0


def test_seconds_that_were_passed_over_count_as_quiet() -> None:
    wakes = woken(0.0, float(RECENT_S - 1))
    assert wakes.within(RECENT_S) == 2
    assert wakes.within(RECENT_S - 1) == 1


def test_news_may_come_a_little_late_and_a_leap_is_a_clocks() -> None:
    late = woken(10.0)
    assert late.advance(NOON + 10.0 - BACKWARDS_S_MAX) == NOON + 10
    assert late.within(RECENT_S) == 1
    back, ahead = woken(10.0), woken(10.0)
    assert back.advance(NOON + 9.0 - BACKWARDS_S_MAX) == NOON + 9 - BACKWARDS_S_MAX
    assert ahead.advance(NOON + 10.0 + RECENT_S) == NOON + 10 + RECENT_S
    for leapt in (back, ahead):
        assert leapt.within(RECENT_S) == 0
        assert not any(leapt.patterns[0].learned())


def test_a_minute_is_learned_when_it_is_over() -> None:
    """Six in its last second, three of them within one replacement of the three before."""
    wakes = passed(Wakes(), 120)
    wakes.add(NOON + 175.0, 5.0, 3)
    wakes.add(NOON + 179.0, 5.0, 3)
    hour, _ = wakes.patterns
    assert hour.learned()[2] is None
    wakes.advance(NOON + 180.0)
    assert hour.learned()[1:4] == [(0.0, 0.0), (6.0, 6.0), None]
    assert hour.foresee(NOON + HOUR + 120, NOON + HOUR + 120) == Foreseen(6 / 60, 6.0)


def test_the_minute_in_which_watching_begins_is_not_learned() -> None:
    wakes = passed(woken(1.0), 120)
    hour, day = wakes.patterns
    known = [number for number, row in enumerate(hour.learned()) if row is not None]
    assert known == [1]
    assert not any(day.learned())


def test_a_slot_of_the_day_is_learned_by_five_minutes() -> None:
    wakes = passed(Wakes(), 300)
    for second in range(300, 600, 10):
        wakes.add(NOON + second, 5.0)
    wakes.advance(NOON + 600.0)
    hour, day = wakes.patterns
    assert (len(hour.learned()), len(day.learned())) == (60, 288)
    assert day.learned()[144:147] == [None, (30.0, 1.0), None]
    assert hour.learned()[5] == (6.0, 1.0)


def test_what_comes_again_counts_half_and_a_peak_fades_by_a_fifth() -> None:
    pattern = Pattern(HOUR, 60)
    pattern.learn(NOON, 60, 10)
    assert pattern.learned()[0] == (60.0, 10.0)
    pattern.learn(NOON + HOUR, 0, 0)
    assert pattern.learned()[0] == (30.0, 8.0)
    pattern.learn(NOON + 2 * HOUR + 59, 40, 9)
    assert pattern.learned()[0] == (35.0, 9.0)
    assert pattern.learned()[1] is None


def test_a_stretch_foresees_the_busiest_of_the_buckets_that_it_touches() -> None:
    pattern = Pattern(HOUR, 60)
    pattern.learn(NOON + 60, 120, 3)
    pattern.learn(NOON + 120, 60, 9)
    assert pattern.foresee(NOON, NOON + 59) == Foreseen()
    assert pattern.foresee(NOON, NOON + 60) == Foreseen(2.0, 3.0)
    assert pattern.foresee(NOON + 119, NOON + 120) == Foreseen(2.0, 9.0)
    assert pattern.foresee(NOON + 120, NOON + 170) == Foreseen(1.0, 9.0)
    assert pattern.foresee(NOON + 180, NOON + HOUR) == Foreseen()
    assert pattern.foresee(NOON + 180, NOON + HOUR + 60) == Foreseen(2.0, 3.0)


def test_a_former_life_teaches_what_has_not_been_learned_since() -> None:
    former, pattern = Pattern(HOUR, 60), Pattern(HOUR, 60)
    former.learn(NOON, 60, 10)
    former.learn(NOON + 60, 30, 5)
    pattern.learn(NOON, 6, 1)
    pattern.recall(former.learned())
    assert pattern.learned()[:3] == [(6.0, 1.0), (30.0, 5.0), None]
    pattern.learn(NOON + 60, 0, 0)
    assert pattern.learned()[1] == (15.0, 4.0)


def test_of_hour_and_day_the_busier_one_is_foreseen() -> None:
    wakes = Wakes()
    hour, day = wakes.patterns
    wakes.advance(NOON)
    hour.learn(NOON + 60, 60, 2)
    day.learn(NOON, 30, 7)
    assert wakes.foresee(0.0) == Foreseen(0.1, 7.0)
    assert wakes.foresee(59.0) == Foreseen(0.1, 7.0)
    assert wakes.foresee(59.5) == Foreseen(1.0, 7.0)
