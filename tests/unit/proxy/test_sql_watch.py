"""Names that are bound to a statement's parameter, wherever the bytes are cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor_proxy.core import wire
from torpor_proxy.core.bound_names import STATEMENTS_MAX
from torpor_proxy.core.custom_settings import NAMES_MAX, NONE, CustomSettings
from torpor_proxy.core.exchange import INSPECTED_BYTES_MAX, Exchange
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.core.sql_watch import SqlWatch
from torpor_proxy.core.wire import SYNC, message

SET = "select set_config($1, $2, true)"
ERROR, READY, PARSED = message(b"E", b"\0"), wire.ready_for_query(), message(b"1")


def fresh() -> SessionState:
    """Of a session that was captured and has done nothing since."""
    return SessionState(is_known=True)


def query(sql: str) -> bytes:
    return message(b"Q", sql.encode() + b"\0")


def seen(*sent: bytes, size: int = 1 << 20) -> CustomSettings:
    kept, exchange, stream = fresh(), Exchange(), b"".join(sent)
    watch = SqlWatch(kept)
    for start in range(0, len(stream), size):
        exchange.client_sent(stream[start : start + size], watch)
    assert not exchange.is_within_client_message
    return kept.custom


def names(*sent: bytes) -> set[str]:
    """However they are cut."""
    found = seen(*sent)
    for size in (1, 2, 7, 30):
        assert seen(*sent, size=size) == found
    assert not found.is_computed
    return set(found.names)


@pytest.mark.parametrize(
    "sql",
    [
        SET,
        "SELECT set_config($1::text, $2, true)",
        "select Set_Config ( $1 :: character varying , $2 , false )",
        "select pg_catalog.set_config($1::pg_catalog.text,$2::text,$3)",
        "select set_config($2, $1, true), set_config($1, $2, true)",
        "select set_config($1, current_setting('app.other', true), true)",
    ],
)
@pytest.mark.parametrize("statement", ["", "s"])
def test_the_value_is_a_name(sql: str, statement: str) -> None:
    bind = wire.bind(statement, [b"App.User_Id", b"7"])
    assert names(wire.parse(statement, sql), bind, wire.execute(), SYNC) == {"app.user_id"}


@pytest.mark.parametrize(
    "sql",
    [
        "select set_config($1 || $2, $2, true)",
        "select set_config($1::varchar(5), $2, true)",
        "select set_config(format('app.%s', $1), $2, true)",
        "prepare p as select set_config($1, $2, true)",
        "create function f(text, text) returns text as 'select set_config($1, $2, true)'",
        "select set_config($1, $2, true), set_config('a' || $2, '', true)",
    ],
)
def test_others_are_computed_as_before(sql: str) -> None:
    assert seen(wire.parse("s", sql)).is_computed


def test_a_simple_query_may_begin_with_it_whatever_its_length() -> None:
    """The last byte of its length may be that of a letter."""
    for padding in range(256):
        assert names(query("set app.a = 1" + " " * padding)) == {"app.a"}


def test_a_long_parse_that_has_not_come_whole_may_begin_with_it() -> None:
    text = "set app.a = '" + "x" * INSPECTED_BYTES_MAX + "'"
    assert seen(wire.parse("", text), size=1000).names == {"app.a"}


def call(function: int, *arguments: bytes) -> bytes:
    values = b"".join(len(each).to_bytes(4, "big") + each for each in arguments)
    head = function.to_bytes(4, "big") + b"\0\0" + len(arguments).to_bytes(2, "big")
    return message(b"F", head + values + b"\0\0")


def test_a_setting_by_a_function_call_of_the_protocol_is_computed() -> None:
    called = call(2078, b"app.a", b"1", b"f")
    for size in (*range(1, 20), 1 << 20):
        assert seen(query("select 1"), called, SYNC, size=size).is_computed


def test_another_function_call_is_not() -> None:
    for size in (*range(1, 20), 1 << 20):
        assert seen(call(177, b"1", b"2"), query("set a = 1"), size=size) == NONE


def test_a_parameter_in_a_simple_query_is_that_of_a_statement_in_sql() -> None:
    assert seen(query(f"prepare p as {SET}")).is_computed
    assert seen(wire.parse("s", SET), query(f"prepare p as {SET}")).is_computed


def test_a_simple_query_and_a_bound_name_in_one_buffer() -> None:
    sent = query("begin; set app.a = 1"), wire.parse("", SET), wire.bind("", [b"app.b", b"1"])
    assert names(*sent, SYNC) == {"app.a", "app.b"}


def test_each_bind_may_bring_another_name() -> None:
    stream = [wire.parse("s", SET), SYNC]
    for name in (b"app.a", b"app.b", b"work_mem", b"app.a"):
        stream += [wire.bind("s", [name, b"1"]), wire.execute(), SYNC]
    assert names(*stream) == {"app.a", "app.b"}


def test_binds_of_other_statements_are_nobody_s_names() -> None:
    other = wire.parse("t", "select $1::text")
    assert names(wire.parse("s", SET), other, wire.bind("t", [b"example.com"])) == set()
    sent = wire.parse("", SET), wire.bind("", [b"app.a", b"1"]), SYNC, wire.parse("", "select $1")
    assert names(*sent, wire.bind("", [b"example.com"])) == {"app.a"}


@pytest.mark.parametrize(
    "value", [None, b"", b"no_dot", b"a b.c", b".a", b"a.", b"a..b", b"1.5", b"me@example.com"]
)
def test_what_postgres_refuses_is_no_name(value: bytes | None) -> None:
    assert names(wire.parse("s", SET), wire.bind("s", [value, b"1"])) == set()


@pytest.mark.parametrize("value", ["app.größe".encode(), b"app." + b"x" * 60])
def test_a_name_that_can_not_be_asked_for_pins(value: bytes) -> None:
    assert seen(wire.parse("s", SET), wire.bind("s", [value, b"1"])).is_computed


def test_a_bind_with_formats_and_too_few_values() -> None:
    values = b"\0\0\0\5app.a\0\0\0\0011"
    bind = message(b"B", b"portal\0s\0" + b"\0\2\0\1\0\0" + b"\0\2" + values + b"\0\0")
    assert names(wire.parse("s", SET), bind) == {"app.a"}
    assert names(wire.parse("s", SET), wire.bind("s")) == set()


def test_a_statement_s_name_is_what_postgres_keeps_of_it() -> None:
    assert names(wire.parse("n" * 70, SET), wire.bind("n" * 63, [b"app.a", b""])) == {"app.a"}


def test_of_a_long_bind_the_beginning_is_read() -> None:
    long = b"x" * (2 * INSPECTED_BYTES_MAX)
    for size in (5000, INSPECTED_BYTES_MAX, 1 << 20):
        found = seen(wire.parse("s", SET), wire.bind("s", [b"app.a", long]), SYNC, size=size)
        assert found.names == {"app.a"} and not found.is_computed
    other = "select set_config($2, $1, true)"
    found = seen(wire.parse("s", other), wire.bind("s", [long, b"app.a"]), SYNC, size=5000)
    assert found.is_computed
    assert names(wire.parse("s", SET), wire.parse("t", "x"), wire.bind("t", [long])) == set()


def test_a_long_bind_is_not_waited_for_to_its_end() -> None:
    kept, exchange = fresh(), Exchange()
    watch = SqlWatch(kept)
    bind = wire.bind("s", [b"app.a", b"x" * (3 * INSPECTED_BYTES_MAX)])
    exchange.client_sent(wire.parse("s", SET) + bind[: INSPECTED_BYTES_MAX - 1], watch)
    assert kept.custom.names == set()
    exchange.client_sent(bind[INSPECTED_BYTES_MAX - 1 : INSPECTED_BYTES_MAX], watch)
    assert kept.custom.names == {"app.a"}


@pytest.mark.parametrize("is_skipped", [False, True])
def test_an_unnamed_statement_may_outlive_a_parse_that_did_not_happen(is_skipped: bool) -> None:
    kept, exchange = fresh(), Exchange()
    watch = SqlWatch(kept)
    exchange.client_sent(wire.parse("", SET) + SYNC, watch)
    exchange.server_sent(PARSED + READY)
    if is_skipped:
        exchange.client_sent(wire.bind("nobody"), watch)
        exchange.server_sent(ERROR)
    exchange.client_sent(wire.parse("", "select 1") + SYNC, watch)
    exchange.server_sent(READY if is_skipped else ERROR + READY)
    exchange.client_sent(wire.bind("", [b"app.a", b""]) + SYNC, watch)
    assert kept.custom.names == {"app.a"}


def test_a_long_text_is_looked_through_in_pieces() -> None:
    text = " " * INSPECTED_BYTES_MAX + "; set app.a = 1;" + " " * INSPECTED_BYTES_MAX
    for sent in (query(text), wire.parse("s", text)):
        for size in (1000, 1001, 1003, 1 << 20):
            assert seen(sent, SYNC, size=size).names == {"app.a"}
    assert seen(wire.parse("s", " " * INSPECTED_BYTES_MAX + SET), SYNC, size=1000).is_computed


def test_statements_that_were_closed_are_forgotten_in_the_end() -> None:
    sent = []
    for number in range(3 * STATEMENTS_MAX):
        sent += [wire.parse(f"s{number}", SET), wire.close_statement(f"s{number}"), SYNC]
    found = seen(*sent)
    assert len(found.bound) == STATEMENTS_MAX and not found.is_computed
    sent = [wire.parse("first", SET), *sent]
    assert seen(*sent, wire.bind("first", [b"app.a", b""])).names == {"app.a"}
    last = wire.bind(f"s{3 * STATEMENTS_MAX - 1}", [b"app.a", b""])
    assert seen(*sent, last).names == {"app.a"}  # The Close may have been skipped.


def test_too_many_statements_or_names_count_as_computed() -> None:
    statements = [wire.parse(f"s{number}", SET) for number in range(STATEMENTS_MAX + 1)]
    assert not seen(*statements[:-1]).is_computed
    assert seen(*statements).is_computed
    binds = [wire.bind("s", [b"app.a%d" % number, b""]) for number in range(NAMES_MAX + 1)]
    assert not seen(wire.parse("s", SET), *binds[:-1]).is_computed
    assert seen(wire.parse("s", SET), *binds).is_computed


@pytest.mark.parametrize("kind", [b"P", b"B", b"C", b"Q", b"D", b"E"])
def test_messages_without_a_body_are_for_postgres_to_refuse(kind: bytes) -> None:
    for stream in (message(kind), message(kind) + SYNC, wire.parse("s", SET) + message(kind)):
        for size in (1, 5, 6, 1000):
            assert seen(stream, size=size).names == set()


def test_it_goes_on_over_attachments() -> None:
    kept, exchange = fresh(), Exchange()
    exchange.client_sent(wire.parse("s", SET) + SYNC, SqlWatch(kept))
    exchange.client_sent(wire.bind("s", [b"app.a", b""]), SqlWatch(kept))
    assert kept.custom.names == {"app.a"}


# --- against a server that executes, fails and skips ------------------------------------------


@dataclass
class Server:
    statements: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    skips: bool = False

    def execute(self, kind: str, *what: Any) -> bytes:
        if kind == "S":
            self.skips = False
            return READY
        if self.skips:
            return b""
        if kind == "P":
            return self._parse(*what)
        return self._bind(*what) if kind == "B" else self._close(*what)

    def _parse(self, name: str, sql: str, outcome: str) -> bytes:
        if name == "" and outcome != "fails early":
            self.statements.pop("", None)
        if outcome != "works" or (name and name in self.statements):
            return self._fail()
        self.statements[name] = sql
        return PARSED

    def _bind(self, name: str, values: tuple[bytes, bytes]) -> bytes:
        if name not in self.statements:
            return self._fail()
        if self.statements[name] == SET:
            self.names.add(values[0].decode())
        return message(b"2")

    def _close(self, name: str) -> bytes:
        self.statements.pop(name, None)
        return message(b"3")

    def _fail(self) -> bytes:
        self.skips = True
        return ERROR


def sent(kind: str, *what: Any) -> bytes:
    match kind:
        case "P":
            return wire.parse(what[0], what[1])
        case "B":
            return wire.bind(what[0], what[1])
        case "C":
            return wire.close_statement(what[0])
        case _:
            return SYNC


NAMES = st.sampled_from(["", "", "s", "t"])
OUTCOMES = st.sampled_from(["works", "works", "works", "fails", "fails early"])
VALUES = st.tuples(st.sampled_from([b"app.a", b"app.b", b"app.c"]), st.just(b"x.y"))
TALK = st.lists(
    st.one_of(
        st.tuples(st.just("P"), NAMES, st.sampled_from([SET, "select $1, $2"]), OUTCOMES),
        st.tuples(st.just("B"), NAMES, VALUES),
        st.tuples(st.just("C"), NAMES),
        st.tuples(st.just("S")),
    ),
    max_size=20,
)


@settings(max_examples=500)
@given(TALK, st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_no_name_is_missed_and_no_other_is_found(talk: list[Any], sizes: list[int]) -> None:
    kept, exchange, server, turn = fresh(), Exchange(), Server(), 0
    watch = SqlWatch(kept)
    for kind, *what in talk:
        data = sent(kind, *what)
        while data:
            size, turn = sizes[turn % len(sizes)], turn + 1
            exchange.client_sent(data[:size], watch)
            data = data[size:]
        exchange.server_sent(server.execute(kind, *what))
    assert server.names <= kept.custom.names
    assert not kept.custom.is_computed and "x.y" not in kept.custom.names


@pytest.mark.parametrize(
    ("sql", "outlasts"),
    [
        ("PREPARE p as select 1", True),
        ("select pg_advisory_lock(1)", True),
        ("set local work_mem = 1", False),
        ("insert into t values (1)", False),
    ],
)
def test_what_a_rollback_does_not_undo_is_noticed_wherever_it_is_cut(
    sql: str, outlasts: bool
) -> None:
    sent = query(sql)
    for cut in range(len(sent)):
        kept, exchange = fresh(), Exchange()
        watch = SqlWatch(kept)
        for part in (sent[:cut], sent[cut:]):
            exchange.client_sent(part, watch)
        assert kept.outlasts_rollback is outlasts, cut


def test_that_a_session_may_listen_is_noticed_wherever_it_is_cut() -> None:
    sent = query("select 1; listen news")
    for cut in range(len(sent)):
        kept, exchange = fresh(), Exchange()
        watch = SqlWatch(kept)
        for part in (sent[:cut], sent[cut:]):
            exchange.client_sent(part, watch)
        assert kept.may_listen, cut


def test_what_comes_behind_a_bind_in_pieces_is_noticed() -> None:
    bind = wire.bind("s", [b"app.a", b"x" * 100])
    sent = bind + query("prepare p as select 1")
    for first in range(1, len(bind)):
        for second in (len(bind), len(bind) + 1, len(sent)):
            kept, exchange = fresh(), Exchange()
            watch = SqlWatch(kept)
            exchange.client_sent(wire.parse("s", SET), watch)
            for part in (sent[:first], sent[first:second], sent[second:]):
                exchange.client_sent(part, watch)
            assert kept.outlasts_rollback, (first, second)
