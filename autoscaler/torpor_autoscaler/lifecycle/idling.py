"""``idleTimeout: auto`` through the life of one database: its gaps, and the time-out in force.

A gap is from one use to the next, whether the database slept meanwhile or not. What ends it is the
use itself: a query that some proxy's sample tells of, or the wake that a client asks for. The
time-out is chosen when a gap begins, and stays for it: so each gap is judged by what was in force.

Samples come once a second and tell the latest use only. So a gap counts where one of them has found
nobody for the least time-out; else a database in steady use would seem to have one each second.
"""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Final

from torpor_api.rhythm import LearnedGaps
from torpor_autoscaler.core.idle_timeout import Choice, Gaps, Terms, choose_timeout
from torpor_autoscaler.core.sleep import View, last_use, was_seen_idle
from torpor_autoscaler.lifecycle.limits import Limits

LATEST_SHARE: Final = 0.25
"""Of the latest wake in what a wake is expected to take: one that was slow is not the next."""

WAKE_S_MAX: Final = 60.0
"""Of one wake: behind it lies a fault, and no client that still waits."""

COUNT_LEAST: Final = 0.05
"""Of a bucket that is told in the record, which tells tenths: less than that is forgotten."""

COUNT_MAX: Final = 100.0
"""And that is believed: no more than 93 gaps are remembered."""


class Idling:
    """Some 700 bytes, of a database whose spec asks for it: made when it first wakes."""

    __slots__ = (
        "_choice",
        "_gaps",
        "_is_found_idle",
        "_limits",
        "_slept_after_s",
        "_used_at",
        "_wake_s",
        "cu",
        "is_asleep",
    )

    def __init__(self, limits: Limits, cu: float, used_at: float, stored: LearnedGaps) -> None:
        """``used_at``: the latest use that is known of."""
        self._limits = limits
        self._wake_s = stored.wake_ms / 1000.0 or limits.wake_wait_s
        self._gaps = Gaps.remembered(_counts(stored.counts), stored.debt_seconds)
        self._used_at = used_at
        self._is_found_idle = False
        """Somebody has looked since, and nobody had used it for the least time-out."""
        self._slept_after_s: float | None = None
        """The time-out that put it to sleep; None: something else has, or nobody knows."""
        self.is_asleep = False
        self.cu = cu
        """The size that stays awake, in CU."""
        self._choice = choose_timeout(self._gaps, self._terms)

    @property
    def choice(self) -> Choice:
        """Of the gap that goes on."""
        return self._choice

    @property
    def words(self) -> str:
        """What it rests on."""
        return f"{self._choice.basis.value}, {self._choice.known:.0f} gaps known"

    def look(self, views: tuple[View, ...], now: float) -> None:
        """Awake: what the samples tell."""
        least_s = self._limits.timeout_s_min
        self.use(last_use(views, self._used_at))
        idle_at = self._used_at + least_s
        if now >= idle_at and was_seen_idle(views, idle_at) and not _is_anybody_at_it(views):
            self._is_found_idle = True

    def awaits_look(self, now: float) -> bool:
        """Nobody has used it for a while, and no sample has confirmed it yet."""
        return not self._is_found_idle and now >= self._used_at + self._limits.timeout_s_min

    def use(self, at: float) -> None:
        """Somebody has used it; samples tell the same moment again, some milliseconds off."""
        gap_s = at - self._used_at
        if gap_s <= 0:
            return
        if self._is_found_idle and gap_s >= self._limits.timeout_s_min:
            timeout_s = self._choice.timeout_s
            self._end(gap_s, timeout_s if gap_s <= timeout_s else None)
        self._used_at = at

    def sleep(self, *, by_itself: bool) -> None:
        """``by_itself``: because the time was over, and not for somebody's wish."""
        self.is_asleep = True
        self._slept_after_s = self._choice.timeout_s if by_itself else None

    def wake(self, now: float) -> None:
        """A client wants it: that ends the gap."""
        if self.is_asleep:
            self._end(now - self._used_at, self._slept_after_s)
        self.is_asleep = False
        self._used_at = now

    def rouse(self) -> None:
        """It wakes for nobody, by a schedule or its spec: the gap goes on."""
        self.is_asleep = False

    def took(self, wake_s: float) -> None:
        """What a wake has taken, up to the first row."""
        if isfinite(wake_s) and wake_s > 0:
            self._wake_s += LATEST_SHARE * (min(wake_s, WAKE_S_MAX) - self._wake_s)

    def stored(self, last_use: str) -> LearnedGaps:
        """For the record."""
        counts = [(bucket, count) for bucket, count in enumerate(self._gaps.counts)]
        told = [f"{bucket}:{count:.1f}" for bucket, count in counts if count >= COUNT_LEAST]
        return LearnedGaps(
            counts=" ".join(told),
            debt_seconds=round(self._gaps.debt_s, 1),
            wake_ms=round(self._wake_s * 1000.0),
            last_use=last_use,
        )

    def idle_s(self, now: float) -> float:
        return max(0.0, now - self._used_at)

    @property
    def _terms(self) -> Terms:
        limits = self._limits
        return Terms(
            waiting_price=limits.waiting_price,
            wake_wait_s=self._wake_s,
            wake_cu_s=limits.wake_cu_s,
            cu=self.cu,
            timeout_s_min=limits.timeout_s_min,
            timeout_s_max=limits.timeout_s_max,
        )

    def _end(self, gap_s: float, timeout_s: float | None) -> None:
        terms = self._terms
        self._gaps.add(gap_s, timeout_s, terms)
        self._choice = choose_timeout(self._gaps, terms)
        self._is_found_idle = False
        self._slept_after_s = None


def remembered(
    stored: LearnedGaps | None,
    limits: Limits,
    cu: float,
    used_at: float | None,
    now: float,
    wall_s: float,
) -> Idling:
    """As the record says it of the life before. ``used_at``: None: it sleeps.

    Then the record says when it was last used; where it does not, or the clock on the wall shows an
    earlier time, the gap that goes on is no gap.
    """
    found = stored or LearnedGaps()
    last_use_s = _seconds(found.last_use or "")
    if used_at is None and last_use_s is not None and last_use_s <= wall_s:
        idling = Idling(limits, cu, now - (wall_s - last_use_s), found)
        idling.is_asleep = True
        return idling
    return Idling(limits, cu, now if used_at is None else used_at, found)


def _is_anybody_at_it(views: tuple[View, ...]) -> bool:
    """Who waits for its wake has used nothing yet, and has not left it alone either."""
    samples = (view.sample for view in views)
    return any(sample.busy or sample.waiting for sample in samples if sample is not None)


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _counts(text: str) -> dict[int, float]:
    pairs = (pair.split(":") for pair in text.split())
    found = {int(bucket): float(count) for bucket, count in pairs}
    return {bucket: count for bucket, count in found.items() if count <= COUNT_MAX}
