"""How many wait warm: the rule, patterns by the clock, bounds, and why one was missed."""

from __future__ import annotations

import sys
from dataclasses import replace
from heapq import heappop, heappush
from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.values import WARM_MAX
from torpor_autoscaler.core.wakes import RECENT_S, Wakes
from torpor_autoscaler.core.warm import (
    Demand,
    Miss,
    MissReason,
    PoolTerms,
    Steady,
    base_stock,
    choose_warm,
    explain_miss,
    mean_replace_s,
    poisson_cdf,
)

TERMS = PoolTerms(replace_s=5.0)
NOON = 1_767_268_800
"""The first of January 2026, 12:00 UTC."""
HOUR = 3600


def times(wakes: Wakes, begin: int, end: int, at: dict[int, int], terms: PoolTerms = TERMS) -> None:
    """What happens from one second to another: so many wakes in some of them."""
    for second in sorted(second for second in at if begin <= second < end):
        for passed in range(begin, second, 60):
            wakes.advance(passed)
        begin = second
        wakes.add(second, terms.replace_s, at[second])
    for passed in range(begin, end, 60):
        wakes.advance(passed)


def hourly(count: int, hours: int) -> Wakes:
    """So many in the second of each full hour, the last one at NOON."""
    wakes = Wakes()
    at = {NOON - HOUR * ago: count for ago in range(hours)}
    times(wakes, NOON - HOUR * hours - 600, NOON + 1800, at)
    return wakes


def test_the_stock_is_the_least_that_keeps_the_promise() -> None:
    """Half a wake is missing on average: that two others came within a replacement is 1 in 11."""
    assert [base_stock(0.5, probability) for probability in (0.6, 0.9, 0.99, 0.999)] == [1, 2, 4, 5]
    assert base_stock(0.0, 0.999) == 0
    assert base_stock(1000.0, 0.999) == WARM_MAX


@given(st.floats(1e-4, 900.0), st.floats(0.5, 0.9999))
def test_one_less_would_not_do(missing: float, probability: float) -> None:
    stock = base_stock(missing, probability)
    if stock < WARM_MAX:
        assert poisson_cdf(stock - 1, missing) >= probability * (1 - 1e-9)
    assert stock == 1 or poisson_cdf(stock - 2, missing) < probability


@given(st.floats(1e-4, 900.0), st.floats(0.0, 50.0))
def test_more_wakes_never_want_fewer(missing: float, more: float) -> None:
    assert base_stock(missing + more, 0.999) >= base_stock(missing, 0.999)


def test_in_a_quiet_night_the_least_waits() -> None:
    choice = choose_warm(Wakes(), TERMS, NOON)
    assert (choice.size, choice.demand, choice.miss_probability) == (2, Demand.LEAST, 0.0)
    assert choice.decision.line == (
        "2 wait warm for 0.1 CU, by the least: share of wakes that find none 0 over 5s, below 0.001"
    )


def test_a_rise_is_followed_within_seconds_and_a_fall_within_minutes() -> None:
    wakes = Wakes()
    times(wakes, NOON, NOON + 10, {NOON + second: 6 for second in range(10)})
    risen = choose_warm(wakes, TERMS, NOON + 10)
    assert (risen.size, risen.demand) == (14, Demand.RECENT)
    assert risen.missing == pytest.approx(60 / 60 * 5)
    assert choose_warm(wakes, TERMS, NOON + 120).size == 5
    assert choose_warm(wakes, TERMS, NOON + 650).size == 2


def test_what_comes_every_hour_is_awaited_and_no_longer_than_needed() -> None:
    wakes = hourly(40, hours=3)
    sizes = {
        ahead: choose_warm(wakes, TERMS, NOON + HOUR - ahead).size
        for ahead in (300, 70, 64, 1, 0, -59, -60)
    }
    assert sizes == {300: 2, 70: 2, 64: 40, 1: 40, 0: 40, -59: 40, -60: 2}
    before = choose_warm(wakes, TERMS, NOON + HOUR + HOUR - 30)
    assert before.demand is Demand.AT_ONCE


def test_the_decision_names_how_many_came_at_once() -> None:
    choice = choose_warm(hourly(40, hours=3), TERMS, NOON + HOUR - 30)
    assert choice.decision.line == (
        "40 wait warm for 2 CU, by as many came at once at this time before: "
        "wakes within one replacement 40 over 5s, at 40"
    )


