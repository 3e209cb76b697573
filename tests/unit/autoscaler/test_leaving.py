"""A compute that was told to end: its database moves before it does, and nobody waits for long."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Any

from torpor_api import messages as m
from torpor_api.failures import Busy, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import facts, why
from torpor_autoscaler.lifecycle.actions import AnswerSwitchover, Wait
from unit.autoscaler.moving import ask
from unit.autoscaler.story import Story, agent, awake

LEAVE_S = 30.0
NOW = 103.0
BUSY = Busy("session 3 of app is in a transaction")


def used(**spec: Any) -> Story:
    """Awake since 100, and in use at 103."""
    story = awake(**spec)
    story.at(NOW).sample(busy=1).rest()
    story.asked.clear()
    story.written.clear()
    story.effects.clear()
    return story


def leave(story: Story, seconds: float = LEAVE_S, compute: str = "c1") -> Story:
    """As the fleet does when the agent says so."""
    is_news = story.world.pool.leaves(compute, story.world.now + seconds)
    return story.fact(lambda it: facts.agent_leaves(it, compute, is_news=is_news))


def next_try(story: Story) -> m.CloseGate:
    """Moment after moment, until gates are to be closed."""
    for _ in range(100):
        if isinstance(story.request, m.CloseGate):
            return story.request
        if isinstance(story.action, Wait):
            assert story.action.until is not None
            story.at(story.action.until)
        else:
            story.answer()
    raise AssertionError(f"it does not try again: {story.asked[-5:]}")


def test_it_moves_at_once_as_in_any_switchover() -> None:
    story = leave(used())
    gate = story.until(m.CloseGate)
    assert gate.patience_s == story.world.limits.move_patience_s and not gate.insists
    stop = story.until(m.StopCompute)
    assert not stop.force
    story.rest()
    assert [status.phase for status in story.written] == [
        Phase.SUSPENDING,
        Phase.RESUMING,
        Phase.ACTIVE,
    ]
    assert (story.record.status.epoch, story.record.status.compute) == (2, "c2")
    last = story.record.status.last_switchover
    assert last is not None and last.epoch == 2
    assert story.notes().count("compute_leaves") == 1


def test_one_that_nobody_uses_goes_to_sleep_instead() -> None:
    story = leave(awake())
    story.let_time_pass(lambda: story.record.status.epoch == 2)
    story.at(115.0).sample(idle_s=15.0)
    leave(story, compute="c2").rest()
    assert story.phase() is Phase.SUSPENDED and story.record.status.epoch == 2


def test_while_somebody_is_in_a_transaction_it_tries_again_and_nobody_else_waits() -> None:
    story = leave(used())
    limits, began = story.world.limits, []
    while not (gate := next_try(story)).insists:
        began.append(story.world.now)
        assert gate.patience_s <= limits.move_patience_s
        story.fail(BUSY).until(m.OpenGate)
        story.rest()
        assert story.phase() is Phase.ACTIVE
    pauses = [later - earlier for earlier, later in pairwise(began)]
    assert pauses[0] == limits.move_backoff_s_min and max(pauses) == limits.move_backoff_s_max
    assert story.world.now == NOW + LEAVE_S - limits.move_last_s


def late() -> Story:
    """Its time is up but for what the last try takes."""
    story = leave(used())
    while not next_try(story).insists:
        story.asked.clear()
        story.fail(BUSY).rest()
    return story


def test_at_last_whoever_is_left_is_ended_in_good_order() -> None:
    story = late()
    assert not story.all(m.Checkpoint)
    stop = story.until(m.StopCompute)
    assert stop.force and stop.grace_s == 0.0
    story.rest()
    assert story.record.status.compute == "c2" and not story.all(m.ConfirmGone)


def test_at_last_a_gate_that_can_not_be_closed_does_not_keep_it() -> None:
    story = late()
    story.fail(Unavailable("proxy p1 does not answer"))
    assert story.until(m.StopCompute).force
    story.rest()
    assert story.record.status.compute == "c2" and "left_behind" in story.notes()


def test_without_a_warm_compute_gates_stay_open_until_the_last_moment() -> None:
    story = leave(used(agents=1))
    story.rest()
    assert story.world.pool.waiting == ("shop",) and not story.asked
    story.at(NOW + LEAVE_S - story.world.limits.move_last_s)
    story.until(m.StopCompute)
    story.rest()
    assert story.phase() is Phase.SUSPENDING  # Released; whoever comes waits for a compute.
    story.world.pool.learn(agent(2))
    story.fact(lambda database: None).rest()
    assert story.record.status.compute == "c2"


def test_when_nobody_says_how_long_it_goes_on_trying() -> None:
    story = leave(used(), inf)
    for _ in range(20):
        assert not next_try(story).insists
        story.fail(BUSY).rest()
    next_try(story)
    story.rest()
    assert story.record.status.compute == "c2"


def test_nobody_claims_one_that_leaves() -> None:
    story = Story(agents=2)
    leave(story, compute="c1")
    story.wake()
    story.rest()
    assert story.record.status.compute == "c2"


def test_a_reserved_one_that_leaves_as_well_is_found_out_before_there_is_no_way_back() -> None:
    story = leave(used(agents=3))
    story.until(m.CloseGate)
    leave(story, compute="c2")
    story.answer().until(m.OpenGate)
    story.let_time_pass(lambda: story.record.status.compute == "c3")
    stops = story.all(m.StopCompute)
    assert len(stops) == 1 and story.record.status.epoch == 2


def test_a_persons_switchover_is_not_waited_for_longer_than_the_compute_is_there() -> None:
    story = used(agents=1)
    ask(story)
    leave(story).rest()
    assert story.database.switching is not None and not story.asked
    story.at(NOW + LEAVE_S - story.world.limits.move_last_s)
    assert story.until(m.CloseGate).insists
    story.rest()
    story.world.pool.learn(agent(2))
    story.fact(lambda database: None).rest()
    assert [type(move) for move in story.moves()] == [m.SwitchedOver]


def test_people_are_told_why_it_moves() -> None:
    story = leave(used(agents=1))
    story.rest()
    assert "its compute was told to end" in "; ".join(why.lines(story.database, NOW))


def test_a_move_of_its_own_is_answered_to_nobody() -> None:
    story = leave(used())
    story.rest()
    assert [e.asker for e in story.effects if isinstance(e, AnswerSwitchover)] == [0]


def test_who_wants_it_asleep_is_answered_while_it_waits_for_another_compute() -> None:
    """The compute is gone, its sessions want another one, and none is warm."""
    story = used(agents=1)
    story.fact(facts.agent_gone, "c1", NOW)
    story.rest()
    assert story.world.pool.waiting == ("shop",)
    story.fact(facts.wish_asleep, 5, NOW)
    story.rest()
    assert story.refusals() == [None] and story.phase() is Phase.SUSPENDED
