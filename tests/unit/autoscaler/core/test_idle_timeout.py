"""``idleTimeout: auto``: what is learned from gaps, and the bound that holds whatever comes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor_autoscaler.core.idle_timeout import (
    EDGES_S,
    MEANS_S,
    SHARE,
    SLACK_WAKES,
    Basis,
    Choice,
    Gaps,
    Terms,
    choose_timeout,
)

TERMS = Terms(waiting_price=60.0, wake_wait_s=0.25, wake_cu_s=1.0)
WAKE_S = 16.0
"""What a wake costs under these terms: a second of its own, and a quarter of a second at 60."""

gap_lengths = st.floats(min_value=1.0, max_value=1e6)


def cost_s(gap_s: float, timeout_s: float, wake_s: float = WAKE_S) -> float:
    return gap_s if gap_s <= timeout_s else timeout_s + wake_s


def live(gaps_s: Iterable[float], gaps: Gaps, terms: Terms = TERMS) -> list[Choice]:
    """Through these gaps, each under the time-out that is chosen at its begin."""
    choices = []
    for gap_s in gaps_s:
        choice = choose_timeout(gaps, terms)
        gaps.add(gap_s, choice.timeout_s, terms)
        choices.append(choice)
    return choices


def after(*gaps_s: float, terms: Terms = TERMS) -> Choice:
    gaps = Gaps()
    live(gaps_s, gaps, terms)
    return choose_timeout(gaps, terms)


def test_without_gaps_it_waits_for_as_long_as_a_wake_costs() -> None:
    choice = after()
    assert (choice.timeout_s, choice.basis, choice.known) == (WAKE_S, Basis.BREAK_EVEN, 0.0)
    assert choice.decision.line == (
        "sleeps after 16 s, by break-even: cost of a wake (no gap known) 16 s awake, at 16 s awake"
    )


def test_it_sleeps_at_once_where_the_next_query_is_likely_to_be_far_away() -> None:
    """Two gaps weigh as much as what is imagined; the third decides."""
    assert after(3600.0, 3600.0).timeout_s == WAKE_S
    choice = after(3600.0, 3600.0, 3600.0, 3600.0)
    assert (choice.timeout_s, choice.basis) == (1.0, Basis.LEARNED)
    assert choice.cost_s == pytest.approx(1.0 + WAKE_S)
    assert choice.break_even_cost_s == pytest.approx(2 * WAKE_S)
    assert choice.decision.line == (
        "sleeps after 1 s, by its own gaps: expected cost of an idle gap (4 known) "
        "17 s awake, below 32 s awake"
    )


def test_it_waits_where_the_next_query_is_likely_to_be_near() -> None:
    """Beyond the break-even even: gaps of 20 s are cheaper slept through, some of 17 s are not."""
    mixed = [3.0] * 14 + [17.0]
    assert after(*mixed * 6).timeout_s > 17.0
    assert after(*[20.0] * 20).timeout_s == 1.0


def test_among_gaps_of_two_kinds_it_waits_for_the_short_ones_only() -> None:
    choice = after(*[3.0, 3.0, 600.0] * 20)
    assert 3.0 < choice.timeout_s <= 4.0


def test_where_a_wake_is_dear_it_waits_longer() -> None:
    """The same gaps: a held client waits for 40 ms on one machine, for 1.6 s without a pool."""
    gaps = Gaps()
    live([20.0] * 20, gaps)
    quick = choose_timeout(gaps, Terms(wake_wait_s=0.04, wake_cu_s=0.2))
    cold = choose_timeout(gaps, Terms(wake_wait_s=1.6))
    assert quick.break_even_s == pytest.approx(2.6)
    assert cold.break_even_s == 97.0
    assert quick.timeout_s == 1.0
    assert cold.timeout_s == 97.0


def test_a_larger_database_sleeps_sooner() -> None:
    assert after(terms=Terms(cu=4.0)).timeout_s == 4.0


def test_bounds_hold_and_hold_more_than_anything_learned() -> None:
    narrow = Terms(timeout_s_min=5.0, timeout_s_max=10.0)
    assert after(terms=narrow).timeout_s == 10.0
    assert after(*[3600.0] * 9, terms=narrow).timeout_s == 5.0
    free = Terms(waiting_price=0.0, wake_cu_s=0.0)
    assert after(terms=free).timeout_s == after(*[3.0] * 9, terms=free).timeout_s == 1.0


def test_a_database_that_has_changed_is_known_again() -> None:
    gaps = Gaps()
    live([3600.0] * 500, gaps)
    live([8.0] * 200, gaps)
    assert 8.0 < choose_timeout(gaps, TERMS).timeout_s <= WAKE_S


def test_gaps_that_mislead_are_trusted_less_and_trust_comes_back() -> None:
    """Each gap ends right after the time-out: the worst that an enemy can do."""
    gaps = Gaps()
    live([5.0] * 50, gaps)
    for _ in range(200):
        gaps.add((timeout_s := choose_timeout(gaps, TERMS).timeout_s) * 1.001, timeout_s, TERMS)
    assert gaps.debt_s <= SLACK_WAKES * WAKE_S
    live([3600.0] * 300, gaps)
    assert choose_timeout(gaps, TERMS).timeout_s == 1.0


def test_where_trust_is_spent_it_says_so() -> None:
    """Time-outs that others have set were far too long: nothing is left to try."""
    gaps = Gaps()
    for _ in range(4):
        gaps.add(3000.0, 2999.0, TERMS)
    choice = choose_timeout(gaps, TERMS)
    assert (choice.timeout_s, choice.basis) == (WAKE_S, Basis.GUARDED)


@settings(max_examples=60, deadline=None)
@given(st.lists(gap_lengths, min_size=1, max_size=120), st.integers(0, 100))
def test_over_any_stretch_it_costs_twice_the_least_and_the_stated_slack(
    gaps_s: list[float], start: int
) -> None:
    choices = live(gaps_s, Gaps())
    stretch = list(zip(gaps_s, choices, strict=True))[start:]
    paid = sum(cost_s(gap_s, choice.timeout_s) for gap_s, choice in stretch)
    least = sum(min(gap_s, WAKE_S) for gap_s, _ in stretch)
    assert paid <= ((2 + SHARE) * least + 2 * SLACK_WAKES * WAKE_S) * (1 + 1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_the_bound_holds_against_an_enemy_who_knows_the_time_out(seed: int) -> None:
    random, gaps, paid, least = Random(seed), Gaps(), 0.0, 0.0
    for _ in range(300):
        timeout_s = choose_timeout(gaps, TERMS).timeout_s
        gap_s = timeout_s * random.choice((1.000001, 0.5, 30.0, 1.000001)) + 0.001
        gaps.add(gap_s, timeout_s, TERMS)
        paid += cost_s(gap_s, timeout_s)
        least += min(gap_s, WAKE_S)
    assert paid <= ((2 + SHARE) * least + SLACK_WAKES * WAKE_S) * (1 + 1e-9)


@pytest.mark.parametrize("mean_s", [3.0, 16.0, 60.0, 1800.0])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.5])
def test_on_what_is_drawn_alike_it_costs_little_more_than_the_best_fixed_time_out(
    mean_s: float, sigma: float
) -> None:
    random, gaps = Random(7), Gaps()
    gaps_s = [1.0 + mean_s * random.lognormvariate(0.0, sigma) for _ in range(800)]
    choices = live(gaps_s, gaps)
    paid = sum(cost_s(gap_s, c.timeout_s) for gap_s, c in zip(gaps_s, choices, strict=True))
    fixed = [1.0, WAKE_S, *(edge for edge in EDGES_S if edge > 1.0)]
    best = min(sum(cost_s(gap_s, timeout_s) for gap_s in gaps_s) for timeout_s in fixed)
    assert paid <= 1.08 * best


@given(st.lists(st.sampled_from(MEANS_S[4:]), max_size=12))
def test_a_choice_is_the_best_of_all_time_outs_under_the_prior(gaps_s: list[float]) -> None:
    """Recomputed the slow way, for gaps that nothing has faded much."""
    gaps, terms = Gaps(), Terms(cu=2.0)
    wake_s = terms.wake_s
    for gap_s in gaps_s:
        gaps.add(gap_s, None, terms)
    # One that would come now counts 1, and the last has come already.
    weights = [2 ** (-age / 64) for age in range(len(gaps_s), 0, -1)]

    def in_all(timeout_s: float) -> float:
        weighed = zip(weights, gaps_s, strict=True)
        return sum(w * cost_s(g, timeout_s, wake_s) for w, g in weighed) + 2 * abs(
            timeout_s - wake_s
        )

    chosen = choose_timeout(gaps, terms).timeout_s
    best = min(map(in_all, (1.0, *EDGES_S[5:-1], wake_s, 3600.0)))
    assert in_all(chosen) <= best * (1 + 1e-5)


def test_what_can_be_no_gap_teaches_nothing() -> None:
    gaps = Gaps()
    for gap_s in (float("nan"), -5.0, 0.0, 0.2, 0.999):
        gaps.add(gap_s, 1.0, TERMS)
    assert (gaps.known, gaps.debt_s) == (0.0, 0.0)
    gaps.add(float("inf"), 1.0, TERMS)
    assert gaps.counts[-1] == gaps.known == pytest.approx(1.0, abs=0.02)


def test_a_database_remembers_little() -> None:
    """A million of them fit in half a gigabyte; and however many gaps there were, they are few."""
    gaps = Gaps()
    for number in range(5000):
        gaps.add(60.0, None, TERMS)
        assert number < 1000 or 85 < gaps.known < 100
    assert all(0 <= count < 100 for count in gaps.counts)
    assert sys.getsizeof(gaps) + sys.getsizeof(gaps._counts) < 400


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"waiting_price": -1.0}, "numbers from 0 on"),
        ({"wake_wait_s": float("nan")}, "numbers from 0 on"),
        ({"cu": 0.0}, "cu 0.0 is not a number above 0"),
        ({"timeout_s_min": 0.1}, "from 0.1 s to 3600.0 s: allowed is 0.25 s"),
        ({"timeout_s_min": 9.0, "timeout_s_max": 8.0}, "from 9.0 s to 8.0 s"),
    ],
)
def test_terms_that_make_no_sense_are_refused(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Terms(**wrong)


def test_terms_reach_up_to_their_bounds() -> None:
    widest = Terms(timeout_s_min=EDGES_S[0], timeout_s_max=EDGES_S[-1])
    assert (widest.timeout_s_min, widest.timeout_s_max) == (0.25, 4096.0)
    fixed = Terms(timeout_s_min=5.0, timeout_s_max=5.0)
    assert after(*[3600.0] * 9, terms=fixed).timeout_s == 5.0


def test_the_costs_of_a_choice_are_those_of_its_gaps() -> None:
    """Of a bucket that begins with the break-even: each costs that and a wake, or its length."""
    gaps = Gaps()
    for _ in range(3):
        gaps.add(17.0, None, TERMS)
    choice = choose_timeout(gaps, TERMS)
    assert choice.break_even_cost_s == pytest.approx(2 * WAKE_S)
    assert choice.timeout_s == EDGES_S[13]
    assert choice.cost_s == pytest.approx(MEANS_S[12])
    assert choice.known == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("gap_s", "timeout_s", "debt_s"),
    [
        (8.0, 8.0, 8.0 - 2.1 * 8.0),
        (8.5, 8.0, 8.0 + WAKE_S - 2.1 * 8.5),
        (WAKE_S, WAKE_S, WAKE_S - 2.1 * WAKE_S),
        (40.0, 40.0, 40.0 - 2.1 * WAKE_S),
        (41.0, 40.0, 40.0 + WAKE_S - 2.1 * WAKE_S),
        (41.0, None, 0.0),
    ],
)
def test_a_debt_is_what_was_paid_over_twice_the_least_and_a_tenth(
    gap_s: float, timeout_s: float | None, debt_s: float
) -> None:
    gaps = Gaps()
    gaps.add(gap_s, timeout_s, TERMS)
    assert gaps.debt_s == pytest.approx(debt_s)
    gaps.add(gap_s, timeout_s, TERMS)
    assert gaps.debt_s == pytest.approx(2 * debt_s)


def test_no_more_is_saved_than_may_be_lost() -> None:
    gaps = Gaps()
    gaps.add_each([8.0] * 100, 8.0, TERMS)
    assert gaps.debt_s == -SLACK_WAKES * WAKE_S


def test_in_one_go_the_same_is_learned_as_one_by_one() -> None:
    """What can be no gap is passed over, not the end."""
    at_once, one_by_one = Gaps(), Gaps()
    gaps_s = [1.0, 0.5, 3.0, float("nan"), 90.0]
    at_once.add_each(gaps_s, 16.0, TERMS)
    for gap_s in gaps_s:
        one_by_one.add(gap_s, 16.0, TERMS)
    assert (at_once.counts, at_once.debt_s) == (one_by_one.counts, one_by_one.debt_s)
    assert at_once.known == pytest.approx(3.0, abs=0.1)


def test_what_was_told_before_is_remembered() -> None:
    """The first and the last bucket, and gaps that have faded to parts."""
    last = len(EDGES_S) - 1
    told = Gaps.remembered({0: 0.5, 3: 1024.0, last: 2.0}, -7.5)
    assert {bucket: count for bucket, count in enumerate(told.counts) if count} == {
        0: 0.5,
        3: 1024.0,
        last: 2.0,
    }
    assert (told.known, told.debt_s) == (1026.5, -7.5)
    again = Gaps.remembered(dict(enumerate(told.counts)), told.debt_s)
    assert (again.counts, again.debt_s) == (told.counts, told.debt_s)


@pytest.mark.parametrize(
    ("bucket", "count"),
    [(-1, 1.0), (len(EDGES_S), 1.0), (3, -0.1), (3, 1025.0), (3, float("nan"))],
)
@pytest.mark.parametrize("debt_s", [float("nan"), float("inf"), float("-inf")])
def test_what_can_not_be_is_not_remembered(bucket: int, count: float, debt_s: float) -> None:
    told = Gaps.remembered({bucket: count}, debt_s)
    assert (told.known, told.debt_s) == (0.0, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"waiting_price": float("inf")},
        {"cu": float("inf")},
        {"timeout_s_max": 4096.1},
        {"timeout_s_min": 0.249},
    ],
)
def test_terms_beyond_their_bounds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Terms(**wrong)


def test_the_refusal_says_what_is_allowed() -> None:
    with pytest.raises(ValueError) as refused:
        Terms(timeout_s_min=9.0, timeout_s_max=8.0)
    assert str(refused.value) == (
        "a time-out from 9.0 s to 8.0 s: allowed is 0.25 s <= minimum <= maximum <= 4096.0 s"
    )
