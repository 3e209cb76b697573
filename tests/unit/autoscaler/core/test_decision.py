"""Decisions, as people and programs read them, and how many are remembered."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from math import inf

from torpor_api.messages.people import DECISIONS_MAX
from torpor_autoscaler.core.decision import Decision, Decisions, Loop

GROWS = Decision(Loop.SIZE, "load", 1.4, 0.9, "CPU", 60.0, "grows from 1 to 2 CU")


def test_a_line_says_what_follows_and_from_which_figure() -> None:
    assert GROWS.line == "grows from 1 to 2 CU: load 1.4 CPU over 1m, above 0.9 CPU"
    below = replace(GROWS, value=0.01234, window_s=0.0, unit="")
    assert below.line == "grows from 1 to 2 CU: load 0.0123, below 0.9"
    assert replace(GROWS, value=0.9, window_s=6.0).line.endswith("load 0.9 CPU over 6s, at 0.9 CPU")
    assert replace(GROWS, value=100.4).line.endswith("load 100 CPU over 1m, above 0.9 CPU")
    assert replace(GROWS, value=12345.6).line.endswith("load 12346 CPU over 1m, above 0.9 CPU")


def test_long_times_are_told_as_a_person_would() -> None:
    waits = replace(GROWS, metric="time without use", unit="s", window_s=0.0, follows="waits")
    for value, threshold, told in (
        (0.5, 120.0, "0.5 s, below 120 s"),
        (125.7, 300.0, "2m5s, below 5m"),
        (77602.9, 3600.0, "21h33m, above 1h"),
        (inf, 5.0, "inf s, above 5 s"),
    ):
        line = replace(waits, value=value, threshold=threshold).line
        assert line == f"waits: time without use {told}"


def test_a_document_has_the_same_names_for_every_policy() -> None:
    assert GROWS.as_document() == {
        "loop": "size",
        "metric": "load",
        "value": 1.4,
        "threshold": 0.9,
        "unit": "CPU",
        "windowSeconds": 60.0,
        "follows": "grows from 1 to 2 CU",
    }


def test_what_repeats_itself_counts_once_and_its_latest_value_is_known() -> None:
    decisions = Decisions()
    stays = replace(GROWS, value=0.5, follows="stays at 2 CU")
    for at_s, decision in enumerate((GROWS, stays, replace(stays, value=0.6))):
        decisions.add(decision, float(at_s))
    assert [(d.since_s, d.decision.value) for d in decisions] == [(0.0, 1.4), (1.0, 0.5)]
    (current,) = decisions.current
    assert (current.since_s, current.decision.value, current.latest.value) == (1.0, 0.5, 0.6)


def test_the_loops_do_not_hide_each_other() -> None:
    decisions = Decisions()
    sleeps = replace(GROWS, loop=Loop.IDLE_TIMEOUT, follows="sleeps after 5 s")
    for at_s, decision in enumerate((GROWS, sleeps, GROWS, sleeps)):
        decisions.add(decision, float(at_s))
    assert [d.decision for d in decisions] == [GROWS, sleeps]
    current = [(dated.since_s, dated.decision.loop) for dated in decisions.current]
    assert current == [(1.0, Loop.IDLE_TIMEOUT), (0.0, Loop.SIZE)]


def test_what_is_withdrawn_holds_no_more_and_stays_known() -> None:
    decisions = Decisions()
    decisions.withdraw(Loop.SIZE)
    sleeps = replace(GROWS, loop=Loop.IDLE_TIMEOUT, follows="sleeps after 5 s")
    for at_s, decision in enumerate((GROWS, sleeps)):
        decisions.add(decision, float(at_s))
    decisions.withdraw(Loop.SIZE)
    assert [dated.decision for dated in decisions.current] == [sleeps]
    assert [dated.decision for dated in decisions] == [GROWS, sleeps]
    decisions.add(GROWS, 2.0)
    assert [dated.since_s for dated in decisions.current] == [1.0, 2.0]


def test_the_latest_hundred_are_remembered_as_they_were() -> None:
    decisions = Decisions()
    made = [replace(GROWS, value=cu / 4, follows=f"grows to {cu} CU") for cu in range(237)]
    for at_s, decision in enumerate(made):
        decisions.add(decision, at_s + 0.25)
        assert [d.decision for d in decisions] == made[: at_s + 1][-DECISIONS_MAX:]
        if at_s % 7 == 0:
            decisions.pack()
        assert all(d.latest == d.decision for d in decisions)
    assert DECISIONS_MAX == 100
    assert [int(d.since_s) for d in decisions] == [*range(137, 237)]
    assert [d.decision for d in decisions.current] == [made[-1]]


def test_what_somebody_says_at_length_is_shortened() -> None:
    decisions = Decisions()
    for at_s in range(2):
        decisions.add(replace(GROWS, follows="x" * 100_000), float(at_s))
    (dated,) = decisions
    assert dated.decision.follows == "x" * 499 + "…"
    decisions.add(replace(GROWS, follows="x" * 500), 2.0)
    assert [dated.decision.follows for dated in decisions.current] == ["x" * 500]


def test_a_hundred_of_them_take_little_memory() -> None:
    """A fleet remembers for each of its databases, most of which sleep."""
    wakes = Decision(Loop.AWAKE, "wanted by", 1, 0, "", 0.0, "")
    sleeps = Decision(Loop.AWAKE, "time without use", 5.0, 5.0, "s", 0.0, "goes to sleep")

    def asleep() -> Decisions:
        decisions = Decisions()
        for life in range(DECISIONS_MAX // 4):
            session, at_s = life * 7919 % 997, 1.8e9 + life * 777.7
            decisions.add(replace(wakes, follows=f"wakes (session {session})"), at_s)
            decisions.add(replace(GROWS, value=session / 7), at_s + session / 100)
            decisions.add(replace(GROWS, follows="shrinks from 2 to 1 CU"), at_s + session / 10)
            decisions.add(replace(sleeps, value=5 + session / 997), at_s + session)
        decisions.pack()
        return decisions

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        many = [asleep() for _ in range(20)]
        each = (tracemalloc.get_traced_memory()[0] - before) / len(many)
    finally:
        tracemalloc.stop()
    assert each < 2 * 1024
