"""How large, as timelines: what was seen second by second, and which sizes follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor_autoscaler.core.history import History, Sample
from torpor_autoscaler.core.size import (
    MARGIN,
    MEMORY_SHARE,
    SHRINK_FACTOR,
    SizeChoice,
    SizeTerms,
    Standing,
    choose_size,
)

GIB = float(1 << 30)
TERMS = SizeTerms(min_cu=Decimal(0), max_cu=Decimal(16))
QUIET: dict[str, float | None] = {
    "cpu": 0.0,
    "runnable": 0.0,
    "queued": 0.0,
    "memory_bytes": 0.2 * GIB,
    "working_set_bytes": 0.1 * GIB,
    "latency_s": 0.0,
}

Figures = Callable[[float], dict[str, float | None]]


class Timeline:
    """One database that gets whatever size is chosen, at once."""

    def __init__(self, cu: str = "1", terms: SizeTerms = TERMS) -> None:
        self.terms, self.history, self.now = terms, History(), 0.0
        self.standing = Standing(Decimal(cu), 0.0)
        self.choices: list[SizeChoice] = []
        self.changes: list[str] = []

    def pass_seconds(
        self, seconds: int, figures: Figures | None = None, /, **more: Any
    ) -> Timeline:
        """A sample in each; ``figures`` gives what differs from quiet, by the second."""
        for _ in range(seconds):
            self.now += 1.0
            seen = {**QUIET, **more, **(figures(self.now) if figures else {})}
            self.history.add(Sample(self.now, **seen), self.now)
            self.choose()
        return self

    def choose(self) -> SizeChoice:
        choice = choose_size(self.history, self.terms, self.standing, self.now)
        self.choices.append(choice)
        if choice.cu != self.standing.cu:
            self.changes.append(choice.decision.line)
        self.standing = self.standing.after(choice, self.now)
        return choice

    @property
    def cu(self) -> Decimal:
        return self.standing.cu

    @property
    def line(self) -> str:
        return self.choices[-1].decision.line

    @property
    def sizes(self) -> list[Decimal]:
        """Each size that there was, in order."""
        sizes = [choice.cu for choice in self.choices]
        return [cu for before, cu in zip([None, *sizes], sizes, strict=False) if cu != before]


def cus(*sizes: float) -> list[Decimal]:
    return [Decimal(str(size)) for size in sizes]


def test_a_rise_is_followed_by_the_stable_window() -> None:
    """Half of the window is known after 30 s; a load of 1.7 is no panic at 1 CU."""
    timeline = Timeline("1").pass_seconds(29, cpu=1.0, runnable=1.7)
    assert timeline.sizes == cus(1)
    timeline.pass_seconds(1, cpu=1.0, runnable=1.7)
    assert timeline.sizes == cus(1, 2)
    assert timeline.line == "grows from 1 to 2 CU: load 1.7 CPU over 1m, above 0.9 CPU"


def test_a_panic_is_followed_within_seconds() -> None:
    """Sixteen clients where there was less than one: all of it after six seconds."""
    timeline = Timeline("1").pass_seconds(100, runnable=0.6)
    timeline.pass_seconds(6, runnable=12.0)
    assert timeline.changes[0] == "grows from 1 to 3 CU: load 2.5 CPU over 6s, above 0.9 CPU"
    assert timeline.sizes == cus(1, 3, 5, 7, 9.25, 11.25, 13.5)
    timeline.pass_seconds(100, runnable=12.0)
    assert timeline.cu == Decimal("13.5")


def test_what_is_less_than_a_panic_waits_for_the_stable_window() -> None:
    """As one second of seven clients does."""
    timeline = Timeline("1").pass_seconds(100, runnable=0.6)
    timeline.pass_seconds(1, runnable=7.0).pass_seconds(100, runnable=0.6)
    assert timeline.sizes == cus(1)


@pytest.mark.parametrize(("calm_s", "cu"), [(40, "2.5"), (70, "2.25")])
def test_for_a_minute_after_a_panic_the_panic_window_is_followed(calm_s: int, cu: str) -> None:
    """Then two seconds of 2.6 come: the mean over six, 2.2, is no panic by itself."""
    timeline = Timeline("1").pass_seconds(100, runnable=0.6)
    timeline.pass_seconds(calm_s, runnable=2.0)
    assert timeline.cu == Decimal("2.25")
    timeline.pass_seconds(2, runnable=2.6)
    assert timeline.cu == Decimal(cu)


def test_what_waits_in_the_proxies_is_load() -> None:
    timeline = Timeline("1").pass_seconds(60, cpu=0.5, runnable=0.5, queued=4.0)
    assert timeline.cu == 5


def test_where_the_cpu_is_limited_only_the_runnable_tell() -> None:
    """And where the two contradict each other, the larger one counts."""
    assert Timeline("1").pass_seconds(60, cpu=1.0, runnable=3.6).cu == 4
    assert Timeline("1").pass_seconds(60, cpu=1.7, runnable=0.0).cu == 2


def test_memory_makes_it_grow_at_once() -> None:
    timeline = Timeline("1").pass_seconds(10).pass_seconds(1, memory_bytes=3.4 * GIB)
    assert timeline.line == "grows from 1 to 1.25 CU: memory 3.4 GiB, above 3 GiB"


def test_a_working_set_makes_it_grow() -> None:
    timeline = Timeline("1").pass_seconds(10, working_set_bytes=9 * GIB)
    assert timeline.changes[0] == "grows from 1 to 3 CU: working set 9 GiB over 6s, above 3 GiB"


def test_it_shrinks_after_a_whole_stable_window() -> None:
    """It has stood for a minute, and the burst before has left the window."""
    timeline = Timeline("4").pass_seconds(59)
    assert timeline.line == "stays at 4 CU: time at this size 59 s, below 60 s"
    timeline.pass_seconds(1)
    assert timeline.line == "shrinks from 4 to 0.25 CU: memory 0.2 GiB over 1m, below 0.6 GiB"
    timeline.pass_seconds(1)
    assert timeline.line == "stays at 0.25 CU: size 0.25 CU, at 0.25 CU"


def test_it_shrinks_to_what_has_room_to_spare() -> None:
    timeline = Timeline("4").pass_seconds(60, cpu=0.8, runnable=0.8)
    assert timeline.line == "shrinks from 4 to 1.25 CU: load 0.8 CPU over 1m, below 0.9 CPU"
    timeline.pass_seconds(100, cpu=0.8, runnable=0.8)
    assert timeline.sizes == cus(4, 1.25)
    assert timeline.line == "stays at 1.25 CU: load 0.8 CPU over 1m, above 0.72 CPU"


def test_bursts_that_come_again_and_again_hold_a_size() -> None:
    """Three seconds in thirty: the mean would do with 1.25 CU, and each burst would be a panic."""

    def bursts(now: float) -> dict[str, float | None]:
        return {"runnable": 8.0 if 15 <= now % 30 < 18 else 0.1}

    timeline = Timeline("8").pass_seconds(300, bursts)
    assert timeline.sizes == cus(8, 3)
    assert timeline.line == "stays at 3 CU: load of a burst 4.05 CPU over 6s, above 3.96 CPU"


def test_it_does_not_shrink_below_the_working_set() -> None:
    timeline = Timeline("8").pass_seconds(300, working_set_bytes=5 * GIB)
    assert timeline.cu == Decimal("2.25")
    assert "working set" in timeline.line


def test_a_unit_may_be_another_one() -> None:
    """Of two CPUs and 8 GiB: the same load and working set need half of it."""
    double = replace(TERMS, cpus_per_cu=2.0, memory_bytes_per_cu=8 * GIB)
    assert Timeline("1", double).pass_seconds(60, runnable=3.4).cu == 2
    assert Timeline("4", double).pass_seconds(60, runnable=1.6).cu == Decimal("1.25")
    assert Timeline("4", double).pass_seconds(60, working_set_bytes=5.8 * GIB).cu == Decimal("1.25")


@pytest.mark.parametrize("figure", ["memory_bytes", "working_set_bytes"])
def test_what_was_held_for_one_second_of_the_minute_has_room(figure: str) -> None:
    timeline = Timeline("4").pass_seconds(20).pass_seconds(1, **{figure: 2.9 * GIB})
    assert timeline.pass_seconds(39).sizes == cus(4, 1.25)


@pytest.mark.parametrize("missing", sorted(set(QUIET) - {"latency_s"}))
def test_what_is_missing_shrinks_nothing(missing: str) -> None:
    """Four seconds in a minute are enough."""

    def with_gap(now: float) -> dict[str, float | None]:
        return {missing: None} if now % 50 < 4 else {}

    assert Timeline("4").pass_seconds(130, with_gap).sizes == cus(4)
    assert Timeline("4").pass_seconds(70, **{missing: None}).sizes == cus(4)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e18])
@pytest.mark.parametrize("figure", sorted(set(QUIET) - {"latency_s"}))
def test_what_is_absurd_is_missing(figure: str, value: float) -> None:
    assert Timeline("4").pass_seconds(70, **{figure: value}).sizes == cus(4)


def test_it_says_what_is_missing() -> None:
    timeline = Timeline("4").pass_seconds(100, working_set_bytes=None)
    assert timeline.line == (
        "stays at 4 CU: longest time without its working set 60 s over 1m, above 3 s"
    )


def test_late_samples_decide_nothing() -> None:
    timeline = Timeline("4").pass_seconds(59, memory_bytes=2 * GIB)
    timeline.now += 3.5
    assert timeline.choose().cu == 4
    assert timeline.line == "stays at 4 CU: time without a sample 3.5 s, above 3 s"
    nothing_yet = Timeline("4")
    nothing_yet.now = 100.0
    assert nothing_yet.choose().decision.line.endswith("time without a sample 100 s, above 3 s")


class TestLatency:
    terms = SizeTerms(min_cu=Decimal(0), max_cu=Decimal(16), latency_s=0.010)

    def test_above_the_target_it_grows_once_a_minute(self) -> None:
        timeline = Timeline("2", self.terms).pass_seconds(59, runnable=1.2, latency_s=0.015)
        assert timeline.sizes == cus(2)
        timeline.pass_seconds(1, runnable=1.2, latency_s=0.015)
        assert timeline.line == ("grows from 2 to 3 CU: latency 0.015 s over 1m, above 0.01 s")
        timeline.pass_seconds(59, runnable=1.6, latency_s=0.9)
        assert timeline.sizes == cus(2, 3)
        timeline.pass_seconds(1, runnable=1.6, latency_s=0.9)
        assert timeline.cu == 6

    def test_without_load_a_larger_size_would_not_help(self) -> None:
        assert Timeline("2", self.terms).pass_seconds(300, cpu=0.9, latency_s=5.0).cu == 2

    def test_it_does_not_shrink_where_the_target_would_be_missed(self) -> None:
        timeline = Timeline("2", self.terms).pass_seconds(300, cpu=0.9, latency_s=0.006)
        assert timeline.sizes == cus(2, 1.5)
        assert Timeline("2", self.terms).pass_seconds(300, latency_s=0.007).cu == 2
        assert Timeline("2", self.terms).pass_seconds(300, latency_s=None).cu == 2

    def test_seconds_without_a_query_say_nothing_of_latency(self) -> None:
        def rarely(now: float) -> dict[str, float | None]:
            return {"latency_s": 0.0075 if now % 10 < 1 else 0.0}

        assert Timeline("2", self.terms).pass_seconds(300, rarely).cu == 2
        assert Timeline("2", self.terms).pass_seconds(300).cu == Decimal("0.25")


def test_bounds_hold_without_any_sample() -> None:
    terms = SizeTerms(min_cu=Decimal(1), max_cu=Decimal(2))
    assert Timeline("4", terms).choose().decision.line == (
        "goes from 4 to 2 CU, its bound: size 4 CU, above 2 CU"
    )
    assert Timeline("0.5", terms).choose().cu == 1
    assert Timeline("1", terms).pass_seconds(100, runnable=100.0).sizes == cus(1, 2)


def test_a_ramp_is_followed_and_left() -> None:
    """From 1 to 8 in five minutes, then nothing: it grows in steps, and shrinks once or twice."""
    timeline = Timeline("1").pass_seconds(300, lambda now: {"runnable": 1 + 7 * now / 300})
    assert timeline.sizes == sorted(timeline.sizes)
    assert 7 <= timeline.cu <= 9
    grown = len(timeline.sizes)
    timeline.pass_seconds(300)
    assert timeline.cu == Decimal("0.25") and len(timeline.sizes) - grown <= 2


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("load", [0.3, 1.0, 7.0])
def test_under_a_constant_noisy_load_it_does_not_flap(load: float, seed: int) -> None:
    """Each second half to one and a half of it: one size is found and kept."""
    random = Random(seed)
    timeline = Timeline("16").pass_seconds(
        600, lambda _: {"runnable": load * random.uniform(0.5, 1.5)}
    )
    assert len(timeline.sizes) <= 3
    later = [choice.cu for choice in timeline.choices[300:]]
    assert len(set(later)) == 1
    assert load / 0.9 <= float(later[0]) <= load / 0.9 / MARGIN / SHRINK_FACTOR + 0.25


figures_of_a_second = st.fixed_dictionaries(
    {
        "cpu": st.one_of(st.none(), st.floats(0, 20)),
        "runnable": st.one_of(st.none(), st.floats(0, 50)),
        "queued": st.one_of(st.none(), st.floats(0, 10)),
        "memory_bytes": st.one_of(st.none(), st.floats(0, 70 * GIB)),
        "working_set_bytes": st.one_of(st.none(), st.floats(0, 70 * GIB)),
        "latency_s": st.one_of(st.none(), st.floats(0, 2)),
    }
)
"""A stretch of them, each for so many seconds."""
stretches = st.lists(st.tuples(st.integers(1, 70), figures_of_a_second), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(stretches, st.sampled_from(["0.25", "1", "5.75", "16"]))
def test_it_never_leaves_its_bounds_nor_shrinks_below_the_working_set(
    seconds: list[tuple[int, dict[str, float | None]]], cu: str
) -> None:
    terms = SizeTerms(min_cu=Decimal("0.5"), max_cu=Decimal(12), latency_s=0.1)
    timeline = Timeline(cu, terms)
    timeline.choose()
    for count, figures in seconds:
        for _ in range(count):
            before = timeline.cu
            timeline.pass_seconds(1, **figures)
            assert terms.min_cu <= timeline.cu <= terms.max_cu
            assert timeline.cu % Decimal("0.25") == 0
            if timeline.cu < before:
                working_set = figures["working_set_bytes"]
                assert working_set is not None
                assert working_set <= float(timeline.cu) * 4 * GIB * MEMORY_SHARE


@pytest.mark.parametrize(
    "raised",
    [("cpu", "runnable", "queued"), ("memory_bytes",), ("working_set_bytes",)],
    ids="-".join,
)
@settings(max_examples=25, deadline=None)
@given(seconds=stretches, cu=st.sampled_from(["0.25", "1", "5.75"]), factor=st.floats(1.0, 5.0))
def test_more_of_it_never_makes_it_smaller(
    raised: tuple[str, ...],
    seconds: list[tuple[int, dict[str, float | None]]],
    cu: str,
    factor: float,
) -> None:
    """The same history but for the load, or what is in use: more of it wants no smaller size."""
    terms = SizeTerms(min_cu=Decimal(0), max_cu=Decimal(16), latency_s=0.1)
    less, more, now = History(), History(), 0.0
    for count, figures in seconds:
        for _ in range(count):
            now += 1.0
            less.add(Sample(now, **figures), now)
            known = {name: value for name in raised if (value := figures[name]) is not None}
            scaled = {name: value * factor for name, value in known.items()}
            more.add(Sample(now, **{**figures, **scaled}), now)
    standing = Standing(Decimal(cu), 0.0)
    chosen = choose_size(less, terms, standing, now).cu
    assert choose_size(more, terms, standing, now).cu >= chosen


def test_terms_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="minCU 2, maxCU 1: allowed is 0 <= minCU <= maxCU"):
        SizeTerms(min_cu=Decimal(2), max_cu=Decimal(1))
    with pytest.raises(ValueError, match="latency_s 0: allowed is a number of seconds above 0"):
        SizeTerms(min_cu=Decimal(0), max_cu=Decimal(1), latency_s=0)
