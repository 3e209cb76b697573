"""How often a Postgres that dies is started again."""

from __future__ import annotations

import pytest

from torpor_compute.core.restarts import RESTARTS_MAX, WINDOW_SECONDS, may_restart


@pytest.mark.parametrize(
    ("lost_at_s", "now_s", "may"),
    [
        ([0.0], 0.0, True),
        ([0.0, 1.0, 2.0], 2.0, True),
        ([0.0, 1.0, 2.0, 3.0], 3.0, False),
        ([0.0, 1.0, 2.0, 61.0], 61.0, True),
        ([0.0, 30.0, 59.0, 59.9], 59.9, False),
    ],
)
def test_a_few_times_in_a_while(lost_at_s: list[float], now_s: float, may: bool) -> None:
    assert may_restart(lost_at_s, now_s) is may


def test_one_that_dies_now_and_then_is_always_started_again() -> None:
    lost: list[float] = []
    for number in range(50):
        now_s = number * (WINDOW_SECONDS / RESTARTS_MAX + 1)
        lost.append(now_s)
        assert may_restart(lost, now_s)
