"""Behind its stop a switchover comes to an end in any case, as a resume does."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.failures import (
    Busy,
    Conflict,
    StartFailed,
    Unavailable,
)
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, LastSwitchover
from torpor_autoscaler.lifecycle import facts
from unit.autoscaler.moving import ask, begun
from unit.autoscaler.story import Story, agent, awake, running


def test_after_a_stop_of_unknown_outcome_it_is_fenced_and_comes_back() -> None:
    story = begun()
    story.until(m.StopCompute)
    story.fail(Unavailable("who knows")).until(m.ConfirmGone)
    (refusal,) = story.moves()
    assert isinstance(refusal, Unavailable) and "who knows" in str(refusal)
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    assert (story.record.status.epoch, story.record.status.compute) == (2, "c2")


def test_a_start_that_fails_is_tried_again_as_in_any_resume_and_the_pause_is_the_whole() -> None:
    story = begun()
    story.world.pool.learn(agent(3))
    story.until(m.StartCompute)
    story.fail(StartFailed("no luck"))
    assert story.moves() == [] and story.database.trouble is not None
    story.let_time_pass(story.moves)
    (moved,) = story.moves()
    assert isinstance(moved, m.SwitchedOver)
    assert (moved.epoch, moved.compute) == (3, "c3")
    assert moved.pause_ms >= 250.0
    assert sum(step.ms for step in moved.steps) == pytest.approx(moved.pause_ms)
    assert Phase.SUSPENDED not in [status.phase for status in story.written]


def test_a_start_that_fails_for_good_is_the_answer() -> None:
    story = begun()
    for number in range(3, 6):
        story.world.pool.learn(agent(number))
    for _ in range(story.world.limits.start_attempts_max):
        story.until(m.StartCompute)
        story.fail(StartFailed("no luck")).rest()
        assert story.database.trouble is not None
        if not story.database.trouble.is_final:
            story.at(story.database.trouble.retry_at)
    assert isinstance(story.moves()[0], StartFailed)
    story.rest()
    assert story.phase() is Phase.FAILED


def test_a_lost_race_for_the_claim_is_settled_by_the_record() -> None:
    story = begun()
    story.until(m.WriteStatus, phase=Phase.RESUMING)
    story.touch().fail(Conflict("once")).rest()
    assert isinstance(story.moves()[0], m.SwitchedOver)
    assert story.record.status.epoch == 2


def claimed_by_another(story: Story) -> None:
    """Another autoscaler has claimed it, with a compute that serves."""
    story.world.pool.learn(agent(9))
    story.states["c9"] = running("c9", 2)
    status = story.record.status.model_copy(
        update={"phase": Phase.RESUMING, "epoch": 2, "compute": "c9"}
    )
    story.store(story.record.model_copy(update={"status": status}))


def test_a_claim_that_another_has_won_ends_it_on_that_compute() -> None:
    story = begun()
    story.until(m.WriteStatus, phase=Phase.RESUMING)
    claimed_by_another(story)
    story.let_time_pass(story.moves)
    (moved,) = story.moves()
    assert isinstance(moved, m.SwitchedOver)
    assert (moved.epoch, moved.compute) == (2, "c9") and story.all(m.StartCompute) == []
    story.rest()
    assert story.phase() is Phase.ACTIVE and story.database.switching is None


def test_a_claim_of_another_before_its_turn_ends_it() -> None:
    story = awake(agents=1)
    ask(story).rest()
    claimed_by_another(story)
    story.fact(facts.observe, story.record)
    assert isinstance(story.moves()[0], Busy) and story.database.switching is None


def test_the_last_one_is_remembered_over_a_restart() -> None:
    last = LastSwitchover(at="2026-01-01T11:58:00Z", epoch=7, pause_ms=81.4)
    story = Story(DatabaseStatus(epoch=7, observed_generation=1, last_switchover=last))
    story.wake()
    story.rest()
    assert story.record.status.epoch == 8 and story.record.status.last_switchover == last


def test_a_record_that_falls_back_meanwhile_does_not_change_where_it_has_moved() -> None:
    story = begun()
    assert story.until(m.StartCompute).epoch == 2
    older = DatabaseStatus(phase=Phase.ACTIVE, epoch=1, compute="c1", observed_generation=1)
    story.store(story.record.model_copy(update={"status": older}))
    story.fact(facts.observe, story.record).answer().let_time_pass(story.moves)
    (moved,) = story.moves()
    assert isinstance(moved, m.SwitchedOver)
    assert (moved.epoch, moved.compute) == (2, "c2")
