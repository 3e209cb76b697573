"""``idleTimeout: auto`` through a database's life: what counts as a gap, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_api.rhythm import LearnedGaps
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.core.idle_timeout import EDGES_S, Terms, choose_timeout
from torpor_autoscaler.lifecycle import facts, why
from unit.autoscaler.story import Story

ONE = pytest.approx(1.0, abs=0.06)
"""A gap that has just been counted: it fades with the next one."""

BREAK_EVEN_S = Terms().break_even_s
"""16 s: what a database waits of which nothing is known."""


def woken(**others: Any) -> Story:
    story = Story(idleTimeout="auto", agents=12, **others)
    story.world.wall_s = 1_800_000_000.0
    story.wake()
    story.rest()
    assert story.phase() is Phase.ACTIVE
    return story


def idle_until(story: Story, used_at: float, until: float) -> None:
    """Second after second a proxy tells that its session was last used then."""
    while story.world.now < until and story.database.run is not None:
        story.at(min(until, story.world.now + 1.0))
        story.sample(idle_s=story.world.now - used_at).rest()


def used(story: Story, at: float) -> None:
    """A query; and the proxy's next sample tells of it."""
    story.at(at + 0.4).sample(idle_s=0.4).rest()


def slept(story: Story, used_at: float) -> float:
    """When it was told to sleep, where nobody uses it any more."""
    idle_until(story, used_at, used_at + 5000.0)
    assert story.phase() is Phase.SUSPENDED
    return story.world.now


def learned(story: Story) -> LearnedGaps:
    found = story.record.status.learned_gaps
    assert found is not None
    return found


def counts(story: Story) -> dict[int, float]:
    """By bucket, as the record says them."""
    pairs = (pair.split(":") for pair in learned(story).counts.split())
    return {int(bucket): float(count) for bucket, count in pairs}


def bucket(gap_s: float) -> int:
    return max(number for number, edge_s in enumerate(EDGES_S) if edge_s <= gap_s)


def test_who_knows_nothing_waits_for_as_long_as_a_wake_costs() -> None:
    story = woken()
    assert slept(story, 100.0) == pytest.approx(100.0 + BREAK_EVEN_S, abs=1.0)


def test_it_says_for_how_long_and_by_what() -> None:
    story = woken()
    story.at(102.0).sample(idle_s=2.0).rest()
    (line,) = why.lines(story.database, 102.0)
    assert line == (
        "sleeps by idleTimeout auto: after 16s without use (break-even, 0 gaps known); used 2s ago"
    )
    assert story.database.decide(102.0).reasons[0].words == "sleeps by idleTimeout auto"


def test_a_gap_that_a_query_ends_is_known_and_one_that_a_wake_ends() -> None:
    story = woken()
    idle_until(story, 100.0, 110.0)
    used(story, 110.0)
    at = slept(story, 110.0)
    assert counts(story) == {bucket(10.0): ONE}
    story.at(at + 200.0).wake()
    story.rest()
    found = counts(story)
    assert found.keys() == {bucket(10.0), bucket(at + 200.0 - 110.0)}
    assert learned(story).last_use == "2027-01-15T08:03:46Z"


def test_long_gaps_teach_it_to_sleep_at_once() -> None:
    story, used_at = woken(), 100.0
    waits = list[float]()
    for _ in range(6):
        waits.append(slept(story, used_at) - used_at)
        used_at = story.world.now + 900.0
        story.at(used_at).wake()
        story.rest()
    assert waits[0] > 15.0 and waits[-1] < 3.0
    assert waits == sorted(waits, reverse=True)
    dated = {one.decision.loop: one.decision for one in story.database.decisions.current}
    assert dated[Loop.IDLE_TIMEOUT].follows == "sleeps after 1 s, by its own gaps"
    known = story.database.learned
    assert known is not None and known.words == "its own gaps, 6 gaps known"


def test_short_gaps_keep_it_waiting() -> None:
    story, used_at = woken(), 100.0
    for _ in range(8):
        idle_until(story, used_at, used_at + 20.0 if used_at == 100.0 else used_at + 12.0)
        if story.database.run is None:
            story.wake()
            story.rest()
        used_at = story.world.now
        used(story, used_at)
    assert slept(story, used_at) - used_at >= 12.0


def test_steady_use_is_no_gap() -> None:
    """Ten queries a second, of which samples see the last; the network is not always as fast."""
    story = woken()
    for second in range(30):
        story.at(101.0 + second + 0.02 * (second % 3)).sample(idle_s=0.05).rest()
    slept(story, 131.0)
    assert counts(story) == {}


def test_a_slow_wake_is_no_gap() -> None:
    """Its client waits, and its query comes when the wake is over."""
    story = woken()
    for second in range(1, 6):
        story.at(100.0 + second).sample(busy=1, waiting=1, idle_s=100.0).rest()
    used(story, 106.0)
    slept(story, 106.0)
    assert counts(story) == {}


def test_one_use_that_samples_tell_a_little_differently_is_one() -> None:
    story = woken()
    for second in range(1, 9):
        story.at(100.0 + second)
        story.sample(idle_s=second - 0.004 * second).rest()
    used(story, 109.0)
    slept(story, 109.0)
    assert counts(story) == {bucket(9.0): ONE}


