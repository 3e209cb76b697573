"""What a replay measures and tells: times, errors beside the log's, sleep and cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from torpor_cli.replay import figures, told
from torpor_cli.replay.figures import Figures, Times
from torpor_cli.replay.outcome import LogOutcome, contents_as_json, log_as_json
from torpor_cli.replay.statement import Contents, LeftOut, Statement
from torpor_cli.replay.use import Use

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def statement(took_ms: float | None = 2.0, sqlstate: str = "", line: int = 1) -> Statement:
    text = "select 'secret'"
    return Statement(
        0,
        0.0,
        f"log:{line}",
        text,
        True,
        took_ms=took_ms,
        sqlstate=sqlstate,
        parameters=("hidden",),
    )


def row(phase: str, cu: str = "0.5") -> dict[str, Any]:
    return {"phase": phase, "cu": cu, "epoch": 1}


def went(kind: str, at: str, ms: float, failure: str = "") -> dict[str, Any]:
    span = {"name": "start", "where": "agent", "begin_ms": 0, "ms": ms, "slack_ms": 0, "depth": 0}
    known = {"kind": kind, "at": at, "total_ms": ms, "failure": failure, "epoch": 1}
    return known | {"database": "shop", "cause": "a client", "spans": [span]}


def outcome(found: Figures, use: Use | None = None, **more: Any) -> LogOutcome:
    return LogOutcome("shop", 60.0, 0.1, use, figures=found, expected=10, **more)


# --- times and errors ----------------------------------------------------------------------


def test_percentiles_are_exact_to_two_in_a_hundred() -> None:
    times = Times()
    for ms in range(1, 1001):
        times.add(ms)
    for share, ms in ((0.5, 500), (0.99, 990), (0.999, 999)):
        assert times.percentile(share) == pytest.approx(ms, rel=0.02)
    assert times.most_ms == 1000


def test_no_times_have_no_percentiles() -> None:
    assert Times().percentile(0.5) is None


def test_errors_are_compared_with_the_logs() -> None:
    found, has_failed = Figures(), list[bool]()
    for one, sqlstate in (
        (statement(sqlstate="23505"), "23505"),
        (statement(sqlstate="57014"), ""),
        (statement(sqlstate="23505"), "42P01"),
        (statement(line=7), "42P01"),
    ):
        found.ran(one, 1.0, sqlstate, 0.0)
        has_failed.append(found.has_failed)
    assert has_failed == [False, False, False, True]
    assert found.new_errors == 1 and found.new_at == ["log:7"]
    assert [(each.now, each.in_log) for each in found.errors.values()] == [(1, 2), (0, 1), (2, 0)]


def test_times_are_compared_where_the_log_has_them_and_nothing_failed() -> None:
    found = Figures()
    found.ran(statement(2.0), 4.0, "", 0.0)
    found.ran(statement(None), 4.0, "", 0.0)
    found.ran(statement(2.0), 4.0, "42P01", 0.0)
    found.ran(statement(2.0, "42P01"), 4.0, "", 0.0)
    assert (found.now.count, found.in_log.count, found.all.count) == (1, 1, 3)


def test_the_slowest_are_kept_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "SLOWEST_KEPT", 3)
    found = Figures()
    for number in (5, 1, 9, 7, 2, 9):
        found.ran(statement(line=number), number, "", 0.0)
    assert sorted(each.ms for each in found.slowest) == [7, 9, 9]


def test_reasons_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "REASONS_KEPT", 2)
    found = Figures()
    for said in "abcacd":
        found.could_not_connect(said)
    assert found.not_connected == {"a": 2, "b": 1, "for other reasons": 3}
    assert "2 sessions could not connect: a" in told.log_story(outcome(found), NOW)


@pytest.mark.parametrize("what", ["lost", "not_run"])
def test_what_was_cut_off_has_failed(what: str) -> None:
    found = Figures()
    setattr(found, what, 1)
    assert found.has_failed


# --- sleep and cost ------------------------------------------------------------------------


def test_between_two_looks_that_differ_half_counts() -> None:
    use = Use()
    for at_s, phase in ((0, "Active"), (10, "Active"), (12, "Suspended"), (20, "Suspended")):
        use.look(at_s, row(phase))
    assert (use.awake_s, use.asleep_s, use.cu_s) == (11, 9, 5.5)


def test_a_change_is_told() -> None:
    use = Use()
    rows = [row("Active"), row("Active"), row("Suspending"), row("Suspending") | {"epoch": 2}]
    assert [use.look(0, one) for one in rows] == [True, False, True, True]


def test_a_wake_that_is_not_told_yet_is_waited_for() -> None:
    use = Use()
    told = [use.is_told]
    for one in (row("Suspended"), row("Active") | {"epoch": 2}):
        use.look(len(told), one)
        told.append(use.is_told)
    for kind in ("suspend", "resume"):
        use.went([went(kind, "12:00", 20.0) | {"epoch": 2}])
        told.append(use.is_told)
    assert told == [True, True, False, False, True]


def test_each_transition_counts_once() -> None:
    use = Use()
    first, second = went("resume", "12:00", 70.0), went("suspend", "12:01", 20.0)
    use.went([first])
    use.went([second, first])
    use.went([went("resume", "12:02", 9.0, failure="no room"), second, first])
    assert use.counts == {"resume": 1, "suspend": 1} and use.wake_count == 1
    assert use.wakes == [first]


# --- as it is told ---------------------------------------------------------------------------


def test_what_only_a_record_tells_may_have_been_counted_before() -> None:
    use = Use()
    use.went([went("resume", "12:00:00.250", 70.0)])
    use.went([went("resume", "12:00:00", 70.0) | {"epoch": 0, "is_recorded": True}])
    assert use.wake_count == 1


def test_the_story_of_a_replay() -> None:
    found, use = Figures(sessions=2), Use()
    found.ran(statement(2.0), 4.0, "", 61.0)
    found.ran(statement(line=9), 1.0, "42P01", 0.0)
    found.waited_for_place(2.5)
    found.began(250.0)
    use.look(0.0, row("Active"))
    use.look(3600.0, row("Active"))
    use.look(3600.0, row("Suspended"))
    use.look(7200.0, row("Suspended"))
    use.went([went("resume", "2026-12-31T23:59:00Z", 70.0)])
    story = told.log_story(outcome(found, use), NOW)
    for words in (
        "2 of 10 statements of 2 sessions in 1m, at the log's own speed, on shop",
        "4 ms        2 ms   2.00",
        "42P01       1           0    1",
        "failed now and not in the log: log:9",
        "asleep 1h of 2h (50%), 1 resume",
        "1,800 CU-seconds, $0.05; always on with 0.5 CU 3,600, $0.1, 50% less",
        "its slowest wakes, of 1:",
        "1 session waited until another one had ended, for up to 2.5s",
        "1 statement began 100 ms or more behind the time",
    ):
        assert words in story, story
    assert "secret" not in story and "hidden" not in story


def test_pauses_that_are_shorter_are_said() -> None:
    use = Use()
    use.look(0.0, row("Active"))
    use.look(1.0, row("Active"))
    for speed, is_said in ((1.0, False), (0.5, False), (10.0, True), (None, True)):
        story = told.log_story(outcome(Figures(), use, speed=speed), NOW)
        assert ("pauses were shorter" in story) is is_said


def test_nothing_is_made_up() -> None:
    assert "nothing is known of sleep" in told.log_story(outcome(Figures(), Use()), NOW)
    found = Figures()
    found.ran(statement(None), 4.0, "", 0.0)
    assert "the log does not tell how long" in told.log_story(outcome(found), NOW)
    assert log_as_json(outcome(found))["use"] is None


def test_as_json() -> None:
    found, use = Figures(), Use()
    found.ran(statement(2.0), 4.0, "", 61.0)
    use.look(0.0, row("Active"))
    use.look(10.0, row("Active"))
    document = log_as_json(outcome(found, use, speed=None))
    assert document["ok"] and document["speed"] == "max"
    assert document["latencyMs"]["now"]["p50"] == 4.0
    assert document["slowest"] == [{"ms": 4.0, "inLogMs": 2.0, "atSeconds": 61.0, "where": "log:1"}]
    assert document["use"]["cuSeconds"] == document["use"]["alwaysOn"]["cuSeconds"] == 5.0
    found.ran(statement(), 1.0, "42P01", 0.0)
    assert not log_as_json(outcome(found))["ok"]


def test_what_is_in_a_log_is_said_ahead() -> None:
    found = Contents(statements=12, sessions=3, begin_s=0.0, end_s=90.0)
    found.writes.update(["INSERT", "INSERT", "DROP TABLE"])
    found.left_out[LeftOut.COPY_IN] += 2
    found.cut_off.append("b.csv")
    assert told.contents(found, 2) == [
        "2 files: 12 statements of 3 sessions over 1m30s",
        "it writes: 2 INSERT, 1 DROP TABLE",
        "left out: 2 × COPY … FROM STDIN: its rows are in no log",
        "left out: the last line of b.csv, which is not whole",
        "the log does not tell when sessions end (log_disconnections = on does): "
        "each ends with its last statement",
    ]
    assert contents_as_json(found)["leftOut"] == {"COPY_IN": 2}
