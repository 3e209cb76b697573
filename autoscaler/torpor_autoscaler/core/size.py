"""How large: the size of a compute, in quarters of a CU, from what its database did of late.

**The anchor** is Neon's rule: the least size at which load takes no more than 0.9 of the CPUs, and
neither memory nor the working set more than 0.75 of the memory.

**Growing** is quick and rests on little. The mean load of the stable window asks for it; that of
the panic window too, where it is twice of what the size is for, and from then on for a minute
whatever it is; the memory of the latest second at once, since its lack ends a Postgres (where it
has, all of the memory was in use, whatever was seen last); and a latency above its target, where
there is load that more CPUs would help.

**Shrinking** is slow and rests on everything. Each figure has to be known, without a gap, over the
whole stable window; the size has to have stood for as long; and the smaller one has to have room
to spare (``MARGIN``), so that the same load does not make it grow again: it would not have panicked
within the window, and holds all of the working set. It also has to be smaller by a fifth, or noise
would take it down by a quarter of a CU every other minute. What is missing, late or absurd shrinks
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import ceil, inf
from operator import attrgetter
from typing import Final

from torpor_api.quantities import CU_STEP
from torpor_api.sizes import CPU_MILLI_PER_CU, MEMORY_BYTES_PER_CU, least_cu
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.core.history import Figure, History

STABLE_S: Final = 60.0
"""What lasts for a minute is no burst: the pods of Knative are counted so."""
PANIC_S: Final = 6.0
"""A tenth of it: long enough for one sample to be none."""
PANIC_FACTOR: Final = 2.0
"""By so much the panic window has to exceed what the size is for: less can wait for a minute."""

LOAD_SHARE: Final = 0.9
"""Of the CPUs: beyond it queries wait for each other."""
MEMORY_SHARE: Final = 0.75
"""Of the memory: the rest is for connections, sorts and the page cache of what is read once."""
MARGIN: Final = 0.8
"""Of these shares, at a size to shrink to: what a constant load varies by from minute to minute."""

SHRINK_FACTOR: Final = 0.8
"""Of the size that there is, a smaller one may have: less is not worth a resize."""

LATENCY_LOAD_SHARE: Final = 0.5
"""Of the CPUs: with less load it is not their want that makes queries slow."""
LATENCY_FACTOR_MAX: Final = 2.0
"""By so much a latency may make a compute grow at a time: it does not tell how much would help."""

SAMPLE_AGE_S_MAX: Final = 3.0
"""Older ones say nothing of now; nor may a figure be missing for longer where it is to shrink."""

OUT_OF_MEMORY: Final = "memory when a process was ended for want of it"

_GIB: Final = float(1 << 30)

_LOAD: Final[Figure] = attrgetter("load")
_MEMORY: Final[Figure] = attrgetter("memory_bytes")
_WORKING_SET: Final[Figure] = attrgetter("working_set_bytes")
_LATENCY: Final[Figure] = attrgetter("latency_s")
_ENDED_LATENCY: Final[Figure] = lambda sample: sample.latency_s or None  # noqa: E731
"""Of seconds in which queries ended: the others say nothing of how long they take."""

_FIGURES: Final[dict[str, Figure]] = {
    "CPU": attrgetter("cpu"),
    "runnable backends": attrgetter("runnable"),
    "queue": attrgetter("queued"),
    "memory": _MEMORY,
    "working set": _WORKING_SET,
}
"""Without any of these nothing shrinks."""


@dataclass(frozen=True, slots=True)
class SizeTerms:
    """What the resource says of sizes."""

    min_cu: Decimal
    max_cu: Decimal
    latency_s: float | None = None
    """The mean latency that queries shall have."""
    cpus_per_cu: float = CPU_MILLI_PER_CU / 1000
    memory_bytes_per_cu: float = float(MEMORY_BYTES_PER_CU)

    def __post_init__(self) -> None:
        if not 0 <= self.min_cu <= self.max_cu or not self.max_cu:
            bounds = f"minCU {self.min_cu}, maxCU {self.max_cu}"
            raise ValueError(f"{bounds}: allowed is 0 <= minCU <= maxCU, above 0")
        if self.latency_s is not None and not 0 < self.latency_s < inf:
            raise ValueError(f"latency_s {self.latency_s}: allowed is a number of seconds above 0")

    def bound(self, cu: Decimal) -> Decimal:
        return min(max(cu, least_cu(self.min_cu)), self.max_cu)


@dataclass(frozen=True, slots=True)
class SizeChoice:
    """The size that there shall be, and why."""

    cu: Decimal
    decision: Decision
    is_panic: bool = False
    """It grows by what the panic window says."""
    is_for_memory: bool = False
    """It grows because less would not hold what is in use: the want of memory ends a Postgres."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The size that there is. Moments are of the clock of the samples."""

    cu: Decimal
    since: float
    panicked_at: float = -inf
    """When it grew in panic, last."""

    def after(self, choice: SizeChoice, now: float) -> Standing:
        """Once the choice is carried out."""
        if choice.cu == self.cu:
            return self
        return Standing(choice.cu, now, now if choice.is_panic else self.panicked_at)

    def is_panicking(self, now: float) -> bool:
        return now - self.panicked_at < STABLE_S


