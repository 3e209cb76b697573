"""Whose pod may go: nobody asks any more whether that compute has ended."""

from __future__ import annotations

from torpor_api import messages as m
from torpor_api.failures import Holder, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import facts
from torpor_autoscaler.lifecycle.letting_go import let_go
from unit.autoscaler.story import POOL, Story, agent


def ended(story: Story, number: int) -> Story:
    story.world.pool.learn(agent(number, POOL).model_copy(update={"is_gone": True}))
    return story


def asked(story: Story, *computes: str) -> tuple[str, ...]:
    return let_go(computes, [story.database], story.world, story.world.now)


def test_one_that_nobody_was_given_is_let_go_once_its_end_is_known_here_too() -> None:
    story = Story(has_volumes=True)
    assert asked(story, "c1", "unknown") == ()
    assert asked(ended(story, 1), "c1", "unknown") == ("c1",)
    story.world.pool.learn(agent(1, POOL))  # News that is older than the word.
    assert [story.world.pool.take(name, None, pool=POOL) for name in ("a", "b")] == [
        agent(2, POOL),
        None,
    ]


def test_one_that_a_record_names_is_kept_whatever_the_phase() -> None:
    for phase in Phase:
        story = Story(DatabaseStatus(phase=phase, epoch=3, compute="c1"), has_volumes=True)
        assert asked(ended(story, 1), "c1") == ()


def test_one_that_a_volume_names_is_kept() -> None:
    story = ended(Story(has_volumes=True), 1)
    story.database.holder = Holder(5, "c1")
    assert asked(story, "c1") == ()


def test_while_its_claim_is_under_way_it_is_kept() -> None:
    story = Story(agents=1, has_volumes=True)
    story.wake()
    story.until(m.WriteStatus, phase=Phase.RESUMING)
    assert asked(ended(story, 1), "c1") == ()
    story.do_and_fail(Unavailable("the answer was lost"))
    assert asked(story, "c1") == ()


def test_a_claim_that_came_to_nothing_may_have_been_sent_all_the_same() -> None:
    story = Story(agents=1, has_volumes=True)
    waiter = story.wake()
    story.until(m.WriteStatus, phase=Phase.RESUMING)
    story.fail(Unavailable("the API server is away"))
    story.fact(facts.leave, waiter)
    story.let_time_pass(lambda: False)
    assert story.database.reserved is None
    assert asked(ended(story, 1), "c1") == ()


def test_once_the_record_has_named_it_and_has_gone_on_nobody_needs_it() -> None:
    pool = Story(has_volumes=True).world.pool
    pool.take("shop", None, pool=POOL)
    pool.spend("c1", "other")
    pool.learn(agent(1, POOL).model_copy(update={"is_gone": True}))
    assert not pool.is_over("c1")
    pool.spend("c1", "shop")
    assert pool.is_over("c1")


def test_who_was_just_started_does_not_know_what_the_one_before_has_claimed() -> None:
    story = ended(Story(has_volumes=True), 1)
    story.world.now = story.world.limits.former_claims_s - 0.1
    assert asked(story, "c1") == ()
    story.world.now = story.world.limits.former_claims_s
    assert asked(story, "c1") == ("c1",)
