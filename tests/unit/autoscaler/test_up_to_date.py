"""When what proxies were told, and what a compute has carried out, is what the resource says."""

from __future__ import annotations

from torpor_api import messages as m
from torpor_api.failures import InvalidRequest
from torpor_autoscaler.lifecycle import endpoints, facts
from unit.autoscaler.story import Story, awake

ROLES = [{"name": "app"}, {"name": "extra"}]


def is_up_to_date(story: Story, generation: int) -> bool:
    """To proxies that are told of every change."""
    database = story.database
    return endpoints.is_up_to_date(database, endpoints.info(database), generation)


def test_one_whose_login_facts_are_not_read_yet_is_not() -> None:
    story = Story()
    assert story.asks(m.FetchLoginFacts) and not is_up_to_date(story, 1)
    story.rest()
    assert is_up_to_date(story, 1) and not is_up_to_date(story, 2)


def test_what_proxies_were_told_before_is_not() -> None:
    story = Story()
    before = endpoints.info(story.database)
    story.rest()
    assert not endpoints.is_up_to_date(story.database, before, 1)
    assert not endpoints.is_up_to_date(story.database, None, 1)


def test_a_change_of_one_that_sleeps_counts_when_its_facts_are_read_again() -> None:
    story = Story()
    story.rest()
    story.change(roles=ROLES)
    assert story.asks(m.FetchLoginFacts) and not is_up_to_date(story, 2)
    story.rest()
    assert is_up_to_date(story, 2)


def test_a_change_of_an_awake_one_counts_when_its_compute_has_carried_it_out() -> None:
    story = awake()
    story.change(roles=ROLES)
    story.until(m.ApplySpec)
    assert not is_up_to_date(story, 2)
    story.answer()
    assert is_up_to_date(story, 2)


def test_a_change_that_postgres_refuses_is_not_waited_for() -> None:
    story = awake()
    story.change(roles=ROLES)
    story.until(m.ApplySpec)
    story.fail(InvalidRequest("Postgres refuses the spec"))
    assert is_up_to_date(story, 2)


def test_a_change_during_a_resume_counts_after_it() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.change(roles=ROLES)
    assert not is_up_to_date(story, 2)
    story.rest()
    assert is_up_to_date(story, 2)


def test_news_of_its_sleep_does_not_make_it_old() -> None:
    story = awake()
    story.fact(facts.wish_asleep, 7, story.world.now).rest()
    assert is_up_to_date(story, 1)
