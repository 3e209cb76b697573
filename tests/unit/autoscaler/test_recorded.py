"""What records tell of wakes and switchovers: that can be, that can't, and beside what is kept."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.chain import Step
from torpor_api.identity import DatabaseName
from torpor_api.resource import API_VERSION, KIND, DatabaseStatus, LastResume, LastSwitchover
from torpor_api.transition import EPOCH_UNKNOWN, Transition, TransitionKind
from torpor_autoscaler import transitions
from torpor_autoscaler.adapters.kubernetes.documents import Known, known_from, status_document
from torpor_autoscaler.lifecycle import recorded
from torpor_autoscaler.lifecycle.recorded import Recorded
from torpor_autoscaler.lifecycle.times import exact_timestamp, timestamp
from torpor_autoscaler.transitions import Transitions

NOON_S = 1_800_000_000.0
MINUTE_S, HOUR_S = 60.0, 3600.0

STEPS = (
    Step(name="claim", where="autoscaler", ms=4.0),
    Step(name="start of postgres", where="postgres", ms=36.0),
)


def last_resume(at: str = timestamp(NOON_S), total_ms: float = 40.0) -> LastResume:
    return LastResume(steps=STEPS, total_ms=total_ms, at=at, cause="session 3 of app")


def wake(ago_s: float, total_ms: float = 40.0, name: str = "a") -> Recorded:
    """That a record tells of at noon."""
    told = recorded.wake(name, last_resume(timestamp(NOON_S - ago_s), total_ms), NOON_S)
    assert told is not None
    return told


def went(
    after_s: float, total_ms: float = 40.0, name: str = "a", failure: str = "", kind: str = "resume"
) -> Transition:
    """Of this life, which began at noon."""
    return Transition(
        database=name,
        kind=TransitionKind(kind),
        at=exact_timestamp(NOON_S + after_s),
        epoch=9,
        total_ms=total_ms,
        failure=failure,
    )


def found(kept: Transitions, told: list[Recorded], **asked: object) -> list[tuple[str, float]]:
    request = m.AskTransitions.model_validate(asked)
    return [(each.database, each.total_ms) for each in kept.find(request, NOON_S, told)]


# --- one record ---------------------------------------------------------------------------------


def test_steps_stand_one_behind_the_other_and_no_epoch_is_made_up() -> None:
    told = wake(MINUTE_S).told()
    assert (told.kind, told.total_ms, told.cause) == ("resume", 40.0, "session 3 of app")
    assert told.is_recorded and told.epoch == EPOCH_UNKNOWN
    assert told.at == exact_timestamp(NOON_S - MINUTE_S)
    assert [(span.name, span.begin_ms, span.ms) for span in told.spans] == [
        ("claim", 0.0, 4.0),
        ("start of postgres", 4.0, 36.0),
    ]
    assert told.critical_chain == told.spans


def test_a_switchover_has_its_epoch_and_its_pause() -> None:
    last = LastSwitchover(at=timestamp(NOON_S), epoch=8, pause_ms=52.0, steps=STEPS)
    found = recorded.switchover("a", last, NOON_S)
    assert found is not None
    told = found.told()
    assert (told.kind, told.epoch, told.total_ms) == ("switchover", 8, 52.0)
    assert recorded.switchover("a", None, NOON_S) is None


@pytest.mark.parametrize(
    "absurd",
    [
        None,
        last_resume(at=""),
        last_resume(at="yesterday"),
        last_resume(at="0001-01-01T00:00:00+23:59"),
        last_resume(at=timestamp(NOON_S + recorded.AHEAD_S_MAX + 1)),
        last_resume(total_ms=float("inf")),
        LastResume(steps=(Step(name="claim", where="", ms=float("inf")),), at=timestamp(NOON_S)),
    ],
)
def test_what_can_not_be_is_passed_over(absurd: LastResume | None) -> None:
    assert recorded.wake("a", absurd, NOON_S) is None


# --- beside what is kept ------------------------------------------------------------------------


def test_records_are_asked_where_nothing_is_kept() -> None:
    kept, records = Transitions(NOON_S), [wake(5 * MINUTE_S, 70), wake(MINUTE_S, 20, name="b")]
    assert found(kept, records) == [("b", 20), ("a", 70)]
    assert found(kept, records, order="slowest") == [("a", 70), ("b", 20)]
    assert found(kept, records, within_s=2 * MINUTE_S) == [("b", 20)]
    assert found(kept, records, kinds=["suspend", "failover"]) == []


def test_a_wake_that_is_kept_is_not_told_twice() -> None:
    kept = Transitions(NOON_S)
    kept.add(went(5, 55))
    assert found(kept, [wake(-5, 55)]) == [("a", 55)]


def test_a_wake_that_failed_and_a_sleep_hide_no_record() -> None:
    kept = Transitions(NOON_S)
    kept.add(went(1, 10, kind="suspend"))
    kept.add(went(2, 900, failure="no disk"))
    assert found(kept, [wake(MINUTE_S, 40)]) == [("a", 900), ("a", 10), ("a", 40)]


def test_what_a_record_told_is_kept_when_it_tells_of_the_next() -> None:
    kept, before = Transitions(NOON_S), wake(MINUTE_S, 70)
    kept.overwritten(before)
    kept.add(went(5, 30))
    kept.overwritten(wake(-5, 30))  # That is kept, and is not kept again.
    assert found(kept, []) == [("a", 30), ("a", 70)]
    assert kept.wakes("a", NOON_S + 10).count == 2


def test_a_wake_that_was_counted_and_is_not_kept_any_more_counts_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transitions, "KEPT_MAX", 1)
    kept = Transitions(NOON_S)
    kept.add(went(5, 30))
    kept.add(went(6, 10, name="b"))
    kept.overwritten(wake(-5, 30))
    assert kept.wakes("a", NOON_S + 10).count == 1 and ("a", 30) in found(kept, [])


# --- how often ----------------------------------------------------------------------------------


def test_an_earlier_wake_says_that_there_was_none_in_the_hour() -> None:
    wakes = Transitions(NOON_S).wakes("a", NOON_S, wake(HOUR_S + 1))
    assert (wakes.count, wakes.known_since_s) == (0, None)


def test_a_wake_within_the_hour_counts_and_is_the_first_that_is_known() -> None:
    kept, last = Transitions(NOON_S), wake(5 * MINUTE_S, 70)
    wakes = kept.wakes("a", NOON_S, last)
    assert (wakes.count, wakes.slowest_ms) == (1, 70)
    assert wakes.known_since_s == NOON_S - 5 * MINUTE_S
    kept.overwritten(last)
    kept.add(went(MINUTE_S, 30))
    wakes = kept.wakes("a", NOON_S + 2 * MINUTE_S)
    assert (wakes.count, wakes.slowest_ms) == (2, 70)
    assert wakes.known_since_s == NOON_S - 5 * MINUTE_S
    # What is known reaches back an hour now.
    wakes = kept.wakes("a", NOON_S + 56 * MINUTE_S)
    assert (wakes.count, wakes.slowest_ms, wakes.known_since_s) == (1, 30, None)


def test_of_one_that_had_not_woken_for_an_hour_all_wakes_are_known() -> None:
    kept = Transitions(NOON_S)
    kept.overwritten(wake(2 * HOUR_S))
    kept.add(went(5))
    wakes = kept.wakes("a", NOON_S + 10)
    assert (wakes.count, wakes.known_since_s) == (1, None)


# --- on Kubernetes ------------------------------------------------------------------------------


def test_what_an_autoscaler_wrote_to_an_api_server_the_next_one_tells() -> None:
    status = DatabaseStatus(epoch=3, last_resume=last_resume())
    known = Known(name=DatabaseName("shop"), version="1")
    written = status_document(known, "1", status)["status"]
    head = {"name": "shop", "namespace": "default", "generation": 1, "uid": "u"}
    document = {"apiVersion": API_VERSION, "kind": KIND, "metadata": head, "spec": {}}
    resource = known_from(document | {"status": written}).resource
    assert resource is not None
    told = recorded.wake("shop", resource.status.last_resume, NOON_S)
    assert told is not None and told == wake(0, name="shop")
