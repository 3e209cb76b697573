"""Reasons as a person reads them, what each forbids, and which are written to the resource."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torpor_api.messages import SessionReport
from torpor_api.resource import DatabaseSpec
from torpor_autoscaler.core import reasons
from torpor_autoscaler.core.reasons import Reason, Weight

REPORT = SessionReport(
    session=17, user="app", application="", client="10.0.0.7", reason="listens", since_s=3.0
)


def session(**others: object) -> SessionReport:
    return REPORT.model_copy(update=others)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0s"),
        (59.9, "59s"),
        (60.0, "1m"),
        (61.0, "1m1s"),
        (179.0, "2m59s"),
        (180.0, "3m"),
        (181.0, "3m"),
        (239.9, "3m"),
        (240.0, "4m"),
        (3599.0, "59m"),
        (3600.0, "1h"),
        (3601.0, "1h"),
        (3661.0, "1h1m"),
        (90_061.0, "1d1h1m"),
    ],
)
def test_the_longer_a_time_the_fewer_of_its_digits_count(seconds: float, told: str) -> None:
    assert reasons.duration(seconds) == told


def test_a_session_is_named_with_its_application_if_it_has_one() -> None:
    words = "session 17, user app from 10.0.0.7: listens"
    assert reasons.pinned(REPORT) == Reason(Weight.IN_USE, words, " for 3s")
    named = reasons.pinned(session(application="worker"))
    assert named.words == "session 17, user app, application worker from 10.0.0.7: listens"


def test_what_has_lasted_for_three_seconds_is_written() -> None:
    assert reasons.pinned(session(since_s=2.9)).is_passing
    assert not reasons.pinned(REPORT).is_passing
    assert reasons.inside("autovacuum of public.t", 2.9).is_passing
    assert reasons.inside("autovacuum of public.t", 3.0) == Reason(
        Weight.INSIDE, "autovacuum of public.t", " for 3s"
    )


def test_what_comes_and_goes_with_every_query_is_not_written() -> None:
    busy = Reason(
        Weight.IN_USE, "sessions are busy", ": 1 session is in a transaction or query", True
    )
    assert reasons.busy(1) == busy
    several = ": 2 sessions are in a transaction or query"
    assert reasons.busy(2) == replace(busy, detail=several)
    assert reasons.waiting(2) == Reason(Weight.IN_USE, "sessions wait for it", ": 2", True)


def test_of_a_proxy_that_has_not_reported_nothing_is_known() -> None:
    words = "proxy p1 has not reported its sessions"
    assert reasons.silent_proxy("p1", None) == Reason(Weight.UNKNOWN, words, "", True)
    assert reasons.silent_proxy("p1", 4.0) == Reason(Weight.UNKNOWN, words, " for 4s", True)
    words = "proxy p1 still reports an earlier epoch"
    assert reasons.other_epoch("p1", 4, 3) == Reason(Weight.UNKNOWN, words, ": 3, not 4", True)


def test_what_is_left_of_a_time_is_never_told_as_nothing() -> None:
    words = "the autoscaler has just started and proxies may still have to report"
    assert reasons.just_started(0.4) == Reason(Weight.UNKNOWN, words, "; 1s more", True)
    words = "could not be put to sleep: autovacuum of public.t"
    refused = reasons.refused_before("autovacuum of public.t", 0.4)
    assert refused == Reason(Weight.TIME, words, "; the next try is in 1s")
    scheduled = reasons.scheduled("schedule @daily UTC", 0.4)
    assert scheduled == Reason(Weight.KEPT, "schedule @daily UTC", " for 1s more")


@pytest.mark.parametrize(
    ("timeout_s", "after"), [(2.8284, "2.83s"), (59.94, "59.9s"), (60.0, "1m"), (200.0, "3m")]
)
def test_a_time_out_that_was_learned_is_told_roughly(timeout_s: float, after: str) -> None:
    """Only where a person asks: the resource would be written as often as more is learned."""
    assert reasons.used(1.0, timeout_s, "by its own gaps") == Reason(
        Weight.TIME,
        "sleeps by idleTimeout auto",
        f": after {after} without use (by its own gaps); used 1s ago",
    )


def test_a_time_out_that_was_set_is_told_as_it_was_set() -> None:
    words = "sleeps after 3m20s without use"
    assert reasons.used(7.9, 200.0) == Reason(Weight.TIME, words, "; used 7s ago")


def test_the_resource_has_reasons_of_its_own() -> None:
    spec = DatabaseSpec.model_validate({"minCU": 10, "maxCU": 16, "keepAwake": True})
    assert reasons.kept(spec) == (
        Reason(Weight.KEPT, "minCU is 10"),
        Reason(Weight.KEPT, "keepAwake"),
    )
    assert reasons.kept(DatabaseSpec.model_validate({})) == ()
