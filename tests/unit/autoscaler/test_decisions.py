"""What is decided in the life of a database, as it is remembered for people who ask."""

from __future__ import annotations

from dataclasses import replace

from torpor_api import messages as m
from torpor_api.decided import CurrentDecision
from torpor_api.phases import Phase
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.core.reasons import PASSING_S
from torpor_autoscaler.lifecycle import decided, facts
from torpor_autoscaler.lifecycle.database import Database
from unit.autoscaler.story import Story, awake

GROWS = Decision(Loop.SIZE, "load", 1.43219, 0.9, "CPU", 60.0, "grows from 1 to 2 CU")


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


def test_what_its_spec_does_not_ask_for_any_more_holds_no_more_and_stays_known() -> None:
    window = {"cron": "* * * * *", "duration": "30s"}
    story = awake(idleTimeout="auto", schedules=[window])
    decide(story, GROWS)
    known = len(lines(story))
    story.change(idleTimeout="5s")
    story.rest()
    loops = [dated.decision.loop for dated in story.database.decisions.current]
    assert loops == [Loop.AWAKE] and len(lines(story)) >= known


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
    assert four.endswith("; and more): reasons against its sleep 5, above 0")


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


def decide(story: Story, decision: Decision) -> None:
    """As a policy does; then the plan goes on."""
    story.world.wall_s = 1.8e9 + story.world.now
    story.database.decisions.add(decision, story.world.wall_s)
    story.fact(lambda database: None).rest()


def test_the_record_of_an_awake_one_has_what_holds_by_the_figure_that_led_to_it() -> None:
    story = awake(keepAwake=True)
    decide(story.at(165.0), GROWS)
    assert story.record.status.decisions == (
        CurrentDecision(
            loop="size",
            follows="grows from 1 to 2 CU",
            metric="load",
            value=1.432,
            threshold=0.9,
            unit="CPU",
            window_seconds=60.0,
            since="2027-01-15T08:02:45Z",
        ),
    )


def test_figures_and_changes_of_mind_cost_no_write_each() -> None:
    story = awake(keepAwake=True)
    decide(story.at(165.0), GROWS)
    before = len(story.written)
    for second in range(166, 224):
        decision = replace(GROWS, value=float(second), follows=f"grows to {second % 4} CU")
        decide(story.at(float(second)), decision)
    assert len(story.written) == before
    story.at(225.0).rest()
    assert len(story.written) == before + 1  # By the clock: it need not be poked.
    for second in range(225, 300):
        decide(story.at(float(second)), replace(GROWS, value=1 / second, follows="stays at 2 CU"))
    assert len(story.written) == before + 2
    assert [each.follows for each in story.record.status.decisions] == ["stays at 2 CU"]


def test_the_record_of_a_sleeping_one_has_none() -> None:
    story = awake()
    decide(story.at(101.0), GROWS)
    story.at(120.0).sample(idle_s=20.0).rest()
    assert story.record.status.phase == "Suspended" and story.record.status.decisions == ()
    assert GROWS in [dated.decision for dated in story.database.decisions]


def test_what_was_decided_before_a_sleep_is_packed() -> None:
    """As its figures show, which are shorter then: it may sleep for long."""
    story = awake()
    decide(story.at(101.0), replace(GROWS, value=1 / 3))
    story.at(120.0).sample(idle_s=20.0).rest()
    assert story.phase() is Phase.SUSPENDED
    (grows,) = [
        each.decision for each in story.database.decisions if each.decision.loop is Loop.SIZE
    ]
    assert grows == replace(GROWS, value=0.333333)


def test_an_autoscaler_that_begins_anew_knows_those_that_hold_and_writes_nothing() -> None:
    before = awake(keepAwake=True)
    decide(before.at(165.0), GROWS)
    found = Database(before.record, before.database.facts, before.world)
    (dated,) = found.decisions.current
    assert (dated.decision, dated.since_s) == (replace(GROWS, value=1.432), 1.8e9 + 165.0)
    assert decided.for_record(found.decisions) == before.record.status.decisions


def test_what_another_release_has_decided_is_passed_over() -> None:
    story = awake(keepAwake=True)
    decide(story.at(165.0), GROWS)
    (known,) = story.record.status.decisions
    others = (
        known.model_copy(update={"loop": "moon"}),
        known.model_copy(update={"since": "long ago"}),
        known.model_copy(update={"since": None}),
        known,
    )
    status = story.record.status.model_copy(update={"decisions": others})
    record = story.record.model_copy(update={"status": status})
    found = Database(record, story.database.facts, story.world)
    assert [dated.decision.loop for dated in found.decisions] == [Loop.SIZE]


def test_one_that_waits_to_be_moved_does_not_go_to_sleep_by_the_clock() -> None:
    story = awake(agents=1)
    story.at(101.0).sample(idle_s=1.0).fact(facts.ask_switchover, 9, 10.0).rest()
    story.at(111.0).sample(idle_s=11.0).rest()
    assert story.phase() is Phase.ACTIVE and story.database.switching is not None
    assert "goes to sleep" not in [dated.decision.follows for dated in story.database.decisions]