@dataclass(frozen=True, slots=True)
class _Need:
    """A figure, and how much of it each CU is good for."""

    metric: str
    value: float
    per_cu: float
    unit: str
    window_s: float
    is_panic: bool = False
    is_memory: bool = False

    @property
    def cu(self) -> Decimal:
        """The least size that is good for it."""
        return ceil(round(self.value / self.per_cu / float(CU_STEP), 9)) * CU_STEP

    def decides(self, at: Decimal, follows: str) -> Decision:
        """``at``: the size whose threshold is told."""
        threshold = self.per_cu * float(at)
        return Decision(
            Loop.SIZE, self.metric, self.value, threshold, self.unit, self.window_s, follows
        )


def choose_size(history: History, terms: SizeTerms, standing: Standing, now: float) -> SizeChoice:
    """Between the bounds, which alone need no sample."""
    cu, bound = standing.cu, terms.bound(standing.cu)
    if bound != cu:
        follows = f"goes from {_shown(cu)} to {_shown(bound)} CU, its bound"
        decision = Decision(Loop.SIZE, "size", float(cu), float(bound), "CU", 0.0, follows)
        return SizeChoice(bound, decision)
    if (age_s := history.age_s(now)) > SAMPLE_AGE_S_MAX:
        without_s = age_s if age_s < inf else now - standing.since
        return _stays(cu, "time without a sample", without_s, SAMPLE_AGE_S_MAX, "s", 0.0)
    needs = list(_needs(history, terms, standing, now))
    if needs:
        most = max(needs, key=lambda need: need.cu)
        grown = terms.bound(most.cu)
        if grown > cu:
            follows = f"grows from {_shown(cu)} to {_shown(grown)} CU"
            decision = most.decides(cu, follows)
            return SizeChoice(grown, decision, most.is_panic, most.is_memory)
    return _shrunk(history, terms, standing, now)


def choose_after_want_of_memory(terms: SizeTerms, cu: Decimal) -> SizeChoice:
    """A compute of this size has ended because all of its memory was in use."""
    memory_per_cu = terms.memory_bytes_per_cu / _GIB
    in_use, per_cu = memory_per_cu * float(cu), MEMORY_SHARE * memory_per_cu
    need = _Need(OUT_OF_MEMORY, in_use, per_cu, "GiB", 0.0)
    grown = max(terms.bound(need.cu), cu)
    follows = f"grows from {_shown(cu)} to {_shown(grown)} CU"
    if grown == cu:
        follows = f"stays at {_shown(cu)} CU"
    return SizeChoice(grown, need.decides(cu, follows), is_for_memory=True)


def _needs(history: History, terms: SizeTerms, standing: Standing, now: float) -> Iterator[_Need]:
    """What asks for a size, and would get a larger one."""
    load_per_cu = LOAD_SHARE * terms.cpus_per_cu
    stable = history.mean(_LOAD, STABLE_S, now)
    if stable is not None:
        yield _Need("load", stable, load_per_cu, "CPU", STABLE_S)
    panic = history.mean(_LOAD, PANIC_S, now)
    factor = 1.0 if standing.is_panicking(now) else PANIC_FACTOR
    if panic is not None and panic >= factor * load_per_cu * float(standing.cu):
        yield _Need("load", panic, load_per_cu, "CPU", PANIC_S, is_panic=True)
    memory_per_cu = MEMORY_SHARE * terms.memory_bytes_per_cu / _GIB
    latest = history.latest
    if latest is not None and latest.memory_bytes is not None:
        metric, in_use = OUT_OF_MEMORY if latest.oom_kills else "memory", latest.memory_bytes / _GIB
        yield _Need(metric, in_use, memory_per_cu, "GiB", 0.0, is_memory=True)
    working_set = history.mean(_WORKING_SET, PANIC_S, now)
    if working_set is not None:
        yield _Need("working set", working_set / _GIB, memory_per_cu, "GiB", PANIC_S)
    yield from _latency_need(history, terms, standing, now)


