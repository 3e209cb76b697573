"""Where people wait for the condition Ready, a database that sleeps has it, as its spec is now."""

from __future__ import annotations

import pytest

from torpor_api.failures import Conflict, Failure, Unavailable
from torpor_api.messages import FetchLoginFacts, StartCompute, WriteStatus
from torpor_api.phases import Phase
from torpor_api.resource import Condition, DatabaseStatus
from unit.autoscaler.story import Story


def ready(story: Story) -> Condition:
    (found,) = [one for one in story.record.status.conditions if one.type == "Ready"]
    return found


def test_a_new_database_is_ready_while_it_sleeps() -> None:
    story = Story(tells_of_rest=True)
    story.rest()
    assert (ready(story).status, ready(story).reason) == ("True", "Suspended")
    assert ready(story).observed_generation == 1
    assert story.phase() is Phase.SUSPENDED and story.record.status.epoch == 0
    assert len(story.written) == 1


def test_where_nobody_waits_for_that_nothing_is_written() -> None:
    story = Story()
    story.rest()
    assert story.written == []


def test_one_whose_spec_has_changed_says_so_of_the_new_one() -> None:
    story = Story(tells_of_rest=True)
    story.rest()
    story.change(idleTimeout="20s").rest()
    assert ready(story).observed_generation == 2
    assert len(story.written) == 2


def test_it_is_not_ready_before_it_is_known_who_may_log_in() -> None:
    story = Story(tells_of_rest=True)
    story.until(FetchLoginFacts)
    story.fail(Unavailable("no verifiers yet")).rest()
    assert story.written == []
    story.let_time_pass(lambda: bool(story.written))
    assert ready(story).status == "True"


@pytest.mark.parametrize("failure", [Unavailable("away"), Conflict("written in between")])
def test_a_write_that_failed_is_tried_again(failure: Failure) -> None:
    story = Story(tells_of_rest=True)
    story.until(WriteStatus)
    story.fail(failure)
    story.let_time_pass(lambda: bool(story.written))
    assert ready(story).status == "True"


def test_whoever_wakes_it_does_not_wait_for_that() -> None:
    story = Story(tells_of_rest=True)
    story.wake()
    story.until(StartCompute)
    assert [status.phase for status in story.written][-1] is Phase.RESUMING


def test_one_that_failed_before_our_start_keeps_its_reason() -> None:
    reason = Condition(type="Ready", status="False", reason="DataDamaged", observed_generation=1)
    failed = DatabaseStatus(
        phase=Phase.FAILED, epoch=1, conditions=(reason,), observed_generation=1
    )
    story = Story(failed, tells_of_rest=True)
    story.change(idleTimeout="20s").rest()
    assert ready(story) == reason and story.written == []
