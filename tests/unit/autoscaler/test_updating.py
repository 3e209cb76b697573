"""A database leaves a compute that is outdated when nobody is at work, one after the other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.failures import Busy, StartFailed, Unavailable
from torpor_autoscaler.lifecycle import facts, why
from torpor_autoscaler.lifecycle.actions import Tell, Wait
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.lifecycle.updates import Updates
from unit.autoscaler.story import POOL, STEPS_MAX, Story, agent, awake

NOW = 110.0

PINNED = m.SessionReport(
    session=1, user="app", application="", client="c", reason="holds a lock", since_s=1.0
)


def outdate(story: Story, *numbers: int) -> None:
    """As the fleet does when their pods say so."""
    for number in numbers:
        story.world.pool.learn(agent(number, POOL).model_copy(update={"is_outdated": True}))
    story.fact(lambda database: None)


def used(**spec: Any) -> Story:
    """Awake since 100 on c1, and used a moment ago."""
    story = awake(**{"has_volumes": True, "idleTimeout": "1h", **spec})
    story.at(NOW).sample(idle_s=0.0).rest()
    story.asked.clear()
    story.effects.clear()
    return story


def idle(story: Story, seconds: float) -> Story:
    """Time passes, and a proxy reports its session each second."""
    for _ in range(int(seconds)):
        story.at(story.world.now + 1.0)
        story.sample(idle_s=story.world.now - NOW).rest()
    return story


def test_it_moves_when_nobody_is_at_work() -> None:
    story = used()
    outdate(story, 1)
    story.rest()
    assert not story.all(m.CloseGate)
    idle(story, 2)
    (gate,) = story.all(m.CloseGate)
    assert gate.patience_s == story.world.limits.update_patience_s and not gate.insists
    assert (story.record.status.epoch, story.record.status.compute) == (2, "c2")
    (told,) = [effect for effect in story.effects if isinstance(effect, Tell)]
    assert told.reason == "SwitchedOver" and "older image" in told.note


def test_the_fresh_one_is_not_left_again() -> None:
    story = idle(used(agents=4), 2)
    outdate(story, 1)
    idle(story, 60)
    assert story.record.status.epoch == 2


@pytest.mark.parametrize(
    "sample",
    [{"busy": 1}, {"waiting": 1}, {"pinned": (PINNED,)}],
)
def test_it_stays_while_somebody_is_at_work_or_can_not_be_parked(sample: dict[str, Any]) -> None:
    story = used()
    outdate(story, 1)
    for _ in range(5):
        story.at(story.world.now + 1.0).sample(idle_s=5.0, **sample).rest()
    assert not story.all(m.CloseGate) and not story.world.pool.waiting
    assert "it moves when nobody is at work" in why.lines(story.database, story.world.now)[-1]
    idle(story, 1)
    assert story.record.status.epoch == 2


def test_it_stays_while_nobody_knows_all_proxies() -> None:
    """Those that have not reported to this autoscaler yet may have busy sessions."""
    story = used()
    story.world.blind_until = NOW + 5.0
    outdate(story, 1)
    idle(story, 4)
    assert not story.all(m.CloseGate)
    idle(story, 4)
    assert story.record.status.epoch == 2


def test_it_stays_while_something_runs_inside() -> None:
    story = used()
    outdate(story, 1)
    story.at(NOW + 0.5).look("autovacuum in app").rest()
    story.at(NOW + 5.0).sample(idle_s=5.0).rest()
    assert not story.all(m.CloseGate)
    story.look().rest()
    assert story.record.status.epoch == 2


def test_one_that_is_to_sleep_sleeps() -> None:
    story = used(idleTimeout="1s")
    outdate(story, 1)
    idle(story, 2)
    assert story.record.status.phase == "Suspended" and story.record.status.epoch == 1


def test_nobody_moves_to_one_that_is_outdated_itself() -> None:
    story = used()
    outdate(story, 1, 2)
    idle(story, 5)
    assert not story.all(m.CloseGate)
    assert story.world.pool.waiting == ("shop",), "a fresh one is asked for"
    story.world.pool.learn(agent(3, POOL))
    story.fact(lambda database: None).rest()
    assert story.record.status.compute == "c3"


def test_one_with_a_volume_of_its_own_stays() -> None:
    story = Story(has_volumes=True, agents=0, idleTimeout="1h", storage={"mode": "dedicated"})
    own = agent(1, POOL).model_copy(update={"database": "shop"})
    story.world.pool.learn(own)
    story.wake()
    story.rest()
    story.world.pool.learn(own.model_copy(update={"is_outdated": True}))
    story.at(NOW).sample(idle_s=5.0).rest()
    assert story.record.status.epoch == 1 and not story.all(m.CloseGate)


def next_asked(story: Story, kind: type[m.Message]) -> float:
    """When this is next asked; nobody is ever at work."""
    for _ in range(STEPS_MAX):
        if story.asks(kind):
            return story.world.now
        if isinstance(story.action, Wait):
            story.at(story.world.now + 1.0).sample(idle_s=story.world.now - NOW)
        else:
            story.answer()
    raise AssertionError(f"{kind.__name__} is not asked again")


def test_a_try_that_is_called_off_is_made_again_with_growing_pauses() -> None:
    story = used()
    outdate(story, 1)
    tried = []
    for _ in range(4):
        tried.append(next_asked(story, m.CloseGate))
        story.fail(Busy("session 3 is in a transaction")).rest()
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert pauses == [10.0, 20.0, 40.0]
    told = [effect.reason for effect in story.effects if isinstance(effect, Tell)]
    assert told == ["SwitchoverCalledOff"]


# --- whose turn it is ----------------------------------------------------------------------------


def test_one_at_a_time_in_each_pool_with_a_pause() -> None:
    updates = Updates(Limits())
    assert updates.take_turn("a", "shop", 0.0) and updates.take_turn("a", "shop", 1.0)
    assert not updates.take_turn("a", "blog", 1.0)
    assert updates.take_turn("b", "wiki", 1.0), "another pool has computes of its own"
    updates.ended("shop", None, 2.0)
    assert not updates.take_turn("a", "blog", 11.9)
    assert updates.take_turn("a", "blog", 12.0)


def test_whoever_does_not_use_its_turn_passes_it_on_at_once() -> None:
    updates = Updates(Limits())
    updates.take_turn("a", "shop", 0.0)
    updates.pass_on("shop")
    assert updates.take_turn("a", "blog", 0.0)


def test_whoever_was_put_off_lets_others_go_first() -> None:
    updates = Updates(Limits())
    updates.take_turn("a", "shop", 0.0)
    updates.ended("shop", Busy("somebody is at work"), 1.0)
    updates.take_turn("a", "shop", 11.0)
    updates.ended("shop", Busy("somebody is at work"), 12.0)
    assert updates.times_put_off("shop") == 2
    assert not updates.take_turn("a", "shop", 22.0) and updates.take_turn("a", "blog", 22.0)


def test_a_move_that_was_made_for_another_reason_takes_nobodys_turn() -> None:
    updates = Updates(Limits())
    updates.ended("shop", Busy("somebody is at work"), 1.0)
    assert updates.take_turn("a", "shop", 1.0)


@pytest.mark.parametrize("failure", [StartFailed("FATAL"), Unavailable("it was lost")])
def test_where_a_fresh_compute_does_not_serve_the_pool_rests(failure: Exception) -> None:
    updates, rest_s = Updates(Limits()), Limits().update_rest_s
    updates.take_turn("a", "shop", 0.0)
    updates.ended("shop", failure, 1.0)  # type: ignore[arg-type]
    assert not updates.take_turn("a", "blog", rest_s)
    assert updates.take_turn("a", "blog", rest_s + 1.0)


def test_it_rests_for_no_longer_than_it_makes_such_computes() -> None:
    updates = Updates(Limits())
    updates.take_turn("a", "shop", 0.0, "bad")
    updates.ended("shop", StartFailed("FATAL"), 1.0)
    assert not updates.take_turn("a", "blog", 60.0, "bad")
    assert not updates.take_turn("a", "blog", 60.0), "nobody knows of what they are made"
    assert updates.take_turn("a", "blog", 60.0, "mended")


def fresh(story: Story, number: int, template: str) -> None:
    """One is made."""
    made = agent(number, POOL).model_copy(update={"template": template})
    story.world.pool.learn(made)
    story.fact(lambda database: None)


def test_who_mends_the_image_need_not_wait() -> None:
    """Another database goes on as soon as a compute of the next template is there."""
    story = used(agents=1)
    outdate(story, 1)
    for number in range(2, 2 + story.world.limits.start_attempts_max):
        fresh(story, number, "bad")
        next_asked(story, m.StartCompute)
        story.fail(StartFailed("FATAL:  no such library"))
    story.rest()
    world, now = story.world, story.world.now + 60.0
    assert not world.updates.take_turn(POOL, "blog", now, world.pool.template(POOL))
    fresh(story, 9, "mended")
    assert world.updates.take_turn(POOL, "blog", now, world.pool.template(POOL))


def test_an_image_that_starts_no_postgres_takes_one_database_along_and_not_the_next() -> None:
    story = used(agents=9)
    outdate(story, 1)
    for _ in range(story.world.limits.start_attempts_max):
        next_asked(story, m.StartCompute)
        story.fail(StartFailed("FATAL:  no such library"))
    story.rest()
    assert story.record.status.phase == "Failed"
    assert not story.world.updates.take_turn(POOL, "blog", story.world.now + 60.0)


def test_one_that_loses_the_compute_that_it_is_about_to_leave_says_nothing_of_a_fresh_one() -> None:
    story = used(agents=9)
    outdate(story, 1)
    next_asked(story, m.CloseGate)
    story.fact(facts.agent_gone, "c1", story.world.now)
    story.rest()
    assert story.world.updates.take_turn(POOL, "blog", story.world.now + 60.0)


@pytest.mark.parametrize("trouble", ["silent", "crashed"])
def test_one_whose_compute_is_in_trouble_holds_up_no_other(trouble: str) -> None:
    """It had its turn, and waited for a fresh compute."""
    story = used()
    outdate(story, 1, 2)
    idle(story, 5)
    assert not story.world.updates.take_turn(POOL, "blog", story.world.now)
    if trouble == "silent":
        story.fact(facts.agent_unheard, "c1")
        story.fail(Unavailable("nobody answers"))
    else:
        lost = m.PostgresLost(database="shop", epoch=1, restarting=True, reason="signal 9")
        story.fact(facts.postgres_lost, lost, story.world.now)
    assert story.world.updates.take_turn(POOL, "blog", story.world.now)
