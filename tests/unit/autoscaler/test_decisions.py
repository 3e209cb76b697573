"""What is decided in the life of a database, as it is remembered for people who ask."""

from __future__ import annotations

from torpor_api import messages as m
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.core.reasons import PASSING_S
from torpor_autoscaler.lifecycle import facts
from unit.autoscaler.story import Story, awake


def lines(story: Story) -> list[str]:
    return [dated.decision.line for dated in story.database.decisions]


def report(session: int, reason: str) -> m.SessionReport:
    return m.SessionReport(
        session=session,
        user="app",
        application="",
        client="10.0.0.7",
        reason=reason,
        since_s=PASSING_S,
    )


def test_a_database_that_nobody_has_used_has_decided_nothing() -> None:
    assert lines(Story()) == []


def test_a_wake_a_time_without_use_and_a_sleep() -> None:
    story = awake()
    story.at(106.0).sample(idle_s=6.0)
    story.at(107.0).sample(idle_s=7.0)
    story.at(110.5).sample(idle_s=10.5).rest()
    story.at(500.0).wake()
    assert lines(story) == [
        "wakes (session 1): wanted by 1, above 0",
        "stays awake (sleeps after 10s without use): time without use 0 s, below 10 s",
        "goes to sleep: time without use 10.5 s, above 10 s",
        "wakes (session 2): wanted by 1, above 0",
    ]


def test_the_current_one_has_the_latest_figure() -> None:
    story = awake()
    story.at(106.0).sample(idle_s=6.0)
    (current,) = story.database.decisions.current
    assert current.latest.loop is Loop.AWAKE
    assert (current.decision.value, current.latest.value) == (0.0, 6.0)


def test_what_keeps_it_awake_is_named_and_what_passes_is_not() -> None:
    story = awake(keepAwake=True)
    for second in range(5):
        story.at(101.0 + second).sample(busy=second % 2)
    assert lines(story)[1:] == ["stays awake (keepAwake): reasons against its sleep 1, above 0"]


def test_who_holds_it_comes_before_what_takes_time_and_many_are_counted() -> None:
    story = awake()
    pinned = [report(session, "holds advisory lock 42") for session in (5, 7, 9, 11)]
    story.at(105.0).sample(pinned=tuple(pinned[:2])).rest()
    story.at(105.5).sample(pinned=tuple(pinned)).rest()
    who = "session {}, user app from 10.0.0.7: holds advisory lock 42"
    two, four = lines(story)[-2:]
    assert two == (
        f"stays awake ({who.format(5)}; {who.format(7)}; sleeps after 10s without use): "
        "reasons against its sleep 3, above 0"
    )
    assert four.startswith(f"stays awake ({who.format(11)}; ")
    assert four.endswith("; 2 more): reasons against its sleep 5, above 0")


def test_a_sleep_that_somebody_asked_for() -> None:
    story = awake()
    story.at(101.0).sample(idle_s=1.0)
    story.fact(facts.wish_asleep, 7, story.world.now).rest()
    assert lines(story)[-1] == "goes to sleep: people who ask for it 1, above 0"


def test_one_that_is_called_off_says_why() -> None:
    story = awake()
    story.activity = story.activity.model_copy(update={"busy": ("an index is being built",)})
    story.at(125.0).sample(idle_s=25.0).rest()
    assert lines(story)[-2:] == [
        "goes to sleep: time without use 25 s, above 10 s",
        "stays awake (could not be put to sleep: an index is being built): "
        "time without use 25 s, above 10 s",
    ]


def test_a_lost_compute_under_sessions_is_a_wake_too() -> None:
    story = awake().sample(attached=1)
    story.fact(facts.agent_gone, "c1", 101.0).rest()
    assert "wakes (sessions of a lost compute): wanted by 1, above 0" in lines(story)


def test_a_move_to_another_compute_is_neither_sleep_nor_wake() -> None:
    story = awake()
    story.at(101.0).sample(idle_s=1.0)
    before = lines(story)
    story.fact(facts.ask_switchover, 9, 1.0).rest()
    assert story.database.status.epoch == 2
    assert lines(story) == before
