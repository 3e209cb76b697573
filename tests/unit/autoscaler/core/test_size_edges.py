"""How large, at the edges: one size, what was the same for so many seconds, and one choice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.core.history import History, Sample
from torpor_autoscaler.core.size import (
    MEMORY_SHARE,
    OUT_OF_MEMORY,
    SizeChoice,
    SizeTerms,
    Standing,
    choose_after_want_of_memory,
    choose_size,
)

GIB = float(1 << 30)
TERMS = SizeTerms(min_cu=Decimal(0), max_cu=Decimal(16))
AIMED = replace(TERMS, latency_s=0.010)


def chosen(
    cu: str,
    seconds: int,
    terms: SizeTerms = TERMS,
    *,
    late_s: float = 0.0,
    missing: range = range(0),
    **figures: float | None,
) -> SizeChoice:
    """Of a size that has stood since 0, after so many samples, quiet but for these figures.

    ``late_s``: so long ago the last one was.
    """
    history = History()
    quiet = Sample(
        0.0,
        cpu=0.0,
        runnable=0.0,
        queued=0.0,
        memory_bytes=0.2 * GIB,
        oom_kills=0.0,
        working_set_bytes=0.1 * GIB,
        latency_s=0.0,
    )
    for second in range(1, seconds + 1):
        if second not in missing:
            history.add(replace(quiet, at=float(second), **figures), float(second))
    return choose_size(history, terms, Standing(Decimal(cu), 0.0), seconds + late_s)


def test_terms_may_be_of_one_size_only_and_not_of_none() -> None:
    only = SizeTerms(min_cu=Decimal(2), max_cu=Decimal(2))
    assert chosen("2", 60, only, runnable=50.0).cu == chosen("2", 60, only).cu == 2
    with pytest.raises(ValueError, match=r"^minCU 0, maxCU 0: allowed is .*, above 0$"):
        SizeTerms(min_cu=Decimal(0), max_cu=Decimal(0))
    with pytest.raises(ValueError, match="latency_s inf"):
        SizeTerms(min_cu=Decimal(0), max_cu=Decimal(1), latency_s=float("inf"))


def test_a_panic_lasts_for_a_minute() -> None:
    standing = Standing(Decimal(1), 0.0, panicked_at=10.0)
    assert standing.is_panicking(69.9) and not standing.is_panicking(70.0)


def test_twice_of_what_the_size_is_for_is_a_panic() -> None:
    assert chosen("1", 6, runnable=1.79).cu == 1
    panic = chosen("1", 6, runnable=1.8)
    assert panic.is_panic and panic.decision.line == (
        "grows from 1 to 2 CU: load 1.8 CPU over 6s, above 0.9 CPU"
    )


def test_the_latest_memory_alone_is_a_want_that_ends_a_postgres() -> None:
    memory = chosen("1", 6, memory_bytes=3.4 * GIB)
    assert memory.cu == Decimal("1.25")
    assert memory.is_for_memory is True and memory.decision.window_s == 0.0
    working_set = chosen("1", 6, working_set_bytes=3.4 * GIB)
    assert working_set.cu == Decimal("1.25")
    assert working_set.is_for_memory is False


@pytest.mark.parametrize(("oom_kills", "metric"), [(0.0, "memory"), (1.0, OUT_OF_MEMORY)])
def test_memory_that_somebody_was_ended_for_is_told_as_such(oom_kills: float, metric: str) -> None:
    ended = chosen("1", 6, memory_bytes=4 * GIB, oom_kills=oom_kills)
    assert ended.is_for_memory
    assert ended.decision.line == f"grows from 1 to 1.5 CU: {metric} 4 GiB, above 3 GiB"


def test_each_decision_is_one_of_the_size_over_a_window_or_of_this_moment() -> None:
    for choice, metric, window_s in (
        (chosen("32", 6), "size", 0.0),
        (chosen("4", 0, late_s=9.0), "time without a sample", 0.0),
        (chosen("4", 6), "time at this size", 0.0),
        (chosen("0.25", 6), "size", 0.0),
        (chosen("4", 6, runnable=12.0), "load", 6.0),
        (chosen("4", 60, memory_bytes=None), "longest time without its memory", 60.0),
        (chosen("4", 60), "memory", 60.0),
    ):
        decision = choice.decision
        assert (decision.loop, decision.metric, decision.window_s) == (Loop.SIZE, metric, window_s)


def test_a_sample_decides_until_it_is_older_than_allowed() -> None:
    assert chosen("4", 60, late_s=3.0).cu == Decimal("0.25")
    assert chosen("4", 60, late_s=3.1).cu == 4


def test_without_any_sample_the_time_is_told_since_the_size_stands() -> None:
    choice = choose_size(History(), TERMS, Standing(Decimal(4), 60.0), 100.0)
    assert choice.decision.line == "stays at 4 CU: time without a sample 40 s, above 3 s"


def test_a_gap_of_three_seconds_does_not_keep_it_from_shrinking() -> None:
    """Two samples are missing then."""
    assert chosen("4", 60, missing=range(30, 32)).cu == Decimal("0.25")
    assert chosen("4", 60, missing=range(30, 33)).cu == 4


def test_it_shrinks_by_a_fifth_at_least() -> None:
    """From 1.25 to 1 CU is just that; from 2 to 1.75 CU is less."""
    assert chosen("1.25", 60, runnable=0.7).cu == 1
    assert chosen("2", 60, runnable=1.2).cu == 2


def test_without_a_target_no_latency_is_needed_to_shrink() -> None:
    assert chosen("4", 60, latency_s=None).cu == Decimal("0.25")
    assert chosen("4", 60, AIMED, latency_s=None).decision.line == (
        "stays at 4 CU: longest time without its latency 60 s over 1m, above 3 s"
    )


def test_what_is_unknown_needs_nothing_and_keeps_it_all_the_same() -> None:
    """Where nothing else is in use, the least size would do but for what is missing."""
    memory = chosen("0.5", 60, memory_bytes=None).decision.line
    working_set = chosen("0.5", 60, working_set_bytes=None).decision.line
    assert memory == "stays at 0.5 CU: longest time without its memory 60 s over 1m, above 3 s"
    assert working_set == memory.replace("memory", "working set")


def test_it_says_which_figure_holds_it() -> None:
    assert chosen("2", 60, AIMED, latency_s=0.0072).decision.line == (
        "stays at 2 CU: latency 0.0072 s over 1m, above 0.007 s"
    )
    assert chosen("2", 60, working_set_bytes=4.5 * GIB).decision.line == (
        "stays at 2 CU: working set 4.5 GiB over 1m, above 4.2 GiB"
    )


@pytest.mark.parametrize(("load", "cu"), [(1.99, 2), (2.0, 3)])
def test_a_latency_counts_where_half_of_the_cpus_are_in_use(load: float, cu: int) -> None:
    double = replace(AIMED, cpus_per_cu=2.0)
    assert chosen("2", 60, double, runnable=load, latency_s=0.015).cu == cu


def test_whoever_ran_out_of_memory_has_a_third_more_the_next_time() -> None:
    choice = choose_after_want_of_memory(TERMS, Decimal(3))
    assert (choice.cu, choice.is_for_memory, choice.is_panic) == (Decimal(4), True, False)
    assert choice.decision == Decision(
        Loop.SIZE, OUT_OF_MEMORY, 12.0, 9.0, "GiB", 0.0, "grows from 3 to 4 CU"
    )
    double = replace(TERMS, memory_bytes_per_cu=8 * GIB)
    assert choose_after_want_of_memory(double, Decimal(1)).decision.line == (
        f"grows from 1 to 1.5 CU: {OUT_OF_MEMORY} 8 GiB, above 6 GiB"
    )


def test_whoever_ran_out_of_the_most_memory_keeps_it() -> None:
    """Also where less is allowed by now: that is a bound's to say, and no consequence of this."""
    assert choose_after_want_of_memory(TERMS, Decimal(16)).decision.line == (
        f"stays at 16 CU: {OUT_OF_MEMORY} 64 GiB, above 48 GiB"
    )
    assert choose_after_want_of_memory(TERMS, Decimal(20)).cu == 20


quarters = st.integers(1, 128).map(lambda number: number * Decimal("0.25"))


@given(quarters, st.tuples(quarters, quarters).map(sorted))
def test_the_want_of_memory_never_makes_it_smaller_nor_larger_than_it_may_be(
    had: Decimal, bounds: list[Decimal]
) -> None:
    least, most = bounds
    terms = SizeTerms(least, most)
    cu = choose_after_want_of_memory(terms, had).cu
    assert max(had, terms.min_cu) <= cu <= max(had, terms.max_cu)
    assert cu >= terms.max_cu or float(had) <= MEMORY_SHARE * float(cu)
