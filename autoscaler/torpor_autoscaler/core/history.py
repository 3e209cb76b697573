"""The last two minutes of one awake database, as samples once a second, and their aggregates.

What is missing stays missing: an aggregate says None where it has too little to go by, and a figure
that can't be is taken for none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from operator import attrgetter
from typing import Any, Final

SAMPLES_MAX: Final = 120
"""Twice the longest window, at one sample a second."""

KNOWN_SHARE: Final = 0.5
"""Of a window's seconds, that a mean needs. Growing may rest on half, shrinking never does."""

SANE_MAX: Final = {
    "cpu": 1024.0,
    "runnable": 100_000.0,
    "queued": 1_000_000.0,
    "memory_bytes": float(16 << 40),
    "oom_kills": 1_000_000.0,
    "working_set_bytes": float(16 << 40),
    "latency_s": 86_400.0,
}
"""Beyond the largest machines and crowds there are: whoever says more has miscounted."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen in one second; None: not known."""

    at: float
    """Seconds of the asker's monotonic clock when it was taken."""
    cpu: float | None = None
    """CPUs that the compute used."""
    runnable: float | None = None
    """Backends that run or would, if there were a CPU: those that wait for no lock, disk or client.
    Where a compute has a limit, only this tells how much more it could use."""
    queued: float | None = None
    """Queries that wait in the proxies for a place."""
    memory_bytes: float | None = None
    """That nobody can take back: with page tables, without the page cache."""
    oom_kills: float | None = None
    """Processes that were ended for want of memory since the sample before."""
    working_set_bytes: float | None = None
    """Of data that is touched again and again."""
    latency_s: float | None = None
    """Mean of the queries that ended in this second; 0: none did."""

    load: float | None = field(init=False)
    """CPUs that would be in use if there were enough; a queue is load that is not let in. Of two
    figures that contradict each other the larger counts."""

    def __post_init__(self) -> None:
        known = [value for value in (self.cpu, self.runnable) if value is not None]
        load = max(known) + (self.queued or 0.0) if known else None
        object.__setattr__(self, "load", load)


Figure = Callable[[Sample], float | None]

_AT: Final = attrgetter("at")


class History:
    """Of one database, while it is awake."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        """Oldest first."""

    @property
    def latest(self) -> Sample | None:
        return self._samples[-1] if self._samples else None

    def add(self, sample: Sample, now: float) -> bool:
        """False: it is of the future, or no younger than one that came before."""
        if not -inf < sample.at <= now or (self.latest and sample.at <= self.latest.at):
            return False
        self._samples.append(_sane(sample))
        del self._samples[:-SAMPLES_MAX]
        return True

    def age_s(self, now: float) -> float:
        """Of the latest sample."""
        return now - self.latest.at if self.latest else inf

    def mean(
        self, figure: Figure, window_s: float, now: float, known_share: float = KNOWN_SHARE
    ) -> float | None:
        """None: in too few of the window's seconds, or in none, it is known."""
        values = self._values(figure, window_s, now)
        is_known = values and len(values) >= window_s * known_share
        return sum(values) / len(values) if is_known else None

    def highest(self, figure: Figure, window_s: float, now: float) -> float | None:
        return max(self._values(figure, window_s, now), default=None)

    def highest_mean(
        self, figure: Figure, short_s: float, window_s: float, now: float
    ) -> float | None:
        """Of all means over the shorter window that end at a known second of the longer one."""
        recent: deque[tuple[float, float]] = deque()
        total, highest = 0.0, -inf
        for at, value in self._known(figure, window_s + short_s, now):
            recent.append((at, value))
            total += value
            while recent[0][0] <= at - short_s:
                total -= recent.popleft()[1]
            if at > now - window_s and len(recent) >= short_s * KNOWN_SHARE:
                highest = max(highest, total / len(recent))
        return highest if highest > -inf else None

    def gap_s(self, figure: Figure, window_s: float, now: float) -> float:
        """The longest stretch of the window in which the figure was not known."""
        known = [at for at, _ in self._known(figure, window_s, now)]
        return max(later - earlier for earlier, later in pairwise([now - window_s, *known, now]))

    def _values(self, figure: Figure, window_s: float, now: float) -> list[float]:
        window = self._window(window_s, now)
        return [value for sample in window if (value := figure(sample)) is not None]

    def _known(self, figure: Figure, window_s: float, now: float) -> list[tuple[float, float]]:
        """Moments and values, oldest first."""
        window = self._window(window_s, now)
        return [(each.at, value) for each in window if (value := figure(each)) is not None]

    def _window(self, window_s: float, now: float) -> list[Sample]:
        first = bisect_right(self._samples, now - window_s, key=_AT)
        return self._samples[first : bisect_right(self._samples, now, first, key=_AT)]


def _sane(sample: Sample) -> Sample:
    absurd: dict[str, Any] = {
        name: None
        for name, most in SANE_MAX.items()
        if (value := getattr(sample, name)) is not None and not 0 <= value <= most
    }
    return replace(sample, **absurd) if absurd else sample
