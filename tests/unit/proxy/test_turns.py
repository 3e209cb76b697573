"""How long a turn at a compute lasts, from what changes of places have taken."""

from __future__ import annotations

import pytest

from torpor_proxy.core.turns import Turns

TENURE_S = 0.1


def turns() -> Turns:
    return Turns(shortest_s=0.005, longest_s=1.0, patience_s=30.0)


def change(turns: Turns, at: float, leaving_s: float, coming_s: float) -> None:
    """Session 1 makes way for session 2."""
    turns.leaves(1, at)
    turns.left(1, at + leaving_s)
    turns.comes(2, at + leaving_s)
    turns.has_come(2, at + leaving_s + coming_s)


def test_before_the_first_change_turns_are_as_short_as_they_may_be() -> None:
    assert turns().pause_s == 0.005 and turns().tenure_s(TENURE_S) == TENURE_S


def test_a_turn_lasts_as_long_as_a_change() -> None:
    slow = turns()
    change(slow, 0.0, 0.2, 0.3)
    assert slow.pause_s == pytest.approx(0.5) and slow.tenure_s(TENURE_S) == pytest.approx(0.5)


def test_where_changes_are_cheap_a_tenure_is_as_long_as_was_wished() -> None:
    quick = turns()
    change(quick, 0.0, 0.004, 0.004)
    assert quick.pause_s == pytest.approx(0.008) and quick.tenure_s(TENURE_S) == TENURE_S


def test_nobody_waits_for_ever_because_changes_take_long() -> None:
    stuck = turns()
    change(stuck, 0.0, 10.0, 10.0)
    assert stuck.pause_s == 1.0 and stuck.tenure_s(TENURE_S) == 1.0


def test_a_turn_is_no_longer_than_lets_everybody_have_one_in_time() -> None:
    crowded = turns()
    change(crowded, 0.0, 0.2, 0.3)
    crowded.rounds = 40.0
    assert crowded.tenure_s(TENURE_S) == pytest.approx(30.0 / 40 - 0.5)
    crowded.rounds = 400.0
    assert crowded.tenure_s(TENURE_S) == TENURE_S and crowded.pause_s == 0.005


def test_one_slow_change_among_many_counts_little_and_soon_not_at_all() -> None:
    mean = turns()
    for number in range(50):
        change(mean, float(number), 0.01, 0.01)
    change(mean, 60.0, 1.0, 0.01)
    assert 0.02 < mean.pause_s < 0.2
    for number in range(50):
        change(mean, 100.0 + number, 0.01, 0.01)
    assert mean.pause_s == pytest.approx(0.02, rel=0.1)


def test_who_stays_after_all_or_gives_up_is_no_change() -> None:
    calm = turns()
    calm.leaves(1, 0.0)
    calm.stays(1)
    calm.left(1, 9.0)
    calm.comes(2, 0.0)
    calm.left(2, 9.0)
    calm.has_come(2, 10.0)
    assert calm.change_s == 0.0


def test_with_another_compute_begins_another_count_of_who_is_on_the_way() -> None:
    moved = turns()
    change(moved, 0.0, 0.01, 0.01)
    moved.leaves(1, 1.0)
    moved.comes(2, 1.0)
    moved.begin()
    moved.left(1, 50.0)
    moved.has_come(2, 50.0)
    assert moved.change_s == pytest.approx(0.02)
