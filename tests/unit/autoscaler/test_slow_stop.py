"""A stop that takes long is waited for: ending its compute would make the next start recover."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.failures import Busy, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import facts, why
from torpor_autoscaler.lifecycle.actions import NotAsked, NotReached, Wait
from unit.autoscaler.story import FACTS, Story, awake, running

STOPPING = m.AgentState(compute="c1", state="stopping", database="shop", epoch=1)

UNHEARD = Unavailable("no answer to StopCompute in 15 s")


def stopping(state: m.AgentState = STOPPING) -> Story:
    """Asked to stop at 120, and its answer has not come in time."""
    story = awake()
    story.at(120.0).sample(idle_s=20.0)
    story.until(m.StopCompute)
    story.states["c1"] = state
    return unheard(story)


def unheard(story: Story) -> Story:
    story.at(story.world.now + 15.0)
    return story.fail(UNHEARD)


def ask_again(story: Story) -> Story:
    """The agent says how it is, and is asked to stop once more."""
    if isinstance(story.action, Wait):
        story.at(story.action.until or 0.0)
    assert story.asks(m.AskAgentState)
    story.answer()
    assert story.asks(m.StopCompute)
    return story


def is_fenced(story: Story) -> bool:
    story.let_time_pass(lambda: story.all(m.ConfirmGone))
    return bool(story.all(m.ConfirmGone))


def test_an_agent_that_goes_on_stopping_is_waited_for() -> None:
    story = stopping()
    for _ in range(20):  # Five minutes.
        unheard(ask_again(story))
    ask_again(story).answer().rest()
    assert (story.phase(), story.record.status.compute) == (Phase.SUSPENDED, None)
    assert story.database.facts == FACTS and story.database.facts_are_exact
    assert not story.all(m.ConfirmGone)
    assert len({stop.model_dump_json() for stop in story.all(m.StopCompute)}) == 1


def test_the_answer_of_one_that_has_stopped_meanwhile_is_asked_for_again() -> None:
    story = stopping(STOPPING.model_copy(update={"state": "stopped"}))
    ask_again(story).answer().rest()
    assert story.phase() is Phase.SUSPENDED and not story.all(m.ConfirmGone)


def test_its_wait_has_an_end() -> None:
    story = stopping()
    while not story.all(m.ConfirmGone):
        assert story.world.now < 120.0 + 2 * story.world.limits.stop_s_max
        if story.asks(m.StopCompute):
            unheard(story)
        elif story.request is not None:
            story.answer()
        else:
            story.at(story.rest().until or 0.0)
    assert story.world.now >= 120.0 + story.world.limits.stop_s_max


@pytest.mark.parametrize(
    "state",
    [
        Unavailable("nobody answers"),
        STOPPING.model_copy(update={"state": "failed"}),
        STOPPING.model_copy(update={"epoch": 9}),
        STOPPING.model_copy(update={"database": "other"}),
        running("c1", 1),
    ],
)
def test_one_that_does_not_stop_is_fenced(state: object) -> None:
    assert is_fenced(stopping().answer(state))


def test_one_that_is_gone_is_not_asked_again() -> None:
    story = awake()
    story.at(120.0).sample(idle_s=20.0)
    story.until(m.StopCompute)
    story.fact(facts.agent_gone, "c1", 120.0)
    story.fail(UNHEARD)
    assert not story.all(m.AskAgentState) and len(story.all(m.StopCompute)) == 1


def test_that_it_could_not_be_asked_again_does_not_call_the_stop_off() -> None:
    story = stopping()
    story.fail(NotAsked("no open files"))
    assert story.asks(m.StopCompute)
    story.fail(NotAsked("no open files"))
    ask_again(story).answer().rest()
    assert story.phase() is Phase.SUSPENDED and not story.all(m.OpenGate)


def test_one_that_could_not_be_asked_again_and_then_does_not_stop_is_fenced() -> None:
    story = ask_again(stopping())
    story.fail(NotAsked("no open files"))
    story.at(story.rest().until or 0.0)
    assert is_fenced(story.answer(STOPPING.model_copy(update={"state": "failed"})))
    assert not story.all(m.OpenGate)


def test_one_that_finds_somebody_late_goes_on_as_if_nothing_had_been() -> None:
    story = ask_again(stopping())
    story.fail(Busy("session 3 has come")).rest()
    assert story.phase() is Phase.ACTIVE and story.all(m.OpenGate)
    assert story.database.blocked_by is None and not story.all(m.ConfirmGone)


def test_who_waits_hears_at_its_deadline_what_for() -> None:
    story = stopping()
    story.wake()
    assert "compute c1 is still stopping Postgres" in why.unanswered(story.database, 55.0).message
    ask_again(story).answer().rest()
    assert [type(answer) for answer in story.answers()][-1] is m.Awake


@pytest.mark.parametrize("is_moved", [False, True], ids=["suspend", "switchover"])
def test_one_whose_order_was_never_sent_goes_on(is_moved: bool) -> None:
    """Its agent could not be called: it is sound as far as anybody knows, and has not stopped."""
    story = awake()
    story.at(120.0).sample(idle_s=20.0 if not is_moved else 0.0)
    if is_moved:
        story.fact(facts.ask_switchover, 7, 1.0)
    story.until(m.StopCompute)
    story.fail(NotReached("nobody answers at c1"))
    assert story.asks(m.OpenGate)
    story.states["c1"] = running("c1", 1)
    story.rest()
    assert story.database.is_up and story.phase() is Phase.ACTIVE
    assert not story.all(m.ConfirmGone) and len(story.all(m.StopCompute)) == 1
    story.let_time_pass(lambda: is_moved or story.phase() is Phase.SUSPENDED)
    assert not story.all(m.ConfirmGone)


def test_one_whose_answer_was_lost_and_who_is_not_reached_any_more_is_not_known_to_be_sound() -> (
    None
):
    story = stopping()
    assert story.asks(m.AskAgentState)
    story.fail(NotReached("nobody answers at c1"))
    assert is_fenced(story)
