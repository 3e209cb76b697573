"""A compute was claimed, and its agent says that it is another database's, which proves that it has
done nothing for this one. Two processes choose among the warm ones, and one was faster."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.failures import BoundElsewhere, Conflict, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle.actions import Wait
from unit.autoscaler.story import Story

TAKEN = BoundElsewhere("compute c1 is bound to blog under epoch 3")


def test_the_next_one_is_claimed_at_once_and_nobody_is_ended() -> None:
    story = Story()
    story.wake()
    assert story.until(m.StartCompute).epoch == 1
    story.asked.clear()
    story.fail(TAKEN)
    assert story.until(m.StartCompute).epoch == 2
    assert "ConfirmGone" not in story.names() and story.database.retries == 0
    assert (story.record.status.compute, story.record.status.fenced) == ("c2", ("c1",))
    story.answer()
    story.rest()
    assert (story.phase(), story.database.trouble) == (Phase.ACTIVE, None)


def test_where_no_other_is_warm_it_waits_for_one() -> None:
    story = Story(agents=1)
    story.wake()
    story.until(m.StartCompute)
    story.fail(TAKEN)
    assert story.rest().until is None
    assert story.world.pool.waiting == ("shop",)
    assert "ConfirmGone" not in story.names()


def test_of_its_own_database_it_may_have_the_volume_and_is_confirmed_gone_first() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.fail(Conflict("compute c1 is bound to shop under epoch 9"))
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    assert "ConfirmGone" in story.names()


def test_so_is_one_whose_address_another_may_have_by_now() -> None:
    """It has not answered when it was asked first: it may have started all the same."""
    story = Story()
    story.states["c1"] = m.AgentState(compute="c1", state="starting", database="shop", epoch=1)
    story.wake()
    story.until(m.StartCompute)
    story.fail(Unavailable("no answer")).until(m.AskAgentState)
    story.answer()
    assert isinstance(story.action, Wait) and story.action.until is not None
    story.at(story.action.until)
    story.until(m.StartCompute)
    story.fail(TAKEN)
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    assert "ConfirmGone" in story.names()


@pytest.mark.parametrize("state", ["running", "starting", "refused"])
def test_nor_is_one_ended_that_a_late_claim_names(state: str) -> None:
    """The life before had sent the claim, and another database has had the compute since."""
    story = Story(DatabaseStatus(phase=Phase.RESUMING, epoch=4, compute="c1"))
    story.states["c1"] = m.AgentState(compute="c1", state=state, database="blog", epoch=2)
    story.world.pool.spend("c1", "blog")
    story.wake()
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    assert story.phase() is Phase.ACTIVE and "ConfirmGone" not in story.names()
    assert story.record.status.compute == "c2"
