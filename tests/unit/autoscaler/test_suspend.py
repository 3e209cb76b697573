"""From idle to released, and back to where it was whenever anything speaks against it."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.facts import Activity
from torpor_api.failures import Busy, Conflict, Failure, Refused, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import endpoints, facts, why
from torpor_autoscaler.lifecycle.actions import Wait
from unit.autoscaler.story import FACTS, Story, address, awake

FAILURES = list(Failure.by_kind.values())

BEFORE_THE_STOP: list[tuple[type[Any], dict[str, Any]]] = [
    (m.AskActivity, {}),
    (m.WriteStatus, {"phase": Phase.SUSPENDING}),
    (m.Checkpoint, {}),
    (m.CloseGate, {}),
    (m.StopListening, {}),
]


def idle(**spec: Any) -> Story:
    """Awake since 100, and at 120 its only session has been idle for 20 s, twice its time-out."""
    story = awake(**spec)
    story.at(106.0).sample(idle_s=6.0).rest()
    story.at(120.0)
    story.effects.clear()
    story.asked.clear()
    return story.sample(idle_s=20.0)


def wish(story: Story) -> Story:
    return story.fact(facts.wish_asleep, 7, story.world.now)


def test_one_suspend_in_order() -> None:
    story = idle()
    story.rest()
    assert story.names() == [
        "AskActivity",
        "WriteStatus",
        "Checkpoint",
        "CloseGate",
        "StopListening",
        "StopCompute",
        "StoreLoginFacts",
        "WriteStatus",
    ]
    status = story.record.status
    assert (status.phase, status.compute, status.epoch) == (Phase.SUSPENDED, None, 1)
    assert status.why_awake == ()
    info = endpoints.info(story.database)
    assert (info.phase, info.address, info.facts) == (Phase.SUSPENDED, None, FACTS)
    assert story.world.pool.claimed == ()


def test_after_a_clean_stop_the_next_start_needs_no_fencer() -> None:
    story = idle()
    story.rest()
    story.wake()
    start = story.until(m.StartCompute)
    assert start.epoch == 2 and not story.all(m.ConfirmGone)


def test_nothing_is_done_before_its_time() -> None:
    story = awake()
    story.at(106.0).rest()
    story.asked.clear()
    wait = story.at(109.0).sample(idle_s=8.0).rest()
    assert wait.until == 111.0 and not story.asked


def test_its_time_counts_from_the_last_use_in_a_proxy_that_has_ended() -> None:
    """Which has said so itself, and later than by its last sample."""
    story = awake()
    story.at(106.0).sample(idle_s=6.0)
    story.world.proxies.ended("p1", {"shop": 107.0}, 108.0)
    story.fact(facts.used, 107.0).rest()
    assert isinstance(story.action, Wait) and story.action.until == 117.0
    assert story.at(117.0).rest() and story.phase() is Phase.SUSPENDED


def test_the_endpoint_is_told_nothing_before_the_gates_are_closed() -> None:
    story = idle()
    story.until(m.Checkpoint)
    info = endpoints.info(story.database)
    assert (info.phase, info.address) == (Phase.ACTIVE, address("c1"))
    story.until(m.StopCompute)
    info = endpoints.info(story.database)
    assert (info.phase, info.address) == (Phase.SUSPENDING, None)


def test_what_runs_inside_keeps_it_awake_and_is_named() -> None:
    story = idle()
    story.activity = Activity(busy=("autovacuum of public.t is running",))
    story.rest()
    assert story.names() == ["AskActivity", "WriteStatus"]
    assert story.written[-1].why_awake != () and story.phase() is Phase.ACTIVE
    (line,) = why.lines(story.database, 120.0)
    assert line.startswith("could not be put to sleep: autovacuum of public.t is running;")


def test_a_busy_session_opens_all_gates_again_and_the_next_try_waits() -> None:
    story = idle()
    story.until(m.CloseGate)
    story.fail(Busy("session 3: a transaction is open"))
    assert story.until(m.OpenGate).epoch == 1
    wait = story.rest()
    assert story.phase() is Phase.ACTIVE and not story.all(m.StopCompute)
    assert "session 3" in story.record.status.why_awake[0]
    assert endpoints.info(story.database).address == address("c1")
    assert wait.until is not None and wait.until >= 121.0
    story.at(120.5).sample(idle_s=20.5)
    assert isinstance(story.action, Wait)
    story.at(124.0).sample(idle_s=24.0).rest()
    assert story.phase() is Phase.SUSPENDED


def test_a_client_that_is_no_proxys_calls_it_off_at_the_last_moment() -> None:
    story = idle()
    story.until(m.StopCompute)
    story.fail(Busy("1 client backend is still there"))
    story.until(m.OpenGate)
    story.rest()
    assert story.phase() is Phase.ACTIVE and story.database.run is not None


def test_each_refusal_in_a_row_makes_the_next_try_later() -> None:
    story = idle()
    pauses = []
    for _ in range(4):
        story.until(m.CloseGate)
        story.fail(Busy("busy")).rest()
        pauses.append(story.database.held_back.until - story.world.now)
        story.at(story.database.held_back.until).sample(idle_s=60.0)
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_lost_race_for_the_record_does_not_call_it_off() -> None:
    story = idle()
    story.until(m.WriteStatus, phase=Phase.SUSPENDING)
    story.touch().fail(Conflict("once")).rest()
    assert story.phase() is Phase.SUSPENDED


@pytest.mark.parametrize(
    ("step", "fields", "kind"),
    [
        (step, fields, kind)
        for step, fields in BEFORE_THE_STOP
        for kind in FAILURES
        if step is not m.WriteStatus or not issubclass(kind, Conflict)
    ],
)
def test_every_failure_before_the_stop_leaves_it_as_it_was(
    step: type[Any], fields: dict[str, Any], kind: type[Failure]
) -> None:
    story = idle()
    story.until(step, **fields)
    story.fail(kind("once"))
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    assert story.phase() is Phase.ACTIVE and story.record.status.epoch == 1
    assert endpoints.info(story.database).address == address("c1")
    assert not story.all(m.StopCompute) and not story.all(m.ConfirmGone)
    assert bool(story.all(m.OpenGate)) == (step in (m.CloseGate, m.StopListening))


@pytest.mark.parametrize("kind", [kind for kind in FAILURES if kind is not Busy])
def test_after_a_stop_of_unknown_outcome_the_compute_is_fenced(kind: type[Failure]) -> None:
    story = idle()
    story.until(m.StopCompute)
    story.fail(kind("who knows"))
    story.until(m.ConfirmGone)
    assert endpoints.info(story.database).address is None
    story.world.proxies.sampled("p1", [], story.world.now)
    story.database.must_return = False
    story.let_time_pass(lambda: story.phase() is Phase.SUSPENDED)
    status = story.record.status
    assert (status.phase, status.compute) == (Phase.SUSPENDED, "c1")
    story.wake()
    assert story.until(m.StartCompute).fenced == ("c1",)


def test_a_wake_before_the_stop_calls_it_off() -> None:
    story = idle()
    story.until(m.Checkpoint)
    story.wake()
    story.rest()
    assert [type(answer) for answer in story.answers()] == [m.Awake]
    assert story.phase() is Phase.ACTIVE and not story.all(m.StopCompute)
    assert not story.all(m.CloseGate)


def test_a_wake_behind_closed_gates_opens_them() -> None:
    story = idle()
    story.until(m.CloseGate)
    story.wake()
    story.rest()
    assert story.all(m.OpenGate) and not story.all(m.StopCompute)
    assert [type(answer) for answer in story.answers()] == [m.Awake]


def test_a_wake_during_the_stop_is_resumed_at_once() -> None:
    story = idle()
    story.until(m.StopCompute)
    story.wake()
    start = story.until(m.StartCompute)
    assert start.epoch == 2
    phases = [request.status.phase for request in story.all(m.WriteStatus)]
    assert phases == [Phase.SUSPENDING, Phase.RESUMING]
    story.rest()
    assert [type(answer) for answer in story.answers()] == [m.Awake]


def test_a_session_that_falls_busy_during_the_checkpoint_calls_it_off() -> None:
    story = idle()
    story.until(m.Checkpoint)
    story.sample(busy=1, idle_s=0.0)
    story.rest()
    assert story.phase() is Phase.ACTIVE and not story.all(m.CloseGate)


def test_a_compute_that_is_lost_meanwhile_is_not_written_as_active() -> None:
    story = idle()
    story.until(m.Checkpoint)
    story.world.proxies.sampled("p1", [], 120.0)
    story.fact(facts.agent_gone, "c1", 120.0)
    story.fail(Unavailable("the connection was lost"))
    story.let_time_pass(lambda: story.phase() is Phase.SUSPENDED)
    assert (story.phase(), story.record.status.compute) == (Phase.SUSPENDED, "c1")


def test_facts_that_can_not_be_stored_hold_up_the_record_not_the_next_wake() -> None:
    story = idle()
    story.until(m.StoreLoginFacts)
    story.fail(Unavailable("the cluster is away"))
    assert story.phase() is Phase.SUSPENDING
    story.wake()
    wait = story.rest()
    assert wait.until is not None
    story.at(wait.until).rest()
    assert story.phase() is Phase.ACTIVE and story.record.status.epoch == 2


# --- people ------------------------------------------------------------------------------------


def test_a_wish_need_not_wait_for_the_time() -> None:
    story = awake()
    story.at(101.0).sample(idle_s=1.0)
    wish(story).rest()
    assert story.phase() is Phase.SUSPENDED and story.refusals() == [None]


def test_a_wish_is_refused_with_the_session_and_its_state() -> None:
    pinned = m.SessionReport(
        session=17, user="app", application="", client="::1", reason="holds a cursor", since_s=1.0
    )
    story = awake()
    story.at(101.0).sample(pinned=(pinned,))
    wish(story)
    (refusal,) = story.refusals()
    assert isinstance(refusal, Busy)
    assert refusal.message == "shop: session 17, user app from ::1: holds a cursor for 1s"
    assert story.phase() is Phase.ACTIVE


@pytest.mark.parametrize("is_still_there", [True, False])
def test_a_report_from_before_the_wish_is_not_held_against_it(is_still_there: bool) -> None:
    """Whoever ends his session and suspends at once is not told of that very session."""
    pinned = m.SessionReport(
        session=17, user="app", application="", client="::1", reason="holds a cursor", since_s=1.0
    )
    story = awake()
    story.at(101.0).sample(pinned=(pinned,)).at(101.5)
    wish(story)
    assert isinstance(story.rest(), Wait) and not story.refusals()
    story.at(102.0).sample(pinned=(pinned,) if is_still_there else ()).rest()
    (refusal,) = story.refusals()
    assert isinstance(refusal, Busy) if is_still_there else refusal is None


def test_a_wish_that_the_gate_refuses_is_answered_with_its_reason() -> None:
    story = awake()
    story.at(101.0).sample(idle_s=1.0)
    wish(story)
    story.until(m.CloseGate)
    story.fail(Busy("session 3 has a temporary table")).rest()
    (refusal,) = story.refusals()
    assert isinstance(refusal, Busy) and "session 3 has a temporary table" in refusal.message


@pytest.mark.parametrize("spec", [{"keepAwake": True}, {"minCU": 0.5}])
def test_a_wish_against_the_resource_is_refused(spec: dict[str, Any]) -> None:
    story = Story(**spec)
    story.rest()
    wish(story)
    (refusal,) = story.refusals()
    assert isinstance(refusal, Refused)


def test_a_wish_waits_for_the_report_of_a_proxy() -> None:
    story = awake()
    story.at(101.0)
    story.world.proxies.registered("p1")
    wish(story)
    assert isinstance(story.rest(), Wait) and not story.refusals()
    story.sample(idle_s=1.0).rest()
    assert story.refusals() == [None]


def test_a_wish_for_one_that_sleeps_is_granted() -> None:
    story = Story()
    story.rest()
    wish(story).rest()
    assert story.refusals() == [None] and not story.all(m.WriteStatus)


def test_a_wish_ends_a_failure() -> None:
    story = Story(DatabaseStatus(phase=Phase.FAILED, epoch=3, observed_generation=1))
    story.rest()
    assert story.phase() is Phase.FAILED
    wish(story).rest()
    assert story.phase() is Phase.SUSPENDED and story.refusals() == [None]


def test_a_wish_during_a_resume_comes_after_it() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    wish(story)
    story.rest()
    assert [type(answer) for answer in story.answers()] == [m.Awake]
    assert story.refusals() == [None] and story.phase() is Phase.SUSPENDED


def test_a_crash_behind_closed_gates_opens_them_for_whoever_comes_back() -> None:
    story = idle()
    story.until(m.CloseGate)
    crash = m.PostgresLost(database="shop", epoch=1, restarting=True, reason="signal 11")
    story.fact(facts.postgres_lost, crash, 120.0)
    story.answer()
    assert story.until(m.OpenGate).epoch == 1
    story.rest()
    assert endpoints.info(story.database).address is None
    assert not story.all(m.StopCompute) and story.database.run is not None


def test_a_decision_is_logged_when_its_reasons_change() -> None:
    story = idle()
    story.rest()
    decisions = [note for note in story.notes() if note.startswith("decided")]
    assert decisions == ["decided_to_sleep"]
    story.wake()
    story.rest()
    for moment in range(121, 126):
        story.at(moment).sample(idle_s=moment - 120.0)
    decisions = [note for note in story.notes() if note.startswith("decided")]
    assert decisions == ["decided_to_sleep", "decided_to_stay_awake"]


def test_the_chain_of_a_resume_that_was_short_is_kept() -> None:
    story = awake()
    story.at(101.0).sample(idle_s=1.0)
    wish(story).rest()
    assert story.phase() is Phase.SUSPENDED
    assert story.record.status.last_resume is not None
    assert story.record.status.last_resume.cause == "session 1"
