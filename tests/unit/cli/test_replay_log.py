"""What `torpor replay` takes out of a log: statements in order, at their times, as sent."""

from __future__ import annotations

import io
from typing import Any

import pytest

from support.postgres_log import as_csv, as_json, at, failed, line, took
from torpor_api.failures import InvalidRequest
from torpor_cli.replay.csv_log import CsvLog
from torpor_cli.replay.gathering import Gathering
from torpor_cli.replay.json_log import JsonLog
from torpor_cli.replay.log_line import LogClock
from torpor_cli.replay.statement import LeftOut, Session, Statement

BEGIN_S = LogClock().seconds(at(0))


def read(text: str, gathering: Gathering, *, as_objects: bool = False) -> list[Statement]:
    log = (JsonLog if as_objects else CsvLog)(io.StringIO(text, newline=""), "log", LogClock())
    found = [each for line in log.lines() for each in gathering.take(line)]
    return [*found, *gathering.end()]


def gathered(*lines: dict[str, str], **wish: Any) -> tuple[list[Statement], Gathering]:
    gathering = Gathering(**wish)
    return read(as_csv(lines), gathering), gathering


def statements(*lines: dict[str, str]) -> list[Statement]:
    return gathered(*lines)[0]


def texts(*lines: dict[str, str]) -> list[str]:
    return [each.text for each in statements(*lines)]


def session(gathering: Gathering) -> Session:
    (one,) = gathering.sessions()
    return one


# --- how a statement is told --------------------------------------------------------------


def test_a_statement_begins_when_its_duration_began() -> None:
    (one,) = statements(took(2, 500, "statement: select 1;\nselect ',\"' -- two"))
    assert one.text == "select 1;\nselect ',\"' -- two" and one.is_simple
    assert one.begin_s - BEGIN_S == pytest.approx(1.5) and one.took_ms == 500


def test_the_extended_protocol_is_one_statement_with_its_parameters() -> None:
    (one,) = statements(
        took(1.001, 1, "parse s1: select $1, $2"),
        took(
            1.003, 2, "bind s1: select $1, $2", detail="Parameters: $1 = 'it''s, $2 = ', $2 = NULL"
        ),
        took(
            1.006,
            3,
            "execute s1: select $1, $2",
            detail="parameters: $1 = 'it''s, $2 = ', $2 = NULL",
        ),
    )
    assert (one.name, one.is_simple, one.took_ms) == ("s1", False, 6)
    assert one.parameters == ("it's, $2 = ", None)
    assert one.begin_s - BEGIN_S == pytest.approx(1.0)


def test_the_unnamed_statement_and_a_portal() -> None:
    found = statements(
        took(1, 1, "execute <unnamed>: select 1"), took(2, 1, "execute s/c_1: select 2")
    )
    assert [(one.name, one.text) for one in found] == [("", "select 1"), ("s", "select 2")]


@pytest.mark.parametrize("what", ["statement: select 1", "execute s1: select 1"])
def test_a_statement_that_was_told_at_its_beginning_gets_its_duration(what: str) -> None:
    """log_statement = all, and log_duration or log_min_duration_statement."""
    (one,) = statements(line(1, what), line(3, "duration: 2000.000 ms"))
    assert one.begin_s - BEGIN_S == pytest.approx(1) and one.took_ms == 2000


def test_a_duration_of_nothing_that_is_known_is_passed_over() -> None:
    assert texts(line(1, "duration: 2.000 ms"), line(2, "statement: select 1")) == ["select 1"]


def test_what_nobody_told_the_end_of_is_replayed() -> None:
    (one,) = statements(line(1, "statement: select pg_sleep(99)"))
    assert one.took_ms is None and one.sqlstate == ""


def test_the_plans_of_auto_explain_are_no_statements() -> None:
    plan = "duration: 5.000 ms  plan:\nQuery Text: select 1\nResult"
    assert texts(line(1, plan), took(1, 5, "statement: select 1")) == ["select 1"]


def test_what_others_than_clients_do_is_passed_over() -> None:
    other = took(1, 5, "statement: analyze t", backend_type="autovacuum worker")
    nobody = line(1, "checkpoint starting: time", user="", dbname="", session_id="")
    assert texts(other, nobody) == []


# --- failures -----------------------------------------------------------------------------


def test_a_failed_statement_is_known_by_its_error() -> None:
    (one,) = statements(failed(1, "23505", "insert into t values (1)"))
    assert (one.sqlstate, one.is_simple, one.took_ms) == ("23505", True, None)


def test_an_error_belongs_to_the_statement_that_was_told_before() -> None:
    (one,) = statements(line(1, "statement: select 1/0"), failed(2, "22012", "select 1/0"))
    assert one.sqlstate == "22012" and one.begin_s - BEGIN_S == pytest.approx(1)


def test_a_failed_statement_with_parameters() -> None:
    text, context = "select 1/$1", "unnamed portal with parameters: $1 = '0'"
    (one,) = statements(failed(1, "22012", text, context=context))
    assert (one.parameters, one.is_simple) == (("0",), False)


def test_a_failed_statement_whose_parameters_a_bind_told() -> None:
    text = "select 1/$1"
    detail = "Parameters: $1 = '0'"
    (one,) = statements(took(1, 1, f"bind s: {text}", detail=detail), failed(1, "22012", text))
    assert (one.parameters, one.name, one.sqlstate) == (("0",), "s", "22012")


def test_warnings_are_no_failures() -> None:
    warned = failed(1, "01000", "select 1") | {"error_severity": "WARNING"}
    assert texts(warned) == []


