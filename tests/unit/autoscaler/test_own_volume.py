"""A database with a volume of its own: a compute is made for it, one at a time."""

from __future__ import annotations

from typing import Any

from torpor_api import messages as m
from torpor_api.failures import NoWarmCompute
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import facts, why
from torpor_autoscaler.lifecycle.actions import Wait
from unit.autoscaler.story import Story, agent

DEDICATED: dict[str, Any] = {"storage": {"mode": "dedicated"}}


def asleep(status: DatabaseStatus | None = None, **more: Any) -> Story:
    """Two computes are warm, with the volume of their pool."""
    return Story(status, has_volumes=True, tells_of_rest=True, **{**DEDICATED, **more})


def made(story: Story, number: int, database: str = "shop") -> Story:
    """A compute with the database's own volume is ready."""
    story.world.pool.learn(agent(number).model_copy(update={"database": database}))
    return story.fact(lambda database: None)


def awake() -> Story:
    story = asleep()
    story.wake()
    story.rest()
    made(story, 3).rest()
    assert story.phase() is Phase.ACTIVE
    return story


def test_a_wake_has_one_made_and_takes_no_warm_one() -> None:
    story = asleep()
    story.wake()
    story.rest()
    status = story.record.status
    assert (status.phase, status.epoch, status.awaits_compute) == (Phase.SUSPENDED, 0, True)
    assert story.world.pool.size_wanted == 2  # The warm ones are nothing to it.
    assert isinstance(why.unanswered(story.database, 55.0), NoWarmCompute)
    made(story, 3)
    assert story.until(m.StartCompute).database == "shop"
    story.rest()
    status = story.record.status
    assert (status.compute, status.epoch, status.awaits_compute) == ("c3", 1, False)
    assert story.answers()


def test_nor_is_one_of_another_pool_for_a_database_of_this_one() -> None:
    story = Story(has_volumes=True, pool="fast")
    story.wake()
    story.rest()
    assert not story.all(m.StartCompute) and story.world.pool.need("fast").size == 1
    story.world.pool.learn(agent(3, "fast"))
    story.fact(lambda database: None).rest()
    assert story.record.status.compute == "c3"


def test_another_s_compute_is_not_for_it_nor_its_own_for_others() -> None:
    story = asleep()
    story.wake()
    story.rest()
    made(story, 3, "other")
    assert isinstance(story.action, Wait) and not story.all(m.StartCompute)
    other = Story(agents=0)
    other.wake()
    other.rest()
    made(other, 3)
    assert not other.all(m.StartCompute)


def test_where_no_wish_is_left_none_is_awaited() -> None:
    story = asleep()
    waiter = story.wake()
    story.rest()
    story.fact(facts.leave, waiter)
    story.rest()
    assert not story.record.status.awaits_compute and not story.world.pool.waiting


def test_the_next_autoscaler_takes_back_what_nobody_wants() -> None:
    story = asleep(DatabaseStatus(observed_generation=1, awaits_compute=True))
    story.rest()
    assert not story.record.status.awaits_compute


def test_a_switchover_is_a_restart_under_held_sessions() -> None:
    story = awake()
    story.at(103.0).sample(busy=1).rest()
    story.asked.clear()
    story.fact(facts.ask_switchover, 7, 5.0)
    assert "StopCompute" in story.names() or story.until(m.StopCompute)
    story.rest()
    status = story.record.status
    assert (status.phase, status.epoch, status.awaits_compute) == (Phase.SUSPENDING, 1, True)
    assert not story.moves()
    made(story, 4).rest()
    assert (story.record.status.compute, story.record.status.epoch) == ("c4", 2)
    assert [type(move) for move in story.moves()] == [m.SwitchedOver]


def test_on_one_machine_it_means_the_same_as_shared() -> None:
    story = Story(**DEDICATED)
    story.wake()
    story.rest()
    assert story.record.status.compute == "c1"
