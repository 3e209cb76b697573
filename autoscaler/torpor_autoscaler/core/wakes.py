"""When databases wake: what is recent, second by second, and what comes back by the clock.

A memory of fixed size, fed with every wake and the wall clock; :mod:`warm` asks it. The clock may
jump: then what is recent is forgotten, and what was learned stays.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import chain
from math import ceil
from typing import Final, TypeAlias

RECENT_S: Final = 600
"""For so long each second is remembered: the longest that a pool member may take to be replaced."""

BACKWARDS_S_MAX: Final = 2
"""So far apart news of the same moment may come, from several proxies; more is a clock's jump."""

MINUTE_S: Final = 60
HOUR_S: Final = 3600
SLOT_S: Final = 300
DAY_S: Final = 86_400

SHARE_OF_LATEST: Final = 0.5
"""Of an hour or a day in the rate that is known for its like."""

PEAK_KEPT: Final = 0.8
"""Of a peak, each time that it does not come back. It counts in full from the first time on: forty
members that wait for two minutes in vain cost as much as three cold starts."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a stretch of time has brought before; nothing where it is not known."""

    rate: float = 0.0
    """Wakes per second, in the busiest part."""
    peak: float = 0.0
    """Most wakes within the time that replacing a pool member takes."""


Learned: TypeAlias = list[tuple[float, float] | None]
"""Of each bucket of a pattern: how many wakes it brings, and how many at once."""


class Pattern:
    """What an hour or a day looks like, in equal buckets: how many wakes, and how many at once."""

    __slots__ = ("_bucket_s", "_counts", "_is_known", "_peaks")

    def __init__(self, period_s: int, bucket_s: int) -> None:
        self._bucket_s = bucket_s
        self._counts = array("f", bytes(4 * (period_s // bucket_s)))
        self._peaks = array("f", self._counts)
        self._is_known = bytearray(period_s // bucket_s)

    def learn(self, at_s: int, count: int, peak: int) -> None:
        """Of the whole bucket that holds this second."""
        bucket = self._bucket(at_s)
        share = SHARE_OF_LATEST if self._is_known[bucket] else 1.0
        self._is_known[bucket] = True
        self._counts[bucket] += share * (count - self._counts[bucket])
        self._peaks[bucket] = max(peak, self._peaks[bucket] * PEAK_KEPT)

    def foresee(self, from_s: int, until_s: int) -> Foreseen:
        """Of the buckets that this stretch touches."""
        first, last = from_s // self._bucket_s, until_s // self._bucket_s
        buckets = {number % len(self._counts) for number in range(first, last + 1)}
        return Foreseen(
            max(self._counts[bucket] for bucket in buckets) / self._bucket_s,
            max(self._peaks[bucket] for bucket in buckets),
        )

    def learned(self) -> Learned:
        """Of each bucket, to be kept for another life; None where it is not known."""
        rows = zip(self._counts, self._peaks, self._is_known, strict=True)
        return [(count, peak) if is_known else None for count, peak, is_known in rows]

    def recall(self, learned: Learned) -> None:
        """Of a former life; what has been learned since counts more."""
        for bucket, row in enumerate(learned):
            if row is not None and not self._is_known[bucket]:
                self._counts[bucket], self._peaks[bucket] = row
                self._is_known[bucket] = True

    def _bucket(self, at_s: int) -> int:
        return at_s // self._bucket_s % len(self._counts)


class Tally:
    """Of the bucket that is being filled."""

    __slots__ = ("bucket_s", "count", "is_whole", "pattern", "peak")

    def __init__(self, period_s: int, bucket_s: int) -> None:
        self.bucket_s = bucket_s
        self.pattern = Pattern(period_s, bucket_s)
        self.begin(is_whole=False)

    def begin(self, *, is_whole: bool) -> None:
        """``is_whole``: seen from its first second; of another one nothing is learned."""
        self.count, self.peak, self.is_whole = 0, 0, is_whole

    def close(self, at_s: int) -> None:
        """``at_s``: its last second."""
        if self.is_whole:
            self.pattern.learn(at_s, self.count, self.peak)
        self.begin(is_whole=True)


class Wakes:
    """Of all databases that one pool serves: some 6 KiB."""

    def __init__(self) -> None:
        self._recent = array("I")
        """By second, round and round; made by the first news."""
        self._second: int | None = None
        """The latest that was heard of, since 1970."""
        self._hour = Tally(HOUR_S, MINUTE_S)
        self._day = Tally(DAY_S, SLOT_S)
        """In UTC: where summer time moves people's days, the next ones teach it."""

    def add(self, at_s: float, replace_s: float, count: int = 1) -> None:
        """Wakes of one second; ``replace_s``: how long a pool member takes to be replaced now."""
        second = self.advance(at_s)
        self._recent[second % RECENT_S] += count
        peak = self.within(replace_s)
        for tally in (self._hour, self._day):
            tally.count += count
            tally.peak = max(tally.peak, peak)

    def advance(self, at_s: float) -> int:
        """Time has passed; gives the second in which news of this moment counts."""
        to = int(at_s)
        if self._second is None or not -BACKWARDS_S_MAX <= to - self._second < RECENT_S:
            self._forget_recent()
            self._second = to
        while self._second < to:
            self._step()
        return self._second

    def _step(self) -> None:
        assert self._second is not None
        for tally in (self._hour, self._day):
            if (self._second + 1) % tally.bucket_s == 0:
                tally.close(self._second)
        self._second += 1
        self._recent[self._second % RECENT_S] = 0

    def _forget_recent(self) -> None:
        self._recent = array("I", bytes(4 * RECENT_S))
        for tally in (self._hour, self._day):
            tally.begin(is_whole=False)

    @property
    def patterns(self) -> tuple[Pattern, Pattern]:
        """Of an hour and of a day: what outlasts a jump of the clock, and may outlast us."""
        return self._hour.pattern, self._day.pattern

    def within(self, seconds: float) -> int:
        """Wakes in the latest seconds, of ``RECENT_S`` at most."""
        if self._second is None:
            return 0
        end = self._second % RECENT_S + 1
        begin = end - min(max(ceil(seconds), 1), RECENT_S)
        if begin >= 0:
            return sum(self._recent[begin:end])
        return sum(chain(self._recent[begin:], self._recent[:end]))

    def rate(self, seconds: float) -> float:
        """Wakes per second over the latest ones."""
        return self.within(seconds) / seconds

    def foresee(self, ahead_s: float) -> Foreseen:
        """What hours and days have brought at the times from now on."""
        if self._second is None:
            return Foreseen()
        until_s = self._second + ceil(ahead_s)
        hour = self._hour.pattern.foresee(self._second, until_s)
        day = self._day.pattern.foresee(self._second, until_s)
        return Foreseen(max(hour.rate, day.rate), max(hour.peak, day.peak))
