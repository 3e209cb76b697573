"""What a person is told where he looks at a database: seldom, and nothing that mends at once."""

from __future__ import annotations

from torpor_api import messages as m
from torpor_api.failures import Busy, Failure, NotFenced, Refused, StartFailed, Unavailable
from torpor_autoscaler.lifecycle import facts
from torpor_autoscaler.lifecycle.actions import Tell, Wait
from unit.autoscaler.moving import ask
from unit.autoscaler.story import STEPS_MAX, Story, awake

LEAVE_S = 30.0


def told(story: Story) -> list[Tell]:
    return [effect for effect in story.effects if isinstance(effect, Tell)]


def reasons(story: Story) -> list[str]:
    return [one.reason for one in told(story)]


def leave(story: Story) -> Story:
    """As the fleet does when the agent says so."""
    is_news = story.world.pool.leaves("c1", story.world.now + LEAVE_S)
    return story.fact(lambda it: facts.agent_leaves(it, "c1", is_news=is_news))


def fail_next(story: Story, kind: type[m.Message], failure: Failure) -> None:
    """Moment after moment, until this is asked; its outcome is that failure."""
    for _ in range(STEPS_MAX):
        if story.asks(kind):
            story.fail(failure)
            return
        if isinstance(story.action, Wait):
            assert story.action.until is not None
            story.at(story.action.until)
        else:
            story.answer()
    raise AssertionError(f"{kind.__name__} is never asked: {story.asked[-5:]}")


def fail_starts(story: Story, count: int) -> None:
    for _ in range(count):
        fail_next(story, m.StartCompute, StartFailed("FATAL:  could not open file pg_control"))


def test_an_ordinary_life_is_nothing_to_tell() -> None:
    story = awake()
    ask(story.at(103.0).sample(busy=1)).rest()
    story.at(120.0).sample(idle_s=17.0).rest()
    assert story.record.status.epoch == 2 and story.record.status.phase == "Suspended"
    assert told(story) == []


def test_who_is_lost_and_who_takes_over() -> None:
    story = awake().sample(attached=1)
    story.fact(facts.agent_gone, "c1", 101.0).rest()
    lost, over = told(story)
    assert (lost.reason, lost.is_warning) == ("ComputeLost", True)
    assert "c1" in lost.note and "its sessions get another one" in lost.note
    assert (over.reason, over.is_warning) == ("TakenOver", False)
    assert "c2" in over.note and "epoch 2" in over.note and "c1 can't write" in over.note


def test_why_nobody_takes_over_is_told_once_with_what_would_help() -> None:
    story = awake().sample(attached=1)
    waiter = story.wake(lost_epoch=1)
    story.fail(Unavailable("no route"))
    story.fact(facts.leave, waiter)
    for _ in range(5):
        story.until(m.ConfirmGone)
        wait = story.fail(NotFenced("nobody says that c1 has ended", "taint n1")).rest()
        assert wait.until is not None
        story.at(wait.until)
    assert reasons(story) == ["ComputeLost", "NotFenced"]
    assert told(story)[1].note == "nobody says that c1 has ended; taint n1"
    story.rest()
    assert reasons(story)[2:] == ["TakenOver"]


def test_a_start_that_fails_is_told_at_first_and_when_it_is_given_up() -> None:
    story = Story(agents=9)
    story.wake()
    fail_starts(story, story.world.limits.start_attempts_max)
    story.rest()
    first, last = told(story)
    assert first.reason == last.reason == "StartFailed"
    assert first.note == "another compute is tried: FATAL:  could not open file pg_control"
    assert last.note.startswith("it rests for now: FATAL:")
    assert story.record.status.phase == "Failed"
    rest = story.database.trouble
    assert rest is not None
    story.at(rest.retry_at).wake()
    fail_starts(story, 1)
    assert len(told(story)) == 2, "that it still does not start is nothing new"


def test_a_move_that_nobody_asked_for_is_told() -> None:
    story = awake().at(103.0).sample(busy=1)
    leave(story).rest()
    (moved,) = told(story)
    assert (moved.reason, moved.is_warning) == ("SwitchedOver", False)
    assert "compute c2" in moved.note and "its compute was told to end" in moved.note


def test_one_that_is_put_off_is_told_once_and_who_was_ended_in_the_end() -> None:
    story = leave(awake().at(103.0).sample(busy=1))
    while "SessionsEnded" not in reasons(story):
        fail_next(story, m.CloseGate, Busy("session 3 of app is in a transaction"))
        story.rest()
    assert reasons(story) == ["SwitchoverCalledOff", "SessionsEnded", "SwitchedOver"]
    assert all("session 3" in one.note for one in told(story)[:2])


def test_a_size_that_takes_a_move_is_told() -> None:
    story = Story(maxCU=2)
    story.wake()
    story.rest()
    story.needs_restart = ("shared_buffers is 256MB, not 512MB",)
    story.sample(busy=1).change(maxCU=4).rest()
    (moved,) = told(story)
    assert moved.reason == "SwitchedOver" and "not 512MB" in moved.note


def refused(story: Story, failure: Failure) -> None:
    story.until(m.ApplySpec)
    story.fail(failure).rest()


def test_a_spec_that_postgres_refuses_is_told_once() -> None:
    story = awake().sample(busy=1).change(roles=[{"name": "app"}, {"name": "other"}])
    refused(story, Unavailable("the agent does not answer"))
    assert told(story) == []
    for _ in range(2):
        story.at(story.database.spec_retry_at)
        refused(story, Refused("role other can't be made"))
    (said,) = told(story)
    assert (said.reason, said.note) == ("SpecNotApplied", "role other can't be made")