def test_what_does_not_come_back_is_expected_less_and_less() -> None:
    wakes = hourly(40, hours=1)
    sizes = []
    for hour in range(1, 20):
        sizes.append(choose_warm(wakes, TERMS, NOON + HOUR * hour - 30).size)
        times(wakes, NOON + HOUR * hour - 30, NOON + HOUR * hour + 1800, {})
    assert sizes[:5] == [40, 32, 26, 21, 17]
    assert sizes[-1] == 2


def test_what_comes_every_day_is_awaited() -> None:
    wakes, day = Wakes(), 24 * HOUR
    at = {NOON + day * number + 7 * HOUR: 30 for number in range(3)}
    times(wakes, NOON, NOON + 3 * day, at)
    assert choose_warm(wakes, TERMS, NOON + 3 * day + 6 * HOUR).size == 2
    times(wakes, NOON + 3 * day + 6 * HOUR, NOON + 3 * day + 7 * HOUR - 60, {})
    assert choose_warm(wakes, TERMS, NOON + 3 * day + 7 * HOUR - 30).size == 30


def test_a_pattern_of_many_that_come_one_by_one_raises_it_by_their_rate() -> None:
    """Two each second from 12:00 to 12:04 each hour, never more than ten within a replacement."""
    wakes = Wakes()
    starts = [NOON + HOUR * number for number in range(4)]
    at = {start + second: 2 for start in starts for second in range(240)}
    times(wakes, NOON - 60, NOON + 3 * HOUR + 1800, at)
    choice = choose_warm(wakes, TERMS, NOON + 4 * HOUR - 30)
    assert (choice.size, choice.demand) == (base_stock(10.0, 0.999), Demand.FORESEEN)
    times(wakes, NOON + 4 * HOUR - 30, NOON + 5 * HOUR - 30, {})
    assert choose_warm(wakes, TERMS, NOON + 5 * HOUR - 30).size == base_stock(5.0, 0.999)


def test_never_more_than_the_upper_bound_and_it_says_so() -> None:
    wakes = Wakes()
    bound = PoolTerms(replace_s=5.0, most=6)
    times(wakes, NOON, NOON + 10, {NOON + second: 6 for second in range(10)}, bound)
    choice = choose_warm(wakes, bound, NOON + 10)
    assert (choice.size, choice.wanted) == (6, 14)
    assert choice.miss_probability == pytest.approx(0.384, abs=0.001)
    assert choice.decision.line == (
        "6 of 14 wanted wait warm for 0.3 CU, by wakes of late: "
        "share of wakes that find none 0.384 over 5s, above 0.001"
    )


@pytest.mark.parametrize("jump_s", [-3 * HOUR, 5 * HOUR, 400 * 24 * HOUR])
def test_a_clock_that_jumps_forgets_what_is_recent_and_no_pattern(jump_s: int) -> None:
    wakes = hourly(40, hours=3)
    now = NOON + 1800
    wakes.add(now, TERMS.replace_s, 300)
    assert choose_warm(wakes, TERMS, now).size > 20
    assert choose_warm(wakes, TERMS, now + jump_s).size == 2
    next_hour = (now + jump_s) // HOUR * HOUR + HOUR
    assert choose_warm(wakes, TERMS, next_hour - 30).size == 40


def test_of_a_minute_that_was_not_seen_whole_nothing_is_learned() -> None:
    """The clock has jumped into it."""
    wakes = Wakes()
    for hour in range(3):
        start = NOON + HOUR * hour
        times(wakes, start + 20, start + 1800, {start + 30: 40})
    assert choose_warm(wakes, TERMS, NOON + 3 * HOUR - 30).size == 2


def test_late_news_counts_where_it_comes_and_does_not_turn_the_clock() -> None:
    wakes = Wakes()
    wakes.add(NOON, 5.0)
    wakes.add(NOON - 1.5, 5.0)
    assert wakes.within(1.0) == 2


def test_what_is_recent_is_counted_over_the_ends_of_its_memory() -> None:
    wakes = Wakes()
    for second in range(3 * RECENT_S + 17):
        wakes.add(NOON + second, 5.0)
        assert wakes.within(5.0) == min(second + 1, 5)
    assert wakes.within(RECENT_S) == RECENT_S
    assert wakes.rate(60.0) == 1.0