def test_what_a_person_put_to_sleep_says_nothing_against_the_time_out() -> None:
    """The gap counts; that it cost a wake is not the time-out's debt."""
    story = woken()
    idle_until(story, 100.0, 103.0)
    story.fact(facts.wish_asleep, 7, story.world.now)
    story.sample(idle_s=3.0).rest()
    assert story.phase() is Phase.SUSPENDED
    story.at(130.0).wake()
    story.rest()
    assert counts(story) == {bucket(30.0): ONE}
    assert learned(story).debt_seconds == 0.0


def test_nothing_is_written_for_what_is_learned() -> None:
    """While it is awake: the record has it with the next sleep."""
    story = woken()
    story.at(104.0).sample(idle_s=4.0).rest()
    story.asked.clear()
    used_at = 100.0
    for _ in range(5):
        idle_until(story, used_at, used_at + 8.0)
        used_at = story.world.now
        used(story, used_at)
    names = story.names()
    assert "WriteStatus" not in names
    slept(story, used_at)
    assert sum(counts(story).values()) == pytest.approx(5.0, abs=0.3)


def test_who_does_not_ask_for_it_has_none_of_it() -> None:
    story = Story()
    story.wake()
    story.rest()
    assert story.database.idling is None
    idle_until(story, 100.0, 115.0)
    assert story.phase() is Phase.SUSPENDED
    assert story.record.status.learned_gaps is None
    assert story.database.idling is None


def test_a_database_that_goes_back_to_a_fixed_time_forgets() -> None:
    story = woken()
    slept(story, 100.0)
    assert story.record.status.learned_gaps is not None
    story.wake()
    story.rest()
    used_at = story.world.now
    story.change(idleTimeout="10s")
    assert slept(story, used_at) == pytest.approx(used_at + 10.0, abs=1.0)
    assert story.record.status.learned_gaps is None


STORED = LearnedGaps(
    counts=f"{bucket(900.0)}:5.8", debt_seconds=-12.5, wake_ms=200, last_use="2027-01-15T08:00:00Z"
)
ASLEEP_SINCE = 1_800_000_000.0


def found_asleep(stored: LearnedGaps, wall_s: float = ASLEEP_SINCE + 600.0) -> Story:
    """By an autoscaler that has just begun."""
    status = DatabaseStatus(observed_generation=1, epoch=3, learned_gaps=stored)
    story = Story(status, agents=12, idleTimeout="auto")
    story.world.wall_s = wall_s
    return story


def test_the_next_autoscaler_knows_what_was_learned() -> None:
    story = found_asleep(STORED)
    assert story.database.idling is None, "a sleeper costs nothing"
    story.at(400.0).wake()
    story.rest()
    assert counts(story) == {bucket(900.0): pytest.approx(6.7, abs=0.1)}
    assert learned(story).wake_ms == 200
    used_at = story.world.now
    assert slept(story, used_at) - used_at < 3.0


def test_a_record_that_is_as_it_was_chooses_as_before() -> None:
    story = found_asleep(STORED)
    story.wake()
    known = story.database.idling
    assert known is not None
    again = known.stored("2027-01-15T08:00:00Z")
    other = found_asleep(again)
    other.database.learn(lambda _: None)
    assert other.database.idling is not None
    assert other.database.idling.choice.timeout_s == known.choice.timeout_s


@pytest.mark.parametrize(
    ("stored", "wall_s"),
    [
        (STORED.model_copy(update={"last_use": ""}), ASLEEP_SINCE + 600.0),
        (STORED.model_copy(update={"last_use": "yesterday"}), ASLEEP_SINCE + 600.0),
        (STORED, ASLEEP_SINCE - 3600.0),
    ],
    ids=["not told", "not readable", "a clock that went back"],
)
def test_a_gap_of_which_nobody_knows_the_begin_is_none(stored: LearnedGaps, wall_s: float) -> None:
    story = found_asleep(stored, wall_s)
    story.at(400.0).wake()
    story.rest()
    assert counts(story) == {bucket(900.0): 5.8}


def test_one_that_lost_its_compute_meanwhile_did_not_sleep() -> None:
    """Its record speaks of the last use before it was woken."""
    status = DatabaseStatus(
        observed_generation=1, epoch=3, phase=Phase.ACTIVE, compute="c9", learned_gaps=STORED
    )
    story = Story(status, agents=4, idleTimeout="auto")
    story.world.wall_s = ASLEEP_SINCE + 7200.0
    story.wake()
    story.rest()
    used_at = story.world.now
    slept(story, used_at)
    assert counts(story) == {bucket(900.0): 5.8}


def test_absurd_memories_harm_nobody() -> None:
    absurd = STORED.model_copy(
        update={"counts": "3:1000 99:7 5:100.5", "debt_seconds": float("nan")}
    )
    story = found_asleep(absurd)
    story.wake()
    story.rest()
    assert 1.0 <= story.database.timeout_s <= 3600.0
    assert "1000" not in learned(story).counts


def test_a_slow_wake_makes_it_wait_longer_and_is_forgotten() -> None:
    quick, slow = Terms(), Terms(wake_wait_s=1.0)
    assert slow.break_even_s > quick.break_even_s
    story = woken()
    known = story.database.idling
    assert known is not None
    known.took(10.0)
    after_one = known.stored("").wake_ms
    for _ in range(20):
        known.took(0.1)
    assert after_one == pytest.approx(2688, abs=1)
    assert known.stored("").wake_ms < 150


def test_gaps_alone_say_what_is_chosen() -> None:
    """The same memory gives the same time-out: nothing else has to be told in the record."""
    story = woken()
    known = story.database.idling
    assert known is not None
    gaps = known._gaps
    assert choose_timeout(gaps, known._terms).timeout_s == known.choice.timeout_s
