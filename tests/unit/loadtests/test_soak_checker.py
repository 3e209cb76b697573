"""The soak's judge: it must find what it is there for, and excuse nothing else."""

from __future__ import annotations

import pytest

from soaking import checker
from soaking.checker import Event, Kill, Life, Sent

KILL = Kill("postgres", at=10.0, over_at=10.5)


def event(since: float, at: float, sqlstate: str = "57P01", nth: int = 1) -> Event:
    return Event("client", since, at, sqlstate, "words", nth=nth)


@pytest.mark.parametrize(
    ("seen", "is_explained"),
    [
        (event(9.0, 10.1), True),
        (event(9.0, 15.0), True),
        (event(10.4, 10.6), True),
        (event(10.6, 10.7), False),
        (event(8.0, 9.9), False),
        (event(9.0, 10.1, "XX000"), False),
        (event(9.0, 10.2, nth=2), True),
        (event(9.0, 10.3, nth=3), False),
    ],
)
def test_an_error_needs_a_kill_since_the_last_good_word(seen: Event, is_explained: bool) -> None:
    assert (checker.unexplained([seen], [KILL]) == []) is is_explained


def test_commits_that_are_lost_or_torn() -> None:
    found = {("a", 1): 2, ("a", 2): 1, ("b", 1): 2}
    assert checker.commits({"a": [1, 2], "b": [1]}, {**found, ("a", 2): 2}, 2) == []
    assert len(checker.commits({"a": [1, 2, 3], "b": [1]}, found, 2)) == 2


SENT = {number: Sent(number, number + 0.1) for number in range(1, 6)}


def problems(*heard: int, ended_at: float | None = None, kills: list[Kill] | None = None) -> int:
    life = Life("listener", 1.5, [("s", number) for number in heard], ended_at)
    return len(checker.notifications([life], {"s": SENT}, kills or []).problems)


def test_all_that_was_sent_since_it_listens_is_heard_once_and_in_order() -> None:
    assert problems(2, 3, 4, 5) == 0
    assert problems(1, 2, 3, 4, 5) == 0
    assert problems(2, 3, 5) == 1
    assert problems(2, 3, 3, 4, 5) == 1
    assert problems(2, 4, 3, 5) == 1
    assert problems() == 4


def test_a_session_that_ended_may_miss_what_came_last_only() -> None:
    assert problems(2, 3, ended_at=9.0) == 0
    assert problems(2, 4, ended_at=9.0) == 1


def test_a_kill_may_swallow_what_is_in_flight() -> None:
    kill = Kill("agent", 4.05, 4.2)
    assert problems(2, 3, 5, kills=[kill]) == 0
    late = Kill("agent", 9.0, 9.1)
    assert problems(2, 3, 5, kills=[late]) == 1


def test_what_was_not_acknowledged_may_be_heard_or_not() -> None:
    sent = {"s": {**SENT, 3: Sent(3.0, None)}}
    for numbers in ((2, 3, 4, 5), (2, 4, 5)):
        life = Life("listener", 1.5, [("s", number) for number in numbers])
        assert checker.notifications([life], sent, []).problems == ()