def _latency_need(
    history: History, terms: SizeTerms, standing: Standing, now: float
) -> Iterator[_Need]:
    """Once per stable window: what a larger size brings is seen before another one is asked for."""
    cu, target_s = float(standing.cu), terms.latency_s
    latency_s = history.mean(_ENDED_LATENCY, STABLE_S, now)
    load = history.mean(_LOAD, STABLE_S, now)
    if target_s is None or latency_s is None or load is None or now - standing.since < STABLE_S:
        return
    if load >= LATENCY_LOAD_SHARE * terms.cpus_per_cu * cu:
        capped_s = min(latency_s, LATENCY_FACTOR_MAX * target_s)
        yield _Need("latency", capped_s, target_s / cu, "s", STABLE_S)


def _shrunk(history: History, terms: SizeTerms, standing: Standing, now: float) -> SizeChoice:
    """Not at all where anything speaks against it."""
    cu, stood_s = standing.cu, now - standing.since
    if cu <= least_cu(terms.min_cu):
        return _stays(cu, "size", float(cu), float(least_cu(terms.min_cu)), "CU", 0.0)
    if stood_s < STABLE_S:
        return _stays(cu, "time at this size", stood_s, STABLE_S, "s", 0.0)
    most = max(_needs_of_smaller(history, terms, standing, now), key=lambda need: need.cu)
    shrunk = terms.bound(most.cu)
    if float(shrunk) > SHRINK_FACTOR * float(cu):
        return SizeChoice(cu, most.decides(cu - CU_STEP, f"stays at {_shown(cu)} CU"))
    figures = _FIGURES if terms.latency_s is None else {**_FIGURES, "latency": _LATENCY}
    for name, figure in figures.items():
        gap_s = history.gap_s(figure, STABLE_S, now)
        if gap_s > SAMPLE_AGE_S_MAX:
            metric = f"longest time without its {name}"
            return _stays(cu, metric, gap_s, SAMPLE_AGE_S_MAX, "s", STABLE_S)
    follows = f"shrinks from {_shown(cu)} to {_shown(shrunk)} CU"
    return SizeChoice(shrunk, most.decides(shrunk, follows))


def _needs_of_smaller(
    history: History, terms: SizeTerms, standing: Standing, now: float
) -> Iterator[_Need]:
    """What a smaller size has to be good for, with room to spare, as far as it is known."""
    load_per_cu = MARGIN * LOAD_SHARE * terms.cpus_per_cu
    memory_per_cu = MARGIN * MEMORY_SHARE * terms.memory_bytes_per_cu / _GIB
    stable = history.mean(_LOAD, STABLE_S, now) or 0.0
    burst = history.highest_mean(_LOAD, PANIC_S, STABLE_S, now) or 0.0
    memory = history.highest(_MEMORY, STABLE_S, now) or 0.0
    working_set = history.highest(_WORKING_SET, STABLE_S, now) or 0.0
    yield _Need("load", stable, load_per_cu, "CPU", STABLE_S)
    yield _Need("load of a burst", burst, PANIC_FACTOR * load_per_cu, "CPU", PANIC_S)
    yield _Need("memory", memory / _GIB, memory_per_cu, "GiB", STABLE_S)
    yield _Need("working set", working_set / _GIB, memory_per_cu, "GiB", STABLE_S)
    if terms.latency_s is not None:
        # At worst it grows as the size shrinks.
        latency_s = history.mean(_ENDED_LATENCY, STABLE_S, now, known_share=0.0) or 0.0
        per_cu = MARGIN * terms.latency_s / float(standing.cu)
        yield _Need("latency", latency_s, per_cu, "s", STABLE_S)


def _stays(
    cu: Decimal, metric: str, value: float, threshold: float, unit: str, window_s: float
) -> SizeChoice:
    follows = f"stays at {_shown(cu)} CU"
    decision = Decision(Loop.SIZE, metric, value, threshold, unit, window_s, follows)
    return SizeChoice(cu, decision)


def _shown(cu: Decimal) -> str:
    return f"{cu.normalize():f}"
