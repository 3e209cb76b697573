"""A recovery that takes long is waited for; ending its compute would only make it begin anew."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.failures import NotFenced, StartFailed, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import facts, why
from torpor_autoscaler.lifecycle.limits import Limits
from unit.autoscaler.story import FACTS, Story, address, awake, running

STARTING = m.AgentState(compute="c1", state="starting", database="shop", epoch=1)

LOST = m.PostgresLost(database="shop", epoch=1, restarting=True, reason="signal 9")


def starting() -> Story:
    """A start whose answer has not come in time, because Postgres recovers."""
    story = Story(agents=4)
    story.wake()
    story.until(m.StartCompute)
    story.states["c1"] = STARTING
    return no_answer(story)


def no_answer(story: Story) -> Story:
    story.at(story.world.now + 60.0)
    return story.fail(Unavailable("no answer to StartCompute in 60 s"))


def crashed() -> Story:
    story = awake(limits=Limits(restart_s_max=60.0, start_s_max=600.0, start_grace_s=0.0)).sample()
    story.states["c1"] = STARTING
    return story.fact(facts.postgres_lost, LOST, 100.0)


def pass_to_the_next_moment(story: Story) -> None:
    wait = story.rest()
    assert wait.until is not None
    story.at(wait.until)


def test_a_start_of_which_nobody_hears_is_asked_for_again_while_the_agent_starts() -> None:
    story = starting()
    for _ in range(30):  # Half an hour.
        assert story.asks(m.AskAgentState)
        story.answer()
        pass_to_the_next_moment(story)
        assert story.asks(m.StartCompute)
        no_answer(story)
    story.answer()
    pass_to_the_next_moment(story)
    started = m.Started(address=address("c1"), steps=(), facts=FACTS, max_connections=7)
    story.answer(started).rest()
    assert story.phase() is Phase.ACTIVE and story.record.status.epoch == 1
    assert story.database.facts == FACTS and story.database.trouble is None
    assert not story.all(m.ConfirmGone)
    assert len({start.model_dump_json() for start in story.all(m.StartCompute)}) == 1


def test_who_waits_hears_at_its_deadline_that_postgres_is_being_started() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.at(155.0)
    failure = why.unanswered(story.database, 55.0)
    assert "compute c1 has not yet started Postgres" in failure.message


def test_an_answer_that_was_lost_after_the_start_is_asked_for_again() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.do_and_fail(Unavailable("the connection was lost"))
    story.let_time_pass(story.answers)
    assert story.record.status.epoch == 1 and not story.all(m.ConfirmGone)


@pytest.mark.parametrize(
    "state",
    [
        Unavailable("nobody answers"),
        m.AgentState(compute="c1", state="failed", database="shop", epoch=1),
        m.AgentState(compute="c1", state="warm"),
        STARTING.model_copy(update={"epoch": 9}),
        running("c1", 1, database="other"),
    ],
)
def test_a_compute_that_does_not_start_is_fenced(state: object) -> None:
    story = starting().answer(state)
    assert story.until(m.ConfirmGone).compute == "c1"
    story.let_time_pass(story.answers)
    assert story.record.status.compute == "c2"


def test_the_reason_of_a_start_that_failed_late_is_the_agents() -> None:
    story = starting()
    story.answer()
    pass_to_the_next_moment(story)
    story.fail(StartFailed("Postgres was not ready within 3600 s"))
    assert story.database.trouble is not None
    assert story.database.trouble.failure.message == "Postgres was not ready within 3600 s"


def test_a_start_has_an_end_even_if_its_agent_does_not_say_so() -> None:
    story = starting()
    while not story.all(m.ConfirmGone):
        assert story.world.now < 100.0 + 2 * story.world.limits.start_s_max
        if story.asks(m.StartCompute):
            no_answer(story)
        elif story.request is not None:
            story.answer()
        else:
            pass_to_the_next_moment(story)
    assert story.world.now >= 100.0 + story.world.limits.start_s_max


# --- a crash of Postgres alone -------------------------------------------------------------------


def test_a_postgres_that_recovers_under_its_agent_is_left_to_it() -> None:
    story = crashed()
    story.wake()
    for _ in range(5):
        pass_to_the_next_moment(story)
        assert story.asks(m.AskAgentState)
    assert not story.all(m.ConfirmGone)
    assert why.RESTARTING in why.unanswered(story.database, 55.0).message
    started = m.Started(address=address("c1"), steps=(), facts=FACTS, max_connections=7)
    back = m.PostgresBack(database="shop", epoch=1, started=started)
    story.answer().rest()
    story.fact(facts.postgres_back, back).rest()
    assert story.record.status.epoch == 1 and story.database.is_up


def test_one_whose_agent_has_given_up_meanwhile_is_replaced() -> None:
    story = crashed()
    story.states["c1"] = STARTING.model_copy(update={"state": "failed"})
    pass_to_the_next_moment(story)
    assert story.world.now == 160.0
    story.until(m.ConfirmGone)


def test_one_that_is_back_without_our_having_heard_of_it_serves() -> None:
    story = crashed()
    story.states["c1"] = running("c1", 1)
    pass_to_the_next_moment(story)
    story.rest()
    assert story.database.is_up and not story.all(m.ConfirmGone)


def test_one_that_never_comes_back_is_given_up() -> None:
    story = crashed()
    while not story.all(m.ConfirmGone):
        pass_to_the_next_moment(story)
        if story.request is not None and not story.asks(m.ConfirmGone):
            story.answer()
    assert story.world.now == 700.0


def test_an_agent_that_was_in_doubt_and_is_starting_again_is_waited_for() -> None:
    story = awake()
    story.states["c1"] = STARTING
    story.fact(facts.agent_unheard, "c1").rest()
    assert story.database.run is not None and not story.database.is_up
    assert not story.all(m.ConfirmGone)


def test_an_agent_without_a_word_from_the_fencer_is_still_no_fault_of_the_database() -> None:
    story = starting()
    story.answer()
    pass_to_the_next_moment(story)
    story.fail(NotFenced("epoch 0 is held")).rest()
    assert story.database.trouble is None
