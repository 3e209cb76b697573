"""A cluster that does not keep login facts holds nothing up, and nobody is judged by old ones."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.failures import DataDamaged, Failure, InvalidRequest, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import endpoints, facts, why
from torpor_autoscaler.lifecycle.limits import Limits
from unit.autoscaler.story import FACTS, STORED_FACTS, Story

OTHERS = LoginFacts(roles=(RoleFacts(name="app", verifier="v9"),))

REFUSED = InvalidRequest("Secret login-facts-default.shop: Too long")


class Refusing(Story):
    """A cluster that answers some kinds of question with a failure."""

    def __init__(self, status: DatabaseStatus | None = None, **more: Any) -> None:
        self.failing: dict[type[m.Message], Failure] = {}
        super().__init__(status, **more)

    def _cluster(self, request: m.Request[Any]) -> m.Message:
        if type(request) in self.failing:
            raise self.failing[type(request)]
        return super()._cluster(request)


def refusing(refusal: Failure = REFUSED) -> Refusing:
    """Awake, and its agent has told of a change."""
    story = Refusing()
    story.failing[m.StoreLoginFacts] = refusal
    story.wake()
    story.rest()
    story.fact(facts.facts_changed, 1, OTHERS).rest()
    return story


def unstored(status: DatabaseStatus) -> list[str]:
    return [one.reason for one in status.conditions if one.type == "LoginFactsStored"]


def asleep(story: Refusing) -> Refusing:
    story.sample(idle_s=0.0).rest()
    story.at(120.0).sample(idle_s=20.0)
    story.let_time_pass(lambda: story.phase() is Phase.SUSPENDED)
    assert story.phase() is Phase.SUSPENDED
    story.rest()
    return story


def test_it_takes_a_spec_sleeps_and_wakes_all_the_same() -> None:
    story = refusing()
    story.change(roles=[{"name": "app"}, {"name": "b"}]).rest()
    assert story.all(m.ApplySpec)
    asleep(story).wake()
    story.rest()
    assert story.phase() is Phase.ACTIVE and isinstance(story.answers()[-1], m.Awake)


def test_the_record_says_so_at_once_where_it_is_refused_and_a_person_hears_why() -> None:
    story = refusing()
    assert unstored(story.record.status) == ["InvalidRequest"]
    (line,) = [line for line in why.lines(story.database, 100.0) if "could not be stored" in line]
    assert "Too long" in line
    asleep(story)
    assert unstored(story.record.status) == ["InvalidRequest"]
    assert story.record.status.compute is None


def test_what_is_over_in_a_moment_is_said_nowhere_and_a_suspend_waits_for_it() -> None:
    story = refusing(Unavailable("no answer"))
    assert not unstored(story.record.status)
    story.sample(idle_s=0.0).rest()
    story.failing.clear()
    asleep(story)
    assert not unstored(story.record.status) and not story.database.has_unstored_facts


def test_what_is_not_over_after_some_tries_is_said_and_no_suspend_waits_for_it() -> None:
    story = asleep(refusing(Unavailable("no answer")))
    assert unstored(story.record.status) == ["Unavailable"]
    assert len(story.all(m.StoreLoginFacts)) >= Limits().store_tries_max


def test_tries_become_rare_and_go_on_asleep_until_one_succeeds() -> None:
    story = asleep(refusing())
    before = len(story.all(m.StoreLoginFacts))
    until = story.world.now + 600.0
    story.let_time_pass(lambda: story.world.now >= until)
    assert 0 < len(story.all(m.StoreLoginFacts)) - before < 30
    story.failing.clear()
    story.let_time_pass(lambda: not story.database.has_unstored_facts)
    story.rest()
    assert not unstored(story.record.status) and story.phase() is Phase.SUSPENDED
    assert story.all(m.StoreLoginFacts)[-1].facts == FACTS


def test_proxies_judge_by_what_was_exported_as_long_as_somebody_remembers_it() -> None:
    story = asleep(refusing())
    told = endpoints.info(story.database)
    assert told.facts == FACTS and told.facts_are_exact


@pytest.mark.parametrize("exported", [OTHERS, STORED_FACTS])
def test_the_next_autoscaler_takes_what_is_stored_for_old(exported: LoginFacts) -> None:
    """Until an agent tells what there is, be it the same."""
    story = asleep(refusing())
    after = Refusing(story.record.status)
    after.rest()
    assert not endpoints.info(after.database).facts_are_exact
    assert unstored(after.record.status) == ["InvalidRequest"]
    after.wake()
    after.rest()
    after.fact(facts.facts_changed, after.database.status.epoch, exported).rest()
    assert endpoints.info(after.database).facts_are_exact
    assert not unstored(after.record.status)


@pytest.mark.parametrize("tells_of_rest", [False, True])
def test_damaged_facts_are_nobodys_and_the_next_export_takes_their_place(
    tells_of_rest: bool,
) -> None:
    story = Refusing(tells_of_rest=tells_of_rest)
    story.failing[m.FetchLoginFacts] = DataDamaged("holds no login facts")
    story.rest()
    told = endpoints.info(story.database)
    assert not told.facts_are_exact and not story.database.has_stale_facts
    assert unstored(story.record.status) == ["DataDamaged"]
    story.wake()
    story.rest()
    story.fact(facts.facts_changed, 1, FACTS).rest()
    assert endpoints.info(story.database).facts_are_exact
    assert story.all(m.StoreLoginFacts) and not unstored(story.record.status)


def test_a_failed_database_goes_on_trying_to_keep_them() -> None:
    story = asleep(refusing())
    story.database.place = None
    story.failing[m.LocateStorage] = DataDamaged("there is no volume")
    story.wake()
    story.rest()
    assert story.phase() is Phase.FAILED
    del story.failing[m.StoreLoginFacts]
    story.let_time_pass(lambda: not story.database.has_unstored_facts)
    assert not story.database.has_unstored_facts