@pytest.mark.parametrize(("rate", "replace_s"), [(0.02, 2.0), (0.5, 5.0), (4.0, 5.0)])
def test_the_promise_is_kept_at_no_great_price(rate: float, replace_s: float) -> None:
    """A pool that follows the choice, under wakes that come by chance and uneven replacements."""
    random, terms = Random(11), PoolTerms(replace_s=replace_s)
    wakes, returns, now, decided_at = Wakes(), list[float](), float(NOON), 0.0
    sizes, misses, came = [], 0, 4000
    for _ in range(came):
        while (next_at := now + random.expovariate(rate)) and decided_at + 10 < next_at:
            decided_at = max(decided_at + 10, now)
            sizes.append(choose_warm(wakes, terms, decided_at).size)
            now = decided_at
        now = next_at
        while returns and returns[0] <= now:
            heappop(returns)
        misses += len(returns) >= sizes[-1] and now > NOON + 120
        heappush(returns, now + random.expovariate(1 / replace_s))
        wakes.add(now, replace_s)
    assert misses / came <= 0.0015
    ideal = max(base_stock(rate * replace_s, terms.probability), terms.least)
    assert sum(sizes) / len(sizes) <= max(1.3 * ideal, ideal + 1)


def miss(count: int, terms: PoolTerms) -> Miss:
    """So many came at once, after a choice that did not know."""
    wakes = Wakes()
    choice = choose_warm(wakes, terms, NOON)
    wakes.add(NOON + 1, terms.replace_s, count)
    return explain_miss(wakes, choice)


def test_a_miss_says_why() -> None:
    words = "no member was warm: 7 wakes within 5 s, and 2 waited"
    assert miss(7, TERMS) == Miss(MissReason.BURST, words, 7, 2, 5.0)
    assert miss(2, TERMS).reason is MissReason.SLOW
    words = "no member was warm: 1 wake within 5 s, 2 should have waited; "
    words += "new ones take longer than that, or fail"
    assert miss(1, TERMS) == Miss(MissReason.SLOW, words, 1, 2, 5.0)
    wakes, bound = Wakes(), PoolTerms(replace_s=5.0, most=3)
    wakes.add(NOON, 5.0, 30)
    choice = choose_warm(wakes, bound, NOON)
    words = "no member was warm: 30 wakes within 5 s, 3 waited; 10 were wanted, "
    words += "and the upper bound is 3"
    assert explain_miss(wakes, choice) == Miss(MissReason.BOUND, words, 30, 3, 5.0)


def test_a_miss_is_a_decision_that_names_wakes_and_members() -> None:
    assert miss(7, TERMS).decision.line == (
        "starts cold (burst): no member was warm: 7 wakes within 5 s, and 2 waited: "
        "wakes within one replacement 7 over 5s, above 2"
    )


def steady_sizes(sizes: dict[float, int], until: float) -> list[int]:
    """Of every tenth second, where choices of such sizes were made at such moments."""
    steady, found = Steady(), []
    chosen = choose_warm(Wakes(), TERMS, NOON)
    for now in range(0, int(until), 10):
        size = sizes[max(at for at in sizes if at <= now)]
        found.append(steady.of(replace(chosen, size=size, wanted=size), float(now)).size)
    return found


def test_a_pool_grows_at_once_and_shrinks_a_minute_after_it_was_needed() -> None:
    sizes = steady_sizes({0: 2, 20: 9, 30: 4, 120: 2}, 200)
    assert sizes == [2, 2, *[9] * 6, *[4] * 9, *[2] * 3]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_never_fewer_than_are_wanted_and_never_more_than_were_within_a_minute(
    sizes: list[int],
) -> None:
    found = steady_sizes({10.0 * at: size for at, size in enumerate(sizes)}, 10.0 * len(sizes))
    for at, size in enumerate(found):
        within = sizes[max(0, at - 5) : at + 1]
        assert size == max(within)


def test_what_waits_at_the_beginning_stays_within_the_bound_while_little_is_known() -> None:
    steady, chosen = Steady(), choose_warm(Wakes(), replace(TERMS, most=6), NOON)
    steady.begin(600.0, 8)
    assert steady.of(chosen, 0.0).size == 6
    assert steady.of(chosen, 599.0).demand is Demand.STEADY
    assert steady.of(chosen, 600.0) == chosen


