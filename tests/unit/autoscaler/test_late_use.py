"""A use that no sample tells of: proxies say with their closed gates when the last one was."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.failures import Busy
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import facts
from unit.autoscaler.story import Story, awake


def idle_for_long() -> Story:
    """Awake since 100, and at 120 its only session has been idle for twice its time-out."""
    return awake().at(120.0).sample(idle_s=20.0)


def test_a_use_after_the_latest_sample_calls_it_off() -> None:
    """It was answered before the gate closed, and nobody else tells of it."""
    story = idle_for_long()
    story.until(m.CloseGate)
    story.answer({"p1": m.GateClosed(parked=1, idle_s=0.4)}).rest()
    assert story.phase() is Phase.ACTIVE and not story.all(m.StopCompute)
    assert story.all(m.OpenGate) and story.database.used_at == pytest.approx(119.6)
    assert story.database.held_back.times == 0  # It is no failure, and no later try waits longer.
    story.at(129.5).sample(idle_s=9.9).rest()
    assert story.phase() is Phase.ACTIVE
    story.at(129.7).sample(idle_s=10.1).rest()
    assert story.phase() is Phase.SUSPENDED


def test_a_proxy_that_takes_its_time_to_park_calls_nothing_off() -> None:
    """It was idle for long enough when the first of two gates closed."""
    story = awake()
    story.world.proxies.registered("p2")
    story.at(111.0).sample("p1", idle_s=10.0).sample("p2", idle_s=10.0)
    story.until(m.CloseGate)
    story.world.now = 111.3
    closed = {"p1": m.GateClosed(parked=1, idle_s=10.0), "p2": m.GateClosed(parked=1, idle_s=10.3)}
    story.answer(closed).rest()
    assert story.phase() is Phase.SUSPENDED


def test_a_use_just_before_does_not_refuse_a_wish() -> None:
    story = idle_for_long()
    story.fact(facts.wish_asleep, 7, story.world.now)
    story.until(m.CloseGate)
    story.answer({"p1": m.GateClosed(parked=1, idle_s=0.4)}).rest()
    assert story.phase() is Phase.SUSPENDED and story.refusals() == [None]


def test_the_same_use_that_is_told_a_little_later_holds_a_pinned_one_back() -> None:
    """A sample that was longer on its way puts the last use later, by no more than that."""
    story = idle_for_long()
    story.until(m.CloseGate)
    story.world.now = 120.508
    story.sample(idle_s=20.5)
    story.fail(Busy("session 17 holds a temporary table"))
    story.rest()
    assert story.database.used_at > 100.0
    assert story.database.held_back.times == 1 and len(story.all(m.CloseGate)) == 1
