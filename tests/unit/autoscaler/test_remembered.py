"""How many decisions are remembered of a database, and in how much memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from statistics import median

from torpor_api.messages.people import DECISIONS_MAX
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.lifecycle.remembered import Decisions

GROWS = Decision(Loop.SIZE, "load", 1.4, 0.9, "CPU", 60.0, "grows from 1 to 2 CU")


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

    many, traced = list[Decisions](), list[int]()
    tracemalloc.start()
    try:
        for _ in range(20):
            many.append(asleep())
            traced.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # Another thread of this process may allocate, too, beside some of them.
    assert median(after - before for before, after in pairwise(traced)) < 2 * 1024
