"""Decisions, as people and programs read them, and how many are remembered."""

from __future__ import annotations

from dataclasses import replace

from torpor_autoscaler.core.decision import DECISIONS_MAX, Decision, Decisions, Loop

GROWS = Decision(Loop.SIZE, "load", 1.4, 0.9, "CPU", 60.0, "grows from 1 to 2 CU")


def test_a_line_says_what_follows_and_from_which_figure() -> None:
    assert GROWS.line == "grows from 1 to 2 CU: load 1.4 CPU over 1m, above 0.9 CPU"
    below = replace(GROWS, value=0.01234, window_s=0.0, unit="")
    assert below.line == "grows from 1 to 2 CU: load 0.0123, below 0.9"
    assert replace(GROWS, value=0.9, window_s=6.0).line.endswith("load 0.9 CPU over 6s, at 0.9 CPU")
    assert replace(GROWS, value=12345.6).line.endswith("load 12346 CPU over 1m, above 0.9 CPU")


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


def test_what_repeats_itself_counts_once_with_its_latest_value() -> None:
    decisions = Decisions()
    stays = replace(GROWS, value=0.5, follows="stays at 2 CU")
    for at_s, decision in enumerate((GROWS, stays, replace(stays, value=0.6))):
        decisions.add(decision, float(at_s))
    assert [(d.since_s, d.decision.value) for d in decisions] == [(0.0, 1.4), (1.0, 0.6)]
    assert [d.as_document()["since"] for d in decisions] == [0.0, 1.0]


def test_the_loops_do_not_hide_each_other() -> None:
    decisions = Decisions()
    sleeps = replace(GROWS, loop=Loop.IDLE_TIMEOUT, follows="sleeps after 5 s")
    for at_s, decision in enumerate((GROWS, sleeps, GROWS, sleeps)):
        decisions.add(decision, float(at_s))
    assert len(decisions) == 2
    current = decisions.current(Loop.SIZE)
    assert current is not None and current.since_s == 0.0
    assert decisions.current(Loop.SCHEDULE) is None


def test_the_latest_hundred_are_remembered() -> None:
    decisions = Decisions()
    for cu in range(DECISIONS_MAX + 7):
        decisions.add(replace(GROWS, follows=f"grows to {cu} CU"), float(cu))
    assert len(decisions) == DECISIONS_MAX == 100
    assert next(iter(decisions)).since_s == 7.0
