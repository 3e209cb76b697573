"""A claim of which nobody has heard what came of it, and whom nobody waits for any more."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.failures import Conflict, Failure, InvalidRequest, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import facts
from torpor_autoscaler.lifecycle.writing import TRIES_MAX
from unit.autoscaler.story import POOL, Story


@pytest.mark.parametrize("has_arrived", [False, True])
def test_a_compute_of_a_claim_that_came_to_nothing_is_had_by_the_next(has_arrived: bool) -> None:
    story = Story(agents=1, has_volumes=True)
    waiter = story.wake()
    story.until(m.WriteStatus, phase=Phase.RESUMING)
    away = Unavailable("the API server is away")
    story.do_and_fail(away) if has_arrived else story.fail(away)
    story.fail(away)  # Nor does it say what has become of it.
    story.fact(facts.leave, waiter)
    story.let_time_pass(lambda: False)
    taken = story.world.pool.take("other", None, pool=POOL)
    assert (taken is None) == has_arrived
    assert (story.phase(), story.database.reserved) == (Phase.SUSPENDED, None)


@pytest.mark.parametrize("failure", [Unavailable("the webhook says no"), InvalidRequest("422")])
def test_a_write_that_fails_is_told_by_what_failed_and_asked_for_after_a_pause(
    failure: Failure,
) -> None:
    story = Story()
    story.wake()
    story.until(m.WriteStatus, phase=Phase.RESUMING)
    story.asked.clear()
    story.fail(failure).until(m.GetResource)
    story.answer()
    assert story.names() == ["GetResource"] and story.rest().until is not None
    assert story.database.blocked_by is failure
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    assert story.record.status.epoch == 1


def test_a_race_is_run_again_at_once_and_not_for_ever() -> None:
    story = Story()
    story.wake()
    story.until(m.WriteStatus, phase=Phase.RESUMING)
    for _ in range(TRIES_MAX):
        assert story.asks(m.WriteStatus)
        story.touch().fail(Conflict("written in between")).until(m.GetResource)
        story.answer()
    assert story.rest().until is not None
    assert story.database.blocked_by is not None
    assert story.database.blocked_by.message == "shop: lost 5 races for its record"


def test_a_compute_that_vanishes_in_the_claim_is_not_waited_for() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.fact(facts.agent_gone, "c1", 100.1)
    story.fail(Unavailable("the connection was lost"))
    wait = story.rest()
    assert wait.until is not None and not story.all(m.ConfirmGone)
    story.at(wait.until).rest()
    assert story.record.status.compute == "c2"
