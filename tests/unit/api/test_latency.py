"""Totals of latencies: of several proxies together, and of what came between two reports."""

from __future__ import annotations

import pytest

from torpor_api.messages import Latencies
from torpor_api.messages.latency import BUCKETS


def of(count: int, sum_s: float, bucket: int = 3) -> Latencies:
    """All in one bucket."""
    buckets = tuple(count if each == bucket else 0 for each in range(BUCKETS))
    return Latencies(count=count, sum_s=sum_s, buckets=buckets)


def test_those_of_two_proxies_are_added_up() -> None:
    both = of(2, 0.5).plus(of(1, 0.25, bucket=0))
    assert (both.count, both.sum_s, both.mean_s) == (3, 0.75, 0.25)
    assert (both.buckets[0], both.buckets[3], sum(both.buckets)) == (1, 2, 3)


def test_nothing_has_ended_at_first() -> None:
    assert Latencies().plus(of(2, 0.5)) == of(2, 0.5)
    assert of(2, 0.5).since(Latencies()) == of(2, 0.5)
    assert Latencies().mean_s == 0


def test_between_two_reports_is_their_difference() -> None:
    assert of(7, 1.0).since(of(3, 0.5)) == of(4, 0.5)
    same = of(7, 1.0).since(of(7, 1.0))
    assert same is not None
    assert (same.count, same.mean_s) == (0, 0)


@pytest.mark.parametrize("now", [Latencies(), of(6, 9.0), of(8, 9.0, bucket=4)])
def test_of_totals_that_have_fallen_nothing_is_known(now: Latencies) -> None:
    assert now.since(of(7, 1.0)) is None


def test_a_release_with_other_buckets_is_no_reason_to_fail() -> None:
    other = Latencies(count=1, sum_s=0.5, buckets=(1,) * (BUCKETS + 3))
    assert other.plus(of(1, 0.5)).count == 2
