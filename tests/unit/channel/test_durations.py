"""Two ways to count how long things took: what is in which bucket, and that both have all of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_channel.durations import (
    LONGEST_S,
    SCHEMA,
    ZERO_S,
    Durations,
    NativeBuckets,
    Span,
    bucket_of,
)

BUCKETS_MAX = 208
"""So many a native histogram may have, besides that of zero: it says so itself."""


def counted(seconds: Sequence[float]) -> NativeBuckets:
    durations = Durations((0.1, 1.0))
    for each in seconds:
        durations.add(each)
    return durations.counted().native


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(1.0, 0), (1.0001, 1), (2.0, 8), (2.0 ** (1 / 8), 1), (0.5, -8), (0.51, -7), (1024.0, 80)],
)
def test_a_bucket_ends_with_its_upper_bound(seconds: float, bucket: int) -> None:
    assert bucket_of(seconds) == bucket


@given(st.floats(ZERO_S, LONGEST_S, exclude_min=True))
def test_everything_is_between_the_bounds_of_its_bucket(seconds: float) -> None:
    width = 2.0**-SCHEMA
    bucket = bucket_of(seconds)
    above, below = 2.0 ** (bucket * width), 2.0 ** ((bucket - 1) * width)
    assert below * (1 - 1e-12) < seconds <= above * (1 + 1e-12)


def test_there_is_a_bound_for_the_number_of_buckets() -> None:
    assert bucket_of(LONGEST_S) - bucket_of(ZERO_S) == BUCKETS_MAX


def test_what_is_too_short_to_count_is_zero_and_what_is_too_long_is_the_longest() -> None:
    assert counted([0.0, ZERO_S]) == NativeBuckets(2)
    assert counted([LONGEST_S * 10, LONGEST_S]) == NativeBuckets(0, (Span(96, (2,)),))


def test_neighbours_are_one_span_and_gaps_are_counted() -> None:
    found = counted([1.0, 1.0, 1.05, 2.0, 0.5])
    assert found == NativeBuckets(0, (Span(-8, (1,)), Span(7, (2, 1)), Span(6, (1,))))


def test_classic_buckets_have_all_of_it_as_well() -> None:
    durations = Durations((0.1, 1.0))
    for seconds in (0.1, 0.2, 1.0, 5.0):
        durations.add(seconds)
    told = durations.counted()
    assert (told.count, told.buckets) == (4, (1, 2, 1))
    assert told.sum_s == pytest.approx(6.3)


@given(st.lists(st.floats(0, 1e6)))
def test_nothing_is_lost(seconds: list[float]) -> None:
    durations = Durations((0.001, 0.1, 10.0))
    for each in seconds:
        durations.add(each)
    told = durations.counted()
    native = told.native.zero_count + sum(sum(span.counts) for span in told.native.spans)
    assert told.count == native == len(seconds)
    assert all(count > 0 for span in told.native.spans for count in span.counts)
