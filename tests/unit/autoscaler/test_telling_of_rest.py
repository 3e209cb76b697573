"""Where people wait for the condition Ready, a database that sleeps has it, as its spec is now."""

from __future__ import annotations

from typing import Literal

import pytest

from torpor_api.failures import Conflict, Failure, NoWarmCompute, Unavailable
from torpor_api.messages import FetchLoginFacts, StartCompute, WriteStatus
from torpor_api.phases import Phase
from torpor_api.resource import Condition, DatabaseStatus
from torpor_autoscaler.lifecycle import facts
from torpor_autoscaler.lifecycle.actions import AskCluster
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


def test_whoever_wakes_it_meanwhile_does_not_stand_behind_that() -> None:
    story = Story(tells_of_rest=True)
    first = story.action
    assert isinstance(first, AskCluster) and isinstance(first.request, FetchLoginFacts)
    assert first.can_wait
    story.answer()
    rest = story.action
    assert isinstance(rest, AskCluster) and isinstance(rest.request, WriteStatus)
    assert rest.can_wait
    story.wake()
    story.until(StartCompute)
    assert story.written[0].phase is Phase.RESUMING


def test_a_word_of_rest_that_was_written_after_all_is_no_hindrance_to_a_claim() -> None:
    story = Story(tells_of_rest=True)
    story.until(WriteStatus)
    story.touch()  # It has reached the record, and nobody has heard of it.
    story.wake()
    story.until(StartCompute)
    assert story.record.status.epoch == 1


def test_whoever_wakes_it_before_its_facts_are_known_waits_for_them_in_no_line() -> None:
    story = Story(tells_of_rest=True)
    story.wake()
    again = story.action
    assert isinstance(again, AskCluster) and isinstance(again.request, FetchLoginFacts)
    assert not again.can_wait
    story.until(StartCompute)
    assert story.database.facts.roles


def test_a_database_that_nobody_wants_gives_way_to_nobody() -> None:
    story = Story(tells_of_rest=True)
    story.fact(lambda database: None)
    assert story.asks(FetchLoginFacts) and len(story.all(FetchLoginFacts)) == 1


def storage_is(story: Story, status: Literal["True", "False"], reason: str, message: str) -> None:
    """The operator says so."""
    said = Condition(type="StorageReady", status=status, reason=reason, message=message)
    own = [one for one in story.record.status.conditions if one.type != "StorageReady"]
    status_now = story.record.status.model_copy(update={"conditions": (*own, said)})
    story.store(story.record.model_copy(update={"status": status_now}))
    story.fact(facts.observe, story.record)


def test_one_without_a_volume_is_not_ready_until_it_has_one() -> None:
    story = Story(tells_of_rest=True)
    story.rest()
    storage_is(story, "False", "ClaimPending", "write another class")
    story.rest()
    assert (ready(story).status, ready(story).reason) == ("False", "StorageNotReady")
    assert ready(story).message == "ClaimPending: write another class"
    storage_is(story, "True", "Assigned", "")
    story.rest()
    assert (ready(story).status, ready(story).reason) == ("True", "Suspended")


def test_whoever_wakes_one_without_a_volume_hears_of_its_pool_and_why() -> None:
    story = Story(tells_of_rest=True, has_volumes=True, agents=0)
    story.rest()
    storage_is(story, "False", "ClaimPending", "write another class")
    story.wake()
    story.rest()
    blocked = story.database.blocked_by
    assert isinstance(blocked, NoWarmCompute)
    assert "pool default" in blocked.message and blocked.hint == "ClaimPending: write another class"
