"""How long queries take, from the moments at which their bytes passed. Pure.

Buffers are noted when they pass and walked later, several together; where queries begin and end in
them is known only then. So the moment of each buffer is kept as well, and a query has that of the
buffer with its first byte, or with the last byte of its ReadyForQuery.

All of it adds a third of a microsecond to a query, a fifth to the walk: half of that is for the two
looks at the clock and for keeping what they say. A proxy needs 26 for a query of pgbench, more than
half of them in the kernel.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from operator import add, sub

from torpor_api.messages import Latencies
from torpor_api.messages.latency import BOUNDS_S, BUCKETS


class Tally:
    """How many took how long, in the buckets of :class:`~torpor_api.messages.Latencies`."""

    __slots__ = ("_counts", "_sum_s", "_told")

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._sum_s = 0.0
        self._told: Latencies | None = Latencies()
        """What there is to tell; None: not made yet. Of most databases it is the same for long."""

    def add(self, seconds: list[float]) -> None:
        """Sorts them: that takes half as long as to look for the bucket of each."""
        self._told = None
        self._sum_s += sum(seconds)
        seconds.sort()
        below, size = 0, len(seconds)
        for bucket, bound in enumerate(BOUNDS_S):
            up_to = bisect_right(seconds, bound, below)
            self._counts[bucket] += up_to - below
            below = up_to
            if below == size:
                return
        self._counts[-1] += size - below

    def add_all(self, others: Tally) -> None:
        """Of another one."""
        self._told = None
        self._counts = list(map(add, self._counts, others._counts))
        self._sum_s += others._sum_s

    def totals(self) -> Latencies:
        """Of all that were added."""
        if self._told is None:
            counts = tuple(self._counts)
            self._told = Latencies(count=sum(counts), sum_s=self._sum_s, buckets=counts)
        return self._told


class Stopwatch:
    """Of one attachment: between any two both sides owe each other nothing."""

    __slots__ = ("_begun", "_tally")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._begun: list[float] = []
        """When each query that is not answered was passed on, the oldest first."""

    def begun(self, at: list[int], buffers: list[bytes], moments: list[float]) -> None:
        """``at``: where in the buffers queries begin. ``moments``: at which each buffer passed."""
        ends = list(accumulate(map(len, buffers)))
        if at == [0, *ends[:-1]]:  # One in each, most often.
            self._begun += moments
        else:
            self._begun += [moments[bisect_right(ends, begin)] for begin in at]

    def ended(self, at: list[int], buffers: list[bytes], moments: list[float]) -> None:
        """``at``: where in the buffers each ReadyForQuery ends."""
        if not at:
            return  # A large answer comes in many buffers.
        ends = list(accumulate(map(len, buffers)))
        is_one_each = at == ends
        ended = moments if is_one_each else [moments[bisect_left(ends, end)] for end in at]
        self._tally.add(list(map(sub, ended, self._begun)))
        del self._begun[: len(ended)]

    def owed(self, in_flight: int) -> None:
        """No more queries than these will be answered: Postgres passes over a Sync while it copies
        in. The last to begin is forgotten; that of one which began in the same walk goes with the
        query after it, which then seems longer by what lay between them."""
        del self._begun[in_flight:]
