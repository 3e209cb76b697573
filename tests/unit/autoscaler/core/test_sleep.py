"""Zero or one, as timelines: what was seen, when, and what is decided at which moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torpor_api.messages import EndpointSample, SessionReport
from torpor_api.resource import DatabaseSpec
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.core.reasons import Reason, Weight
from torpor_autoscaler.core.sleep import Sight, SleepChoice, View, choose_sleep, last_use

PINNED = SessionReport(
    session=17,
    user="app",
    application="worker",
    client="10.0.0.7",
    reason="holds advisory lock 42",
    since_s=185.0,
)


def view(at: float, proxy: str = "p1", forget_at: float | None = None, **sample: Any) -> View:
    told = EndpointSample(name="shop", **{"epoch": 4, "sessions": 1, **sample})
    return View(proxy, forget_at, at, told)


def sight(*views: View, used_at: float = 0.0, **others: Any) -> Sight:
    spec = DatabaseSpec.model_validate({"idleTimeout": "10s", **others.pop("spec", {})})
    timeout_s, at = spec.idle_timeout, last_use(views, used_at)
    assert not isinstance(timeout_s, str)
    told = {"timeout_s": timeout_s, "sample_age_s_max": 3.0, **others}
    return Sight(spec=spec, epoch=4, views=views, used_at=at, **told)


def lines(found: Sight, now: float) -> tuple[str, ...]:
    return tuple(reason.line for reason in choose_sleep(found, now).reasons)


def test_it_sleeps_when_the_time_is_over_and_was_seen_to_be() -> None:
    assert choose_sleep(sight(view(20.0, idle_s=10.0)), 20.0).sleeps
    assert choose_sleep(sight(view(20.0, idle_s=12.0)), 22.9).sleeps


def test_it_stays_awake_until_the_time_is_over() -> None:
    decision = choose_sleep(sight(view(20.0, idle_s=7.0)), 20.0)
    assert [r.line for r in decision.reasons] == ["sleeps after 10s without use; used 7s ago"]
    assert decision.look_again_at == 23.0


def test_sessions_that_came_and_went_between_two_samples_have_used_it() -> None:
    gone = view(20.0, sessions=0, queries_total=3, idle_s=4.0)
    assert lines(sight(gone), 20.0) == ("sleeps after 10s without use; used 4s ago",)
    nobody_came = view(20.0, sessions=0, idle_s=4.0)
    assert choose_sleep(sight(nobody_came), 20.0).sleeps


def test_time_alone_does_not_prove_that_a_session_stayed_idle() -> None:
    """The sample is of a moment before the time was over; the next one decides."""
    stale = sight(view(20.0, idle_s=9.0))
    assert not choose_sleep(stale, 21.5).sleeps
    assert choose_sleep(stale, 21.5).look_again_at is None


def test_without_sessions_time_alone_decides() -> None:
    empty = View("p1", None, 19.0, None)
    assert not choose_sleep(sight(empty, used_at=10.0), 19.9).sleeps
    assert choose_sleep(sight(empty, used_at=10.0), 20.0).sleeps
    assert choose_sleep(sight(used_at=10.0), 20.0).sleeps


@pytest.mark.parametrize(
    ("sample", "line"),
    [
        ({"busy": 2}, "sessions are busy: 2 sessions are in a transaction or query"),
        ({"busy": 1}, "sessions are busy: 1 session is in a transaction or query"),
        ({"waiting": 3}, "sessions wait for it: 3"),
        ({"epoch": 3}, "proxy p1 still reports an earlier epoch: 3, not 4"),
        (
            {"pinned": (PINNED,)},
            "session 17, user app, application worker from 10.0.0.7: holds advisory lock 42 for 3m",
        ),
    ],
)
def test_one_session_of_one_proxy_keeps_it_awake(sample: dict[str, Any], line: str) -> None:
    idle = view(20.0, "p0", idle_s=60.0)
    assert lines(sight(idle, view(20.0, idle_s=60.0, **sample)), 20.0) == (line,)


@pytest.mark.parametrize(
    "silent",
    [
        View("p2", None, None, None),
        View("p2", None, 16.9, None),
        view(16.9, "p2", idle_s=60.0),
        view(20.0, "p2", forget_at=40.0, idle_s=60.0),
        View("p2", 40.0, 20.0, None),
    ],
)
def test_a_proxy_that_does_not_report_keeps_it_awake(silent: View) -> None:
    decision = choose_sleep(sight(view(20.0, idle_s=60.0), silent), 20.0)
    assert not decision.sleeps
    assert all("proxy p2 has not reported its sessions" in r.line for r in decision.reasons)


def test_a_proxy_that_hung_up_is_looked_at_again_when_it_is_forgotten() -> None:
    assert choose_sleep(sight(View("p2", 40.0, 20.0, None)), 20.0).look_again_at == 40.0


@pytest.mark.parametrize(
    ("spec", "line"),
    [({"minCU": 0.5}, "minCU is 0.5"), ({"keepAwake": True}, "keepAwake")],
)
def test_the_resource_keeps_it_awake(spec: dict[str, Any], line: str) -> None:
    assert lines(sight(view(20.0, idle_s=60.0), spec=spec), 20.0) == (line,)
    assert lines(sight(view(20.0, idle_s=1.0), spec=spec), 20.0) == (line,)


def test_after_the_start_and_after_a_refusal_it_waits() -> None:
    idle = sight(view(20.0, idle_s=60.0))
    assert lines(replace(idle, blind_until=21.0), 20.0) == (
        "the autoscaler has just started and proxies may still have to report; 2s more",
    )
    held = replace(idle, held_back_until=24.0, held_back_reason="autovacuum of public.t")
    assert lines(held, 20.0) == (
        "could not be put to sleep: autovacuum of public.t; the next try is in 5s",
    )
    assert choose_sleep(held, 20.0).look_again_at == 24.0
    assert choose_sleep(held, 24.0 - 1.0).look_again_at == 24.0


def test_waiters_keep_it_awake() -> None:
    assert lines(sight(view(20.0, idle_s=60.0), waiters=2), 20.0) == ("sessions wait for it: 2",)


def test_what_passes_with_every_query_is_not_written_to_the_resource() -> None:
    found = choose_sleep(sight(view(20.0, busy=1, pinned=(PINNED,))), 20.0).reasons
    kept = {reason.words for reason in found if not reason.is_passing}
    assert kept == {
        "session 17, user app, application worker from 10.0.0.7: holds advisory lock 42",
        "sleeps after 10s without use",
    }


def test_sessions_that_are_gone_leave_the_moment_of_their_last_use() -> None:
    assert last_use((view(20.0, idle_s=4.0),), 0.0) == 16.0
    assert last_use((view(30.0, sessions=0, idle_s=0.0),), 16.0) == 16.0


def test_where_it_is_scheduled_to_be_awake_no_time_is_told() -> None:
    """It would be told that it sleeps soon, and does not."""
    idle = sight(view(20.0, idle_s=5.0), scheduled="schedule @daily UTC", scheduled_for_s=59.0)
    assert lines(idle, 20.0) == ("schedule @daily UTC for 1m more",)
    assert choose_sleep(replace(idle, clock_at=21.0), 20.0).look_again_at == 21.0


def test_what_ran_inside_at_the_last_look_counts_as_long_as_the_look() -> None:
    ran = (("autovacuum of public.t", 2.0), ("a query", 18.0))
    idle = sight(view(20.0, idle_s=60.0), inside=ran, inside_until=25.0, waiters=1)
    choice = choose_sleep(idle, 20.0)
    assert [reason.line for reason in choice.reasons] == [
        "sessions wait for it: 1",
        "autovacuum of public.t for 18s",
        "a query for 2s",
    ]
    assert choice.look_again_at == 25.0
    later = sight(view(25.0, idle_s=60.0), inside=ran, inside_until=25.0)
    assert choose_sleep(later, 25.0).sleeps


def test_a_look_that_found_nothing_is_not_waited_for() -> None:
    idle = sight(view(20.0, idle_s=60.0), used_at=5.0, inside_until=25.0)
    assert choose_sleep(idle, 20.0) == SleepChoice((), None, idle_s=15.0, timeout_s=10.0)


def test_where_nothing_was_looked_for_there_is_no_moment_to_look_again() -> None:
    """Also in the first second of a clock."""
    assert choose_sleep(sight(used_at=-20.0), 0.5).look_again_at is None


def test_moments_that_have_come_hold_nothing_back() -> None:
    idle = sight(view(20.0, idle_s=60.0), blind_until=20.0, held_back_until=20.0, clock_at=20.0)
    choice = choose_sleep(idle, 20.0)
    assert choice.sleeps and choice.look_again_at is None


def test_a_sample_counts_until_it_is_older_than_allowed() -> None:
    idle = sight(view(20.0, idle_s=60.0))
    assert choose_sleep(idle, 23.0).sleeps
    assert lines(idle, 23.5) == ("proxy p1 has not reported its sessions for 3s",)


@pytest.mark.parametrize("sample", [{"waiting": 1}, {"busy": 1}, {"pinned": (PINNED,)}])
def test_of_another_epoch_nothing_is_known_even_without_sessions(sample: dict[str, Any]) -> None:
    found = lines(sight(view(20.0, sessions=0, epoch=3, **sample), used_at=0.0), 20.0)
    assert found == ("proxy p1 still reports an earlier epoch: 3, not 4",)
    empty = sight(view(20.0, sessions=0, epoch=3), used_at=0.0)
    assert choose_sleep(empty, 20.0).sleeps


def test_a_learned_time_out_is_told_with_what_it_rests_on() -> None:
    learned = sight(view(20.0, idle_s=7.0), learned="its own gaps")
    words = "sleeps by idleTimeout auto: after 10s without use (its own gaps); used 7s ago"
    assert lines(learned, 20.0) == (words,)


def test_reasons_are_chosen_by_what_they_forbid() -> None:
    choice = choose_sleep(sight(view(20.0, idle_s=7.0), waiters=2), 20.0)
    waiting, used = choice.reasons
    assert choice.against(Weight.TIME) == (used,)
    assert choice.against(Weight.IN_USE, Weight.TIME) == (waiting, used)
    assert choice.against(Weight.KEPT) == ()


def decided(*reasons: Reason) -> Decision | None:
    return SleepChoice(reasons, idle_s=12.0, timeout_s=10.0).decision


def test_the_decision_names_what_lasts_and_what_only_takes_time_last() -> None:
    keeps, time = Reason(Weight.KEPT, "keepAwake"), Reason(Weight.TIME, "a time")
    passing = Reason(Weight.IN_USE, "busy", is_passing=True)
    figures = ("time without use", 12.0, 10.0, "s", 0.0)
    assert decided() == Decision(Loop.AWAKE, *figures, "goes to sleep")
    assert decided(passing) is None
    assert decided(passing, time) == Decision(Loop.AWAKE, *figures, "stays awake (a time)")
    follows = "stays awake (keepAwake; a time)"
    against = ("reasons against its sleep", 2, 0, "", 0.0)
    assert decided(time, passing, keeps) == Decision(Loop.AWAKE, *against, follows)


@pytest.mark.parametrize(
    ("count", "named"),
    [(1, "r0"), (3, "r0; r1; r2"), (4, "r0; r1; r2; and more"), (5, "r0; r1; r2; and more")],
)
def test_the_decision_names_three_reasons_and_none_twice(count: int, named: str) -> None:
    found = [Reason(Weight.IN_USE, f"r{number}") for number in range(count)]
    decision = decided(*found, found[0])
    assert decision is not None
    assert (decision.follows, decision.value) == (f"stays awake ({named})", count)
