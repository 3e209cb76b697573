"""Who asks for a switchover, when, and what becomes of everybody else who wants something."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.failures import (
    Busy,
    Refused,
)
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import facts, why
from torpor_autoscaler.lifecycle.actions import AnswerSwitchover, AskAgent
from unit.autoscaler.moving import ask, begun
from unit.autoscaler.story import Story, agent, awake


def test_a_wake_meanwhile_waits_for_the_same_start() -> None:
    story = begun()
    story.until(m.Checkpoint)
    story.wake()
    assert [type(answer) for answer in story.answers()] == [m.Awake], "the gates are open yet"
    story.effects.clear()
    story.until(m.CloseGate)
    story.wake()
    story.until(m.StopCompute)
    assert story.answers() == []
    story.rest()
    (answer,) = story.answers()
    assert isinstance(answer, m.Awake) and answer.endpoint.epoch == 2
    assert len(story.all(m.StartCompute)) == 1 and story.all(m.OpenGate) == []


@pytest.mark.parametrize("step", [m.Checkpoint, m.CloseGate])
def test_who_hangs_up_before_the_stop_calls_it_off(step: type[Any]) -> None:
    story = begun()
    story.until(step)
    story.fact(facts.withdraw_switchover, 7)
    story.rest()
    assert story.phase() is Phase.ACTIVE and not story.all(m.StopCompute)


def test_who_hangs_up_after_the_stop_has_it_all_the_same() -> None:
    story = begun()
    story.until(m.StopCompute)
    story.fact(facts.withdraw_switchover, 7)
    story.until(m.StartCompute)
    story.fact(facts.withdraw_switchover, 7)
    story.rest()
    assert story.record.status.epoch == 2 and story.record.status.last_switchover is not None


def test_who_asks_while_the_stop_is_under_way_for_another_is_answered_for_it() -> None:
    story = begun()
    story.until(m.StopCompute)
    story.fact(facts.withdraw_switchover, 7)
    ask(story, 8)
    story.rest()
    answered = [e.asker for e in story.effects if isinstance(e, AnswerSwitchover)]
    assert answered == [8] and isinstance(story.moves()[0], m.SwitchedOver)
    assert story.record.status.epoch == 2


def test_who_hangs_up_waits_for_no_compute_any_more() -> None:
    story = awake(agents=1)
    ask(story).rest()
    story.fact(facts.withdraw_switchover, 7)
    assert story.world.pool.waiting == () and story.database.switching is None


def test_there_is_one_at_a_time() -> None:
    story = begun()
    story.until(m.CloseGate)
    ask(story, 8)
    (refusal,) = story.moves()
    assert isinstance(refusal, Busy) and "already" in refusal.message
    story.rest()
    assert isinstance(story.moves()[1], m.SwitchedOver)


def test_what_sleeps_needs_none() -> None:
    story = Story()
    story.rest()
    ask(story)
    (refusal,) = story.moves()
    assert isinstance(refusal, Refused) and "Suspended" in refusal.message
    assert "next wake" in refusal.hint


def test_what_is_on_its_way_is_asked_for_later() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    ask(story)
    (refusal,) = story.moves()
    assert isinstance(refusal, Busy) and "Resuming" in refusal.message


def test_what_falls_asleep_first_is_not_moved() -> None:
    story = awake()
    story.at(106.0).sample(idle_s=6.0).rest()
    story.at(120.0).sample(idle_s=20.0).until(m.StopCompute)
    ask(story).rest()
    assert story.phase() is Phase.SUSPENDED and isinstance(story.moves()[0], Busy)


def test_a_person_may_put_it_to_sleep_in_the_middle() -> None:
    story = begun()
    story.until(m.StopCompute)
    story.fact(facts.wish_asleep, 9, 103.0)
    story.rest()
    assert story.phase() is Phase.SUSPENDED and not story.all(m.StartCompute)
    assert story.refusals() == [None] and isinstance(story.moves()[0], Busy)
    assert story.world.pool.take("other", None) == agent(2)


def test_people_are_told_that_it_moves() -> None:
    story = begun()
    story.until(m.CloseGate)
    assert why.lines(story.database, 103.0)[0] == why.MOVING
    assert "moving to another compute" in story.record.status.conditions[0].message
    story.until(m.StartCompute)
    assert why.lines(story.database, 103.0)[0] == why.MOVING
    assert "it goes on" in why.unmoved(story.database, 70.0).hint
    assert isinstance(story.action, AskAgent)
