"""An agent that does not answer is asked again: nobody is ended for what may be our own trouble."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import endpoints, facts, outcomes, why
from torpor_autoscaler.lifecycle.actions import Wait
from torpor_autoscaler.lifecycle.limits import Limits
from unit.autoscaler.story import Story, address, agent, awake, running

PATIENCE_S = Limits().silence_s_max

DIAL_S = 5.0
"""What an attempt takes that comes to nothing."""


def silent(story: Story, until: float, meanwhile: Callable[[], object] = lambda: None) -> Story:
    """Its agent answers nothing up to that moment, or until somebody is asked to end it."""
    while story.world.now < until and not story.asks(m.ConfirmGone):
        meanwhile()
        if story.asks(m.AskAgentState):
            story.at(story.world.now + DIAL_S)
            story.fail(Unavailable("nobody answers"))
        elif isinstance(story.action, Wait):
            story.at(min(until, max(story.world.now + 0.1, story.action.until or until)))
        else:
            story.answer()
    return story


def in_doubt(**spec: object) -> Story:
    story = awake(**spec).sample(busy=1, attached=1)
    story.asked.clear()
    return story.fact(facts.agent_unheard, "c1")


def found(phase: Phase) -> Story:
    """As after a restart of the autoscaler: the record names compute c1, under epoch 5."""
    story = Story(DatabaseStatus(phase=phase, epoch=5, compute="c1", observed_generation=1))
    story.world.pool.bind("shop", "c1")
    return story


# --- patience ------------------------------------------------------------------------------------


def test_an_agent_that_is_silent_for_a_while_is_asked_again_and_keeps_its_sessions() -> None:
    story = silent(in_doubt(), 100.0 + PATIENCE_S - 1)
    assert endpoints.info(story.database).address == address("c1")
    assert len(story.all(m.AskAgentState)) > 3
    story.rest()
    story.let_time_pass(lambda: story.database.doubt is None)
    assert not story.all(m.ConfirmGone) and story.database.run is not None


def test_one_that_stays_silent_is_ended_while_the_cluster_answers() -> None:
    story = silent(in_doubt(), 100.0 + 3 * PATIENCE_S)
    assert story.asks(m.ConfirmGone)
    assert story.world.now >= 100.0 + PATIENCE_S
    assert story.names()[-3:] == ["GetResource", "AskAgentState", "ConfirmGone"]
    story.rest()
    assert story.record.status.epoch == 2


def test_nobody_is_ended_while_the_cluster_does_not_answer_either() -> None:
    story = silent(in_doubt(), 100.0 + PATIENCE_S)
    for _ in range(20):
        if story.asks(m.GetResource):
            story.at(story.world.now + DIAL_S).fail(Unavailable("no route to the API server"))
        assert not story.asks(m.AskAgentState)
        story.at(story.rest().until or 0.0)
    assert story.database.run is not None and not story.all(m.ConfirmGone)


def test_as_long_as_proxies_have_sessions_attached_there_it_lives() -> None:
    story = in_doubt()
    silent(story, 400.0, lambda: story.sample(attached=3))
    assert story.database.run is not None and not story.all(m.ConfirmGone)
    silent(story, 400.0 + 3 * PATIENCE_S, lambda: story.sample(attached=3, epoch=0))
    assert story.asks(m.ConfirmGone)


def test_what_its_agent_says_by_itself_is_a_sign_of_life() -> None:
    story = in_doubt()
    for moment in range(110, 400, 10):
        silent(story, float(moment))
        story.fact(facts.heard, 1, story.world.now)
    assert story.database.run is not None and not story.all(m.ConfirmGone)


def test_what_a_former_agent_says_is_none() -> None:
    story = in_doubt()
    for moment in range(110, 400, 10):
        silent(story, float(moment), lambda: story.fact(facts.heard, 0, story.world.now))
    assert story.asks(m.ConfirmGone)


# --- words that count at once --------------------------------------------------------------------


def test_a_word_of_the_cluster_that_it_is_gone_is_not_waited_behind() -> None:
    story = silent(in_doubt(), 110.0)
    story.fact(facts.agent_gone, "c1", 110.0)
    if story.asks(m.AskAgentState):
        story.fail(Unavailable("nobody answers"))
    story.rest()
    assert story.record.status.epoch == 2 and not story.all(m.ConfirmGone)


def test_a_proxy_that_can_not_reach_it_either_is_believed_at_once() -> None:
    story = silent(in_doubt(), 110.0)
    if story.asks(m.AskAgentState):
        story.fail(Unavailable("nobody answers"))
    story.wake(lost_epoch=1)
    assert story.asks(m.AskAgentState)
    story.fail(Unavailable("nobody answers"))
    assert story.asks(m.ConfirmGone)


def test_one_of_which_the_cluster_does_not_speak_any_more_is_asked_once() -> None:
    story = awake().sample(attached=1)
    story.world.pool.forget("c1")
    story.fact(facts.agent_unheard, "c1").fail(Unavailable("nobody answers"))
    assert story.asks(m.ConfirmGone)


def test_one_that_was_told_to_end_is_not_waited_for_for_long() -> None:
    story = awake().sample(attached=1)
    story.world.pool.leaves("c1", 400.0)
    silent(story.fact(facts.agent_unheard, "c1"), 120.0)
    assert story.asks(m.ConfirmGone)


# --- our own deafness ----------------------------------------------------------------------------


def deaf(story: Story) -> None:
    """As many others fall silent as are allowed to."""
    story.at(story.world.now + 0.5)  # When the last of them has answered something.
    for number in range(story.world.limits.silent_max):
        story.world.silences.unanswered(f"other{number}", story.world.now)


def test_nobody_is_ended_while_no_agent_at_all_is_heard() -> None:
    story = in_doubt()
    deaf(story)
    silent(story, 1000.0)
    assert story.database.run is not None and not story.all(m.ConfirmGone)
    assert "no_agent_is_heard" in story.notes()
    assert "neither do others" in why.lines(story.database, 1000.0)[0]
    story.world.silences.heard(1000.0)  # Its patience begins anew: it may be the next.
    silent(story, 1000.0 + PATIENCE_S - 1)
    assert not story.all(m.ConfirmGone)
    silent(story, 1000.0 + 3 * PATIENCE_S)
    assert story.asks(m.ConfirmGone)


def test_one_word_does_not_end_a_deafness_that_goes_on() -> None:
    """All are asked again after it, and none answers."""
    story = in_doubt()
    deaf(story)
    silent(story, 1000.0)
    story.world.silences.heard(1000.0)
    deaf(story)
    silent(story, 1000.0 + 3 * PATIENCE_S)
    assert story.world.silences.is_deaf and not story.all(m.ConfirmGone)


def test_a_silence_ends_with_its_compute() -> None:
    """The next one of the database has its own patience."""
    story = silent(in_doubt(), 105.0)
    assert story.world.silences.of("shop") is not None
    outcomes.confirm_gone(story.database, "c1")
    assert story.world.silences.of("shop") is None


def test_many_that_fall_silent_on_a_dead_node_are_ended_when_others_are_heard() -> None:
    story = in_doubt()
    deaf(story)
    silent(story, 100.0 + 3 * PATIENCE_S, lambda: story.world.silences.heard(story.world.now))
    assert story.asks(m.ConfirmGone)


def test_a_proxy_s_word_counts_also_then() -> None:
    story = in_doubt()
    deaf(story)
    silent(story, 110.0)
    if story.asks(m.AskAgentState):
        story.fail(Unavailable("nobody answers"))
    story.wake(lost_epoch=1)
    story.fail(Unavailable("nobody answers"))
    assert story.asks(m.ConfirmGone)


def test_every_answer_of_an_agent_is_heard_of() -> None:
    story = Story()
    story.world.silences.unanswered("other", 90.0)
    for number in range(story.world.limits.silent_max):
        story.world.silences.unanswered(f"other{number}", 90.0)
    assert story.world.silences.is_deaf
    story.wake()
    story.until(m.StartCompute)
    assert story.world.silences.is_deaf
    story.answer()
    assert not story.world.silences.is_deaf


# --- a restart of the autoscaler -----------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.RESUMING, Phase.ACTIVE, Phase.SUSPENDING])
def test_one_that_was_found_is_asked_again_as_well(phase: Phase) -> None:
    story = silent(found(phase), 100.0 + PATIENCE_S - 1)
    assert not story.all(m.ConfirmGone)
    assert why.unanswered(story.database, 55.0).message.endswith("nobody answers")
    story.states["c1"] = running("c1", 5)
    story.let_time_pass(lambda: story.database.run is not None)
    assert story.record.status.epoch == 5 and endpoints.info(story.database).address


def test_and_given_up_when_it_stays_silent() -> None:
    story = silent(found(Phase.ACTIVE), 100.0 + 3 * PATIENCE_S)
    assert story.asks(m.ConfirmGone) and story.world.now >= 100.0 + PATIENCE_S


def test_and_at_once_where_a_proxy_has_found_it_dead() -> None:
    story = silent(found(Phase.ACTIVE), 110.0)
    if story.asks(m.AskAgentState):
        story.fail(Unavailable("nobody answers"))
    story.wake(lost_epoch=5)
    story.fail(Unavailable("nobody answers"))
    assert story.asks(m.ConfirmGone)
    story.rest()
    assert story.record.status.epoch == 6


def test_and_not_at_all_while_nobody_is_heard() -> None:
    story = found(Phase.ACTIVE)
    deaf(story)
    silent(story, 1000.0)
    assert not story.all(m.ConfirmGone)


def test_one_that_is_gone_meanwhile_is_not_asked_about() -> None:
    story = silent(found(Phase.ACTIVE), 110.0)
    story.fact(facts.agent_gone, "c1", 110.0)
    if story.asks(m.AskAgentState):
        story.fail(Unavailable("nobody answers"))
    story.rest()
    assert not story.all(m.ConfirmGone) and story.phase() is Phase.SUSPENDED
    assert story.world.pool.find("c2") == agent(2)
