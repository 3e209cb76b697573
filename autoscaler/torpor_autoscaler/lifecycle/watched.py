"""What is seen of one awake database, second by second: totals become the samples that a size is
decided by.

Nothing is made up. A total becomes a rate only between two samples that are in order and near each
other; a figure of which a part is missing is not known, nor is one below nothing, as that of totals
that have begun anew (:class:`History`).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from torpor_api.messages import ComputeSample, ComputeUse, Latencies, PostgresUse
from torpor_autoscaler.core.history import SANE_MAX, History, Sample
from torpor_autoscaler.core.size import SAMPLE_AGE_S_MAX, SizeChoice, Standing
from torpor_autoscaler.core.sleep import View

DISTANCE_S_MIN: Final = 0.5
"""Between two samples. What comes in a heap was held up on its way, or we were: it says what was,
and would count as if it were now."""

DISTANCE_S_MAX: Final = 5.0
"""Over more the mean says too little of the second in which it ends."""

FIGURE_MAX: Final = 1 << 100

WORKING_SET_WINDOW_S: Final = 60
"""Of the agent's estimates: what is touched within a minute. A shorter window misses pages."""


class Watched:
    """Of one compute, for as long as it serves: at most two minutes of samples, and its size."""

    __slots__ = ("_latencies", "before", "choice", "history", "standing", "told")

    def __init__(self, standing: Standing) -> None:
        self.history = History()
        self.standing = standing
        """The size that was decided last."""
        self.choice: SizeChoice | None = None
        """By which it came to that; None: it was that large when it was first seen."""
        self.told: ComputeSample | None = None
        """By its agent, last; and before that."""
        self.before: ComputeSample | None = None
        self._latencies: dict[str, Latencies] = {}
        """As each proxy has told them last."""

    def saw(self, told: ComputeSample, views: Iterable[View], now: float) -> bool:
        """False: it comes too soon behind the last one to be of this moment."""
        latest = self.history.latest
        if latest is not None and now - latest.at < DISTANCE_S_MIN:
            return False
        before = self.before = self.told
        self.told = told
        views = tuple(views)
        oom_kills = _oom_kills(before, told)
        sample = Sample(
            now,
            cpu=_cpus(before, told),
            runnable=_runnable(told.postgres),
            queued=_queued(views, now),
            memory_bytes=_memory(told.use, oom_kills),
            oom_kills=oom_kills,
            working_set_bytes=_working_set(told),
            latency_s=self._latency_s(views),
        )
        return self.history.add(sample, now)

    def chose(self, choice: SizeChoice, now: float) -> None:
        if choice.cu != self.standing.cu:
            self.choice = choice
        self.standing = self.standing.after(choice, now)

    def _latency_s(self, views: tuple[View, ...]) -> float | None:
        """Mean of what has ended since the last sample; 0: nothing has. None: one does not say."""
        before, self._latencies = self._latencies, {}
        ended = Latencies()
        is_known = True
        for view in views:
            if view.sample is None:
                continue
            told = view.sample.latencies
            since = None
            if told is not None:
                self._latencies[view.proxy] = told
                since = told.since(before.get(view.proxy, told))
            is_known = is_known and since is not None
            ended = ended if since is None else ended.plus(since)
        return ended.mean_s if is_known else None


def _cpus(before: ComputeSample | None, told: ComputeSample) -> float | None:
    """That it used since, on average."""
    if before is None or (elapsed_s := elapsed(before, told)) is None:
        return None
    return (told.use.cpu_seconds - before.use.cpu_seconds) / elapsed_s


def elapsed(before: ComputeSample, told: ComputeSample) -> float | None:
    """Seconds from one to the other; None: totals of the two tell nothing of a moment."""
    elapsed_s = told.at_s - before.at_s
    return elapsed_s if DISTANCE_S_MIN / 2 < elapsed_s < DISTANCE_S_MAX else None


def _oom_kills(before: ComputeSample | None, told: ComputeSample) -> float | None:
    """Since the sample before, however long ago that is: Postgres may have started anew."""
    if before is None or before.use.oom_kills is None or told.use.oom_kills is None:
        return None
    killed = told.use.oom_kills - before.use.oom_kills
    return float(killed) if 0 <= killed <= SANE_MAX["oom_kills"] else None


def _memory(use: ComputeUse, oom_kills: float | None) -> float | None:
    """Whoever was ended for want of it is seen no more: then it was all that there is. Page tables
    count: with two hundred backends they are a fifth of half a GiB."""
    parts = (use.anonymous_bytes, use.shared_memory_bytes, use.kernel_bytes or 0)
    in_use = _figure(sum(parts)) if min(parts) >= 0 else None
    if not oom_kills:
        return in_use
    return max(in_use or 0.0, _figure(use.memory_limit_bytes or 0)) or None


def _runnable(use: PostgresUse | None) -> float | None:
    """At this moment: active backends that wait for nothing."""
    if use is None:
        return None
    return _figure(use.active_backends - sum(use.waiting_backends.values()))


def _working_set(told: ComputeSample) -> float | None:
    found = (told.working_set_bytes or {}).get(WORKING_SET_WINDOW_S)
    return None if found is None else _figure(found)


def _figure(whole: int) -> float:
    """What is beyond any number that a float can be is absurd as well."""
    return float(whole) if abs(whole) < FIGURE_MAX else inf


def _queued(views: tuple[View, ...], now: float) -> float | None:
    """In all proxies; None: one has not said it of late."""
    if any(view.sampled_at is None or now - view.sampled_at > SAMPLE_AGE_S_MAX for view in views):
        return None
    return float(sum(view.sample.waiting for view in views if view.sample is not None))
