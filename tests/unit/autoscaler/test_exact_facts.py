"""Proxies are told when login facts may be older than what a lost compute made of them."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.facts import LoginFacts
from torpor_api.failures import Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import endpoints, facts
from unit.autoscaler.story import FACTS, Story, address, awake, running


def is_exact(story: Story) -> bool:
    return endpoints.info(story.database).facts_are_exact


def lost(*, restarting: bool) -> m.PostgresLost:
    return m.PostgresLost(database="shop", epoch=1, restarting=restarting, reason="signal 9")


def started(facts: LoginFacts | None) -> m.Started:
    return m.Started(address=address("c1"), steps=(), facts=facts, max_connections=100)


def asleep_after_a_loss() -> Story:
    story = awake()
    story.fact(facts.agent_gone, "c1", 101.0)
    story.rest()
    assert story.phase() is Phase.SUSPENDED
    return story


def test_before_the_first_start_and_while_awake_they_are_exact() -> None:
    assert is_exact(Story()) and is_exact(awake())


def test_they_are_not_from_the_moment_in_which_the_agent_is_gone() -> None:
    story = awake()
    story.fact(facts.agent_gone, "c1", 101.0)
    assert not is_exact(story)
    assert not is_exact(asleep_after_a_loss())


@pytest.mark.parametrize("restarting", [False, True])
def test_they_are_not_from_the_moment_in_which_postgres_is_lost(restarting: bool) -> None:
    story = awake()
    story.fact(facts.postgres_lost, lost(restarting=restarting), 101.0)
    assert not is_exact(story)


def test_they_are_not_once_an_agent_that_was_in_doubt_starts_postgres_again() -> None:
    story = awake()
    story.states["c1"] = running("c1", 1).model_copy(update={"state": "starting"})
    story.fact(facts.agent_unheard, "c1").rest()
    assert story.database.run is not None and not is_exact(story)


def test_a_postgres_that_is_back_brings_exact_ones() -> None:
    story = awake()
    story.fact(facts.postgres_lost, lost(restarting=True), 101.0)
    back = m.PostgresBack(database="shop", epoch=1, started=started(FACTS))
    story.fact(facts.postgres_back, back)
    assert is_exact(story) and endpoints.info(story.database).facts == FACTS


def test_news_from_before_a_crash_that_comes_after_it_is_not_exact() -> None:
    story = awake()
    story.fact(facts.postgres_lost, lost(restarting=True), 101.0)
    story.fact(facts.facts_changed, 1, FACTS)
    assert endpoints.info(story.database).facts == FACTS and not is_exact(story)


def test_a_spec_whose_answer_comes_after_a_crash_does_not_make_them_exact() -> None:
    story = awake()
    story.change(roles=[{"name": "app"}, {"name": "b"}])
    story.until(m.ApplySpec)
    story.fact(facts.postgres_lost, lost(restarting=True), 101.0)
    story.answer()
    assert not is_exact(story)


def test_the_start_after_a_loss_brings_exact_ones() -> None:
    story = asleep_after_a_loss()
    story.wake()
    story.until(m.StartCompute)
    assert not is_exact(story)
    story.answer(started(FACTS))
    assert is_exact(story)


def test_a_stop_of_unknown_outcome_leaves_them_inexact_and_a_start_without_facts_too() -> None:
    """The agent thinks that its export has arrived: its next start brings none."""
    story = awake()
    story.sample(idle_s=0.0).rest()
    story.at(120.0).sample(idle_s=20.0)
    story.until(m.StopCompute)
    story.do_and_fail(Unavailable("the connection was lost"))
    assert story.asks(m.AskAgentState)
    story.fail(Unavailable("nobody answers"))
    assert not is_exact(story)
    story.wake()
    story.until(m.StartCompute)
    story.answer(started(None))
    assert not is_exact(story)
    story.fact(facts.facts_changed, story.database.status.epoch, FACTS)
    assert is_exact(story)


def test_facts_that_are_known_already_are_neither_told_nor_stored() -> None:
    """An agent tells once after each clean start, because what woke it may have changed a role."""
    story = awake()
    story.fact(facts.facts_changed, 1, FACTS).rest()
    before, known = len(story.asked), endpoints.info(story.database)
    story.fact(facts.facts_changed, 1, FACTS.model_copy(deep=True)).rest()
    assert len(story.asked) == before and endpoints.info(story.database) == known


def test_the_same_facts_make_them_exact_again() -> None:
    story = awake()
    story.fact(facts.facts_changed, 1, FACTS).rest()
    story.fact(facts.postgres_lost, lost(restarting=True), 101.0)
    back = m.PostgresBack(database="shop", epoch=1, started=started(FACTS))
    story.fact(facts.postgres_back, back).rest()
    assert is_exact(story) and len(story.all(m.StoreLoginFacts)) == 1


def test_a_suspend_stores_what_it_exports_known_or_not() -> None:
    story = awake()
    story.fact(facts.facts_changed, 1, FACTS).rest()
    story.fact(facts.wish_asleep, 7, story.world.now).rest()
    assert story.phase() is Phase.SUSPENDED
    assert [stored.facts for stored in story.all(m.StoreLoginFacts)] == [FACTS, FACTS]


def test_a_clean_stop_leaves_exact_ones() -> None:
    story = asleep_after_a_loss()
    story.wake()
    story.rest()
    story.fact(facts.wish_asleep, 7, story.world.now).rest()
    assert story.phase() is Phase.SUSPENDED and is_exact(story)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("compute", [None, "c1"])
def test_a_new_autoscaler_knows_it_by_the_record(phase: Phase, compute: str | None) -> None:
    """A sleeping database whose record names a compute has not been released by it."""
    status = DatabaseStatus(phase=phase, epoch=5, compute=compute, observed_generation=1)
    story = Story(status)
    assert is_exact(story) is (compute is None)
    story.rest()
    assert is_exact(story) is (compute is None)