# --- what can't be replayed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (took(1, 1, "statement: copy t (a) from stdin"), LeftOut.COPY_IN),
        (took(1, 1, "execute s: select $1"), LeftOut.NO_PARAMETERS),
        (failed(1, "22012", "select 1/$1"), LeftOut.NO_PARAMETERS),
        (took(1, 1, "execute fetch from s/c: select 1"), LeftOut.FETCH),
        (took(1, 1, 'fastpath function call: "lo_open" (OID 952)'), LeftOut.FASTPATH),
        (line(1, "statement: x", backend_type="walsender"), LeftOut.REPLICATION),
    ],
)
def test_what_is_left_out_is_counted(told: dict[str, str], why: LeftOut) -> None:
    found, gathering = gathered(told)
    assert (found, gathering.contents.left_out) == ([], {why: 1})


def test_only_what_reads() -> None:
    found, gathering = gathered(
        took(1, 1, "statement: begin"),
        took(2, 1, "statement: insert into t values (1)"),
        took(3, 1, "statement: begin read write"),
        took(4, 1, "statement: select set_config('transaction_read_only', 'off', true)"),
        took(5, 1, "statement: select 1"),
        only_reads=True,
    )
    assert [one.text for one in found] == ["begin", "select 1"]
    assert gathering.contents.left_out == {LeftOut.WRITES: 3}
    assert not gathering.contents.writes


# --- sessions ------------------------------------------------------------------------------


def test_a_session_comes_and_goes_as_in_the_log() -> None:
    _, gathering = gathered(
        line(1, "connection authorized: user=ann database=app"),
        took(5, 1, "statement: select 1"),
        line(9, "disconnection: session time: 0:00:08.000 user=ann database=app"),
    )
    one = session(gathering)
    assert (one.user, one.database, one.application) == ("ann", "app", "shop")
    assert (one.begin_s - BEGIN_S, (one.end_s or 0) - BEGIN_S) == (1, 9)


def test_sessions_that_never_end_stay_where_ends_are_told() -> None:
    lines = [
        took(1, 1, "statement: select 1"),
        took(2, 1, "statement: select 2", session_id="6a.2"),
        line(3, "disconnection: session time: 0:00:01.000"),
        line(9, "checkpoint complete", user="", session_id=""),
    ]
    _, gathering = gathered(*lines)
    assert [one.end_s for one in gathering.sessions()] == [BEGIN_S + 3, BEGIN_S + 9]
    _, gathering = gathered(*lines[:2])
    assert [one.end_s for one in gathering.sessions()] == [None, None]


def test_statements_of_a_session_never_go_back_in_time() -> None:
    """The log's times are whole milliseconds, of the end."""
    found = statements(
        took(1.010, 9.9, "statement: select 1"), took(1.010, 9.95, "statement: select 2")
    )
    assert found[0].begin_s <= found[1].begin_s


def test_each_session_has_its_own_order() -> None:
    found = statements(
        line(1, "statement: select 1"),
        line(2, "statement: select 2", session_id="6a.2"),
        line(3, "duration: 2000.000 ms"),
        line(4, "duration: 2000.000 ms", session_id="6a.2"),
    )
    assert [(one.session, one.took_ms) for one in found] == [(0, 2000), (1, 2000)]


def test_one_database_of_several() -> None:
    lines = [
        took(1, 1, "statement: select 1"),
        took(2, 1, "statement: select 2", dbname="blog", session_id="6a.2"),
    ]
    found, gathering = gathered(*lines, databases=["blog"])
    assert [one.text for one in found] == ["select 2"]
    assert gathering.contents.by_database == {"app": 1, "blog": 1}


# --- formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [23, 24, 26])
def test_csvlog_of_each_release(columns: int) -> None:
    text = as_csv([took(1, 1, "statement: select 1")], columns)
    assert [one.text for one in read(text, Gathering())] == ["select 1"]


def test_jsonlog() -> None:
    lines = [took(1, 1, "statement: select 1\n-- two"), failed(2, "22012", "select 1/0")]
    found = read(as_json(lines), Gathering(), as_objects=True)
    assert [(one.text, one.sqlstate, one.where) for one in found] == [
        ("select 1\n-- two", "", "log:1"),
        ("select 1/0", "22012", "log:2"),
    ]


@pytest.mark.parametrize("as_objects", [False, True])
@pytest.mark.parametrize("cut", [1, 30, 90])
def test_a_last_line_that_is_cut_off_is_left_out(as_objects: bool, cut: int) -> None:
    write = as_json if as_objects else as_csv
    whole = write([took(1, 1, "statement: select 1\n, 2")])
    text = whole + whole[:-cut]
    source = io.StringIO(text, newline="")
    log = (JsonLog if as_objects else CsvLog)(source, "log", LogClock())
    assert len(list(log.lines())) == 1 + (cut == 1)
    assert log.is_cut_off == (cut > 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n" + as_csv([line(1, "x")]), "log:1: has 2 columns: csvlog has 23 or more"),
        (as_csv([line(1, "a\nb")]) + 'x"y\n' + as_csv([line(1, "x")]), "log:3: has 1 columns"),
        (as_csv([{**line(1, "x"), "timestamp": "noon"}, line(1, "x")]), "'noon' is no time like"),
        (
            as_csv([took(1, 1, "execute s: select $1", detail="parameters: $1 = 'x', sec: ")] * 2),
            "log:1: its parameters can't be read behind $1",
        ),
    ],
)
def test_a_bad_line_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(text, Gathering())
    assert said in refused.value.message and "sec" not in refused.value.message


def test_a_clock_that_is_put_back_goes_on() -> None:
    clock = LogClock()
    first = clock.seconds("2026-10-25 02:59:59.500 CEST")
    assert clock.seconds("2026-10-25 02:00:00.500 CET") - first == pytest.approx(1.0)
    assert clock.seconds("2026-10-25 03:00:00.000 CEST") - first == pytest.approx(0.5)
