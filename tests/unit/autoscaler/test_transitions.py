"""Which transitions are kept, and how they are found again."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.transition import Span, Transition, TransitionKind
from torpor_autoscaler import transitions
from torpor_autoscaler.lifecycle.times import exact_timestamp
from torpor_autoscaler.transitions import Transitions

NOON_S = 1_800_000_000.0


def went(
    database: str,
    total_ms: float,
    kind: TransitionKind = TransitionKind.RESUME,
    failure: str = "",
    at_s: float = NOON_S,
) -> Transition:
    return Transition(
        database=database,
        kind=kind,
        at=exact_timestamp(at_s),
        epoch=3,
        cause="session 1 of app",
        total_ms=total_ms,
        failure=failure,
        spans=(Span(name="start of postgres", where="postgres", begin_ms=0, ms=total_ms),),
    )


def found(kept: Transitions, now_s: float = NOON_S, **asked: object) -> list[tuple[str, float]]:
    request = m.AskTransitions.model_validate(asked)
    return [(each.database, each.total_ms) for each in kept.find(request, now_s)]


def test_the_latest_comes_first_and_the_slowest_where_that_is_asked() -> None:
    kept = Transitions(NOON_S)
    for at, (name, ms) in enumerate([("a", 30), ("b", 90), ("a", 60)]):
        kept.add(went(name, ms, at_s=NOON_S + at))
    assert found(kept) == [("a", 60), ("b", 90), ("a", 30)]
    assert found(kept, order="slowest", limit=2) == [("b", 90), ("a", 60)]
    assert found(kept, database="a", limit=1) == [("a", 60)]
    assert found(kept, now_s=NOON_S + 2, within_s=0.5) == [("a", 60)]


def test_what_is_kept_is_the_whole() -> None:
    kept, told = Transitions(NOON_S), went("a", 30)
    kept.add(told)
    assert kept.find(m.AskTransitions(), NOON_S) == (told,)


def test_kinds_are_told_apart() -> None:
    kept = Transitions(NOON_S)
    kept.add(went("a", 30, at_s=NOON_S))
    kept.add(went("a", 12, TransitionKind.SUSPEND, at_s=NOON_S + 1))
    assert found(kept, kinds=["suspend"]) == [("a", 12)]
    assert found(kept, kinds=["resume", "suspend"]) == [("a", 12), ("a", 30)]


def test_wakes_are_counted_for_an_hour_and_failed_ones_are_none() -> None:
    kept = Transitions(NOON_S)
    kept.add(went("a", 30, at_s=NOON_S))
    kept.add(went("a", 80, TransitionKind.FAILOVER, at_s=NOON_S + 100))
    kept.add(went("a", 5000, failure="no disk", at_s=NOON_S + 200))
    kept.add(went("a", 10, TransitionKind.SUSPEND, at_s=NOON_S + 300))
    at_once, later = kept.wakes("a", NOON_S + 300), kept.wakes("a", NOON_S + 3650)
    assert (at_once.count, at_once.slowest_ms) == (2, 80)
    assert (later.count, later.slowest_ms) == (1, 80)
    assert kept.wakes("a", NOON_S + 7300).count == kept.wakes("b", NOON_S).count == 0


def test_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "KEPT_MAX", 3)
    kept = Transitions(NOON_S - 100)
    for at in range(5):
        kept.add(went(f"d{at}", 1000.0, at_s=NOON_S + at))
    assert found(kept) == [("d4", 1000), ("d3", 1000), ("d2", 1000)]
    assert kept.since_s == NOON_S + 1  # When the last one that was dropped began.


def test_a_restless_database_takes_no_others_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "KEPT_OF_ONE_MAX", 2)
    monkeypatch.setattr(transitions, "KEPT_MAX", 3)
    kept = Transitions(NOON_S)
    kept.add(went("quiet", 5, at_s=NOON_S))
    for at in range(1, 9):
        kept.add(went("restless", at, at_s=NOON_S + at))
    assert found(kept) == [("restless", 8), ("restless", 7), ("quiet", 5)]


def test_of_a_deleted_database_nothing_is_kept() -> None:
    kept = Transitions(NOON_S)
    for name in "aba":
        kept.add(went(name, 5, at_s=NOON_S))
    kept.gone("a")
    kept.gone("a")
    assert found(kept) == [("b", 5)] and kept.wakes("a", NOON_S).count == 0