def test_one_slow_replacement_says_little_and_five_say_what_is() -> None:
    assert mean_replace_s(3.0, 900.0) == pytest.approx(4.8)
    known = 3.0
    for _ in range(30):
        known = mean_replace_s(known, 20.0)
    assert known == pytest.approx(20.0, abs=0.5)
    assert mean_replace_s(0.1, 0.0) == 0.1


def test_a_pool_remembers_little() -> None:
    wakes = hourly(40, hours=3)
    inside: list[object] = [wakes._recent]
    for tally in (wakes._hour, wakes._day):
        inside += [tally.pattern._counts, tally.pattern._peaks]
    assert sum(map(sys.getsizeof, inside)) < 6000


def test_where_nothing_is_promised_the_least_waits() -> None:
    wakes = hourly(40, hours=3)
    terms = PoolTerms(replace_s=5.0, probability=0.0)
    assert choose_warm(wakes, terms, NOON + HOUR - 30).demand is Demand.LEAST


def test_terms_reach_up_to_their_bounds() -> None:
    PoolTerms(replace_s=600.0, least=1000, most=1000, ahead_s=600.0, member_cu=0.0)
    PoolTerms(replace_s=0.01, least=0, most=0, ahead_s=0.0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"replace_s": 0.0}, "replace_s 0.0: allowed is up to 600 s, above 0"),
        ({"replace_s": 601.0}, "replace_s 601.0"),
        ({"probability": 1.0}, "probability 1.0: allowed is from 0 on, below 1"),
        ({"probability": -0.1}, "probability -0.1"),
        ({"least": -1}, "least -1, most 100"),
        ({"most": 1001}, "least 2, most 1001"),
        ({"ahead_s": 601.0}, "ahead_s 601.0"),
        ({"least": 3, "most": 2}, "least 3, most 2: allowed is 0 <= least <= most <= 1000"),
        ({"ahead_s": -1.0}, "ahead_s -1.0: allowed is 0 to 600 s"),
        ({"member_cu": float("nan")}, "member_cu nan: allowed is a number from 0 on"),
    ],
)
def test_terms_that_make_no_sense_are_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        PoolTerms(**{"replace_s": 5.0, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("missing", "stock"),
    [(-1.0, 0), (0.0, 0), (1e-6, 1), (0.001, 1), (0.0011, 2), (1.0, 6), (999.9, WARM_MAX)],
)
def test_the_stock_begins_with_the_first_wake(missing: float, stock: int) -> None:
    """One does while less than one wake in a thousand comes right behind another."""
    assert base_stock(missing, 0.999) == stock
    assert base_stock(WARM_MAX, 0.0) == WARM_MAX


def test_just_what_is_promised_is_enough() -> None:
    assert base_stock(1.0, poisson_cdf(0, 1.0)) == 1


def test_how_likely_so_many_wakes_are() -> None:
    assert [poisson_cdf(most, 1.0) for most in (-1, 0, 1, 2)] == pytest.approx(
        [0.0, exp(-1), 2 * exp(-1), 2.5 * exp(-1)]
    )
    assert poisson_cdf(1, 0.5) == pytest.approx(1.5 * exp(-0.5))
    assert [poisson_cdf(most, 0.0) for most in (-1, 0, 3)] == [0.0, 1.0, 1.0]
    assert poisson_cdf(200, 3.3) == pytest.approx(1.0) and poisson_cdf(200, 3.3) <= 1.0


def test_a_size_that_stands_says_so() -> None:
    """More may be wanted than the upper bound lets wait."""
    steady, chosen = Steady(), choose_warm(Wakes(), TERMS, NOON)
    steady.of(replace(chosen, size=6, wanted=9), 0.0)
    kept = steady.of(chosen, 1.0)
    assert (kept.size, kept.wanted, kept.demand) == (6, 6, Demand.STEADY)
    assert steady.of(replace(chosen, wanted=8), 1.0).wanted == 8
    nothing = replace(chosen, size=0, wanted=0)
    assert Steady().of(nothing, 0.0) == nothing


def test_what_a_member_takes_is_a_number() -> None:
    with pytest.raises(ValueError, match="member_cu inf: allowed is a number from 0 on"):
        PoolTerms(replace_s=5.0, member_cu=float("inf"))
