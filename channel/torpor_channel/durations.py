"""How long things took, counted twice: in buckets up to given bounds, as every Prometheus knows
them, and in those of a native histogram. Pure.

A native one has a bucket for each eighth of a power of two, so that a percentile of it is within
5 % of what it was wherever it lies; only those buckets are told that have something in them, and
what several processes tell can be added up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import frexp

SCHEMA = 3
"""Each power of two has two to the power of this many buckets."""

ZERO_S = 2.0**-14
"""61 µs: what took no longer is in the bucket of zero. A shorter wait is none."""

LONGEST_S = 2.0**12
"""68 minutes: what took longer is counted as that. Nothing that is counted here goes on for so
long, and without a bound there would be none for the number of buckets: these are 208."""

_PER_POWER = 1 << SCHEMA

_WITHIN = tuple(0.5 * 2.0 ** (eighth / _PER_POWER) for eighth in range(_PER_POWER))
"""The upper bounds of the buckets between a half and one, without that."""


@dataclass(frozen=True, slots=True)
class Span:
    """Buckets that follow each other without an empty one between them."""

    gap: int
    """Empty buckets since the end of the span before; of the first one: its first bucket's
    number."""
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NativeBuckets:
    """Those with something in them, in order."""

    zero_count: int = 0
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """All that was added."""

    count: int
    sum_s: float
    buckets: tuple[int, ...]
    """How many are in each, up to each bound and one more; not added up."""
    native: NativeBuckets


class Durations:
    """Of one kind of thing; grows only."""

    __slots__ = ("_bounds", "_buckets", "_native", "_sum_s", "_zero_count")

    def __init__(self, bounds: Sequence[float]) -> None:
        """``bounds``: in seconds, rising. What took exactly as long is in that bucket."""
        self._bounds = bounds
        self._buckets = [0] * (len(bounds) + 1)
        self._native: dict[int, int] = {}
        self._zero_count = 0
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        self._sum_s += seconds
        self._buckets[bisect_left(self._bounds, seconds)] += 1
        if seconds <= ZERO_S:
            self._zero_count += 1
        else:
            bucket = bucket_of(min(seconds, LONGEST_S))
            self._native[bucket] = self._native.get(bucket, 0) + 1

    def counted(self) -> Counted:
        native = NativeBuckets(self._zero_count, tuple(_spans(self._native)))
        return Counted(sum(self._buckets), self._sum_s, tuple(self._buckets), native)


def bucket_of(seconds: float) -> int:
    """Bucket 0 ends at one second, the next one at two to the power of an eighth."""
    fraction, exponent = frexp(seconds)
    return bisect_left(_WITHIN, fraction) + (exponent - 1) * _PER_POWER


def _spans(filled: dict[int, int]) -> Iterator[Span]:
    numbers, end = sorted(filled), 0
    for _, run in groupby(enumerate(numbers), key=lambda placed: placed[1] - placed[0]):
        buckets = [number for _, number in run]
        yield Span(buckets[0] - end, tuple(filled[number] for number in buckets))
        end = buckets[-1] + 1
