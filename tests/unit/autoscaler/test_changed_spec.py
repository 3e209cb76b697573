"""The spec changes, while a database is awake and while it sleeps; and one that is kept awake."""

from __future__ import annotations

import itertools

import pytest

from torpor_api import messages as m
from torpor_api.facts import LoginFacts
from torpor_api.failures import Failure, StartFailed, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import endpoints, facts, why
from unit.autoscaler.story import FACTS, Story, agent, awake


def test_a_changed_spec_is_applied_while_awake() -> None:
    story = awake()
    story.asked.clear()
    story.change(roles=[{"name": "app"}, {"name": "b"}])
    story.rest()
    (applied,) = story.all(m.ApplySpec)
    assert (applied.epoch, applied.generation, applied.verifiers) == (1, 2, {"app": "v1"})
    assert len(applied.spec.roles) == 2
    assert story.record.status.observed_generation == 2
    assert endpoints.info(story.database).facts == FACTS
    assert story.all(m.StoreLoginFacts)[-1].facts == FACTS


def test_a_spec_that_is_refused_is_shown_and_tried_again() -> None:
    story = awake()
    story.change(roles=[{"name": "app"}, {"name": "b"}])
    story.until(m.ApplySpec)
    story.fail(StartFailed("role b can not be made"))
    wait = story.rest()
    conditions = {each.type: each for each in story.record.status.conditions}
    assert conditions["SpecApplied"].status == "False"
    assert conditions["SpecApplied"].message == "role b can not be made"
    assert story.record.status.observed_generation == 1
    assert "the spec could not be applied: role b can not be made" in why.lines(
        story.database, 101.0
    )
    story.at(105.0).rest()
    assert wait.until is not None
    assert story.record.status.observed_generation == 2
    assert "SpecApplied" not in {each.type for each in story.record.status.conditions}


def test_a_spec_that_changes_during_a_start_is_applied_afterwards() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.change(roles=[{"name": "b"}], databases=[{"name": "b", "owner": "b"}])
    story.rest()
    assert story.all(m.StartCompute)[0].generation == 1
    assert story.all(m.ApplySpec)[0].generation == 2
    assert story.record.status.observed_generation == 2


def test_while_it_sleeps_proxies_judge_by_what_the_cluster_says() -> None:
    story = Story()
    story.rest()
    story.asked.clear()
    story.change(access={"allow": ["10.0.0.0/8"]})
    story.rest()
    assert story.names() == ["FetchLoginFacts"]
    assert endpoints.info(story.database).allow == ("10.0.0.0/8",)


def test_news_of_roles_is_told_and_stored() -> None:
    story = awake()
    story.asked.clear()
    told = LoginFacts(databases=("new",))
    story.fact(facts.facts_changed, 1, told)
    assert endpoints.info(story.database).facts == told
    story.rest()
    assert story.all(m.StoreLoginFacts) == [m.StoreLoginFacts(name="shop", epoch=1, facts=told)]


def test_keep_awake_that_is_switched_on_wakes_it() -> None:
    story = Story()
    story.rest()
    story.change(keepAwake=True)
    story.rest()
    assert story.phase() is Phase.ACTIVE
    assert story.record.status.why_awake == ("keepAwake",)


@pytest.mark.parametrize("failure", [StartFailed("no"), Unavailable("no")])
def test_one_that_is_kept_awake_and_fails_tries_again_with_growing_pauses(
    failure: Failure,
) -> None:
    story = Story(agents=20, keepAwake=True)
    moments = []
    for _ in range(6):
        story.until(m.StartCompute)
        moments.append(story.world.now)
        story.fail(failure)
        wait = story.rest()
        assert wait.until is not None
        story.at(wait.until)
    pauses = [after - before for before, after in itertools.pairwise(moments)]
    assert pauses == [0.25, 0.5, 8.0, 16.0, 32.0]


def test_agents_come_late_to_one_that_is_kept_awake() -> None:
    story = Story(agents=0, keepAwake=True)
    assert story.rest().until is None
    story.world.pool.learn(agent(5))
    story.fact(lambda database: None)
    story.rest()
    assert story.phase() is Phase.ACTIVE
