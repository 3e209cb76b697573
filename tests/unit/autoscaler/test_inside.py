"""What runs inside a database keeps it awake by its name, and is shown to whoever asks."""

from __future__ import annotations

from torpor_api import messages as m
from torpor_api.failures import Busy
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import facts, why
from unit.autoscaler.story import Story, awake

VACUUM = "autovacuum in shop (process 17)"

QUERY = "a query runs: app in shop, process 18, active"


def idle() -> Story:
    """Awake since 100, unused for longer than its time-out at 120."""
    story = awake()
    story.at(106.0).sample(idle_s=6.0).rest()
    story.at(119.0).look(VACUUM).at(120.0)
    story.asked.clear()
    return story


def test_what_runs_inside_keeps_it_awake_without_a_try() -> None:
    story = idle().sample(idle_s=20.0)
    story.rest()
    assert story.phase() is Phase.ACTIVE and not story.all(m.AskActivity)
    assert f"{VACUUM} for 1s" in why.lines(story.database, 120.0)


def test_it_sleeps_as_soon_as_a_look_finds_nothing() -> None:
    story = idle().sample(idle_s=20.0)
    story.rest()
    story.at(121.0).sample(idle_s=21.0).look().rest()
    assert story.phase() is Phase.SUSPENDED


def test_what_has_run_for_a_while_is_written_to_the_resource() -> None:
    story = awake().look(QUERY)
    story.at(103.5).look(QUERY, VACUUM).rest()
    assert QUERY in story.record.status.why_awake
    assert VACUUM not in story.record.status.why_awake
    assert f"{QUERY} for 4s" in why.lines(story.database, 104.0)


def test_what_begins_anew_has_not_run_since_the_first_time() -> None:
    story = awake().look(QUERY).at(102.0).look().at(104.0).look(QUERY)
    assert f"{QUERY} for 1s" in why.lines(story.database, 105.0)


def test_a_persons_wish_looks_again() -> None:
    story = idle().sample(idle_s=0.1)
    story.fact(facts.wish_asleep, 7, 120.0)
    story.rest()
    assert story.all(m.AskActivity) and story.refusals() == [None]


def test_a_persons_wish_is_refused_with_what_runs() -> None:
    story = idle().sample(idle_s=0.1)
    story.activity = story.activity.model_copy(update={"busy": (VACUUM,)})
    story.fact(facts.wish_asleep, 7, 120.0)
    story.rest()
    (refusal,) = story.refusals()
    assert isinstance(refusal, Busy) and VACUUM in refusal.message


def test_an_agent_that_says_nothing_more_does_not_keep_it_awake_for_ever() -> None:
    story = idle()
    story.sample(idle_s=20.0)
    assert story.rest().until == 129.0
    story.at(129.0).sample(idle_s=29.0).rest()
    assert story.phase() is Phase.SUSPENDED


def test_who_asks_hears_what_goes_on() -> None:
    story = awake().look(
        backends=3, active_queries=1, memory_bytes=50 << 20, working_set_bytes=9 << 20
    )
    assert why.inside(story.database, 101.0) == (
        "inside, 1s ago: connections 3, queries running 1, memory 50 MiB,"
        " shared buffers filled 9 MiB",
    )


def test_of_a_postgres_that_is_lost_nothing_is_shown_and_a_late_answer_is_nobodys() -> None:
    story = awake().look(QUERY)
    lost = m.PostgresLost(database="shop", epoch=1, restarting=True, reason="signal 9")
    story.fact(facts.postgres_lost, lost, 101.0)
    assert story.database.inside is None
    assert story.look(QUERY).database.inside is None


def test_a_look_into_an_earlier_compute_says_nothing() -> None:
    story = awake()
    story.fact(facts.looked_inside, 0, story.activity, 100.0)
    assert story.database.inside is None


def test_a_database_that_sleeps_shows_nothing_of_its_last_compute() -> None:
    story = awake().look(VACUUM)
    story.fact(facts.agent_gone, "c1", 101.0)
    story.rest()
    assert story.database.inside is None and why.inside(story.database, 101.0) == ()
