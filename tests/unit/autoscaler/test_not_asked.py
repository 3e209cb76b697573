"""That we have no open file left for a question is no evidence against whom it was for."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import endpoints, facts
from torpor_autoscaler.lifecycle.actions import NotAsked
from unit.autoscaler.story import Story, address, awake, running

NO_FILES = NotAsked("c1 can't be called: Too many open files")


def fail_often(story: Story, times: int = 10) -> None:
    for _ in range(times):
        story.fail(NO_FILES)
        wait = story.rest()
        assert wait.until is not None
        story.at(wait.until)


def test_a_compute_in_doubt_stays_so_until_it_can_be_asked() -> None:
    story = awake(keepAwake=True)
    story.fact(facts.agent_unheard, "c1")
    assert story.asks(m.AskAgentState)
    fail_often(story)
    assert endpoints.info(story.database).address == address("c1")
    story.rest()
    assert story.database.is_up
    assert not story.all(m.ConfirmGone)


def test_one_that_was_found_is_not_ended_because_it_can_not_be_asked() -> None:
    story = Story(DatabaseStatus(phase=Phase.ACTIVE, epoch=5, compute="c1", observed_generation=1))
    story.states["c1"] = running("c1", 5)
    story.until(m.AskAgentState)
    fail_often(story)
    story.rest()
    assert story.database.is_up and not story.all(m.ConfirmGone)


def test_a_start_that_was_not_asked_for_is_asked_for_again() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    for _ in range(10):
        story.fail(NO_FILES)
        assert story.asks(m.AskAgentState)
        fail_often(story, 1)
        assert story.asks(m.StartCompute)
    story.rest()
    assert story.phase() is Phase.ACTIVE and story.record.status.epoch == 1
    assert not story.all(m.ConfirmGone)


@pytest.mark.parametrize("step", [m.AskActivity, m.Checkpoint, m.StopCompute])
def test_a_suspend_without_its_question_is_called_off(step: type[m.Message]) -> None:
    story = awake()
    story.at(106.0).sample(idle_s=6.0).rest()
    story.at(120.0).sample(idle_s=20.0)
    story.until(step)
    story.fail(NO_FILES).rest()
    assert story.database.is_up and story.phase() is Phase.ACTIVE
    assert not story.all(m.ConfirmGone)
