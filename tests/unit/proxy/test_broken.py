"""The next use of a statement that could not be put back sees the error that it should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core import broken, wire
from torpor_proxy.core.broken import (
    HELD_BYTES_MAX,
    RESULT_CHANGED,
    ErrorFilter,
    mentions,
    remembered,
)
from torpor_proxy.core.wire import Severity, message
from torpor_proxy.executor import guard

GONE = wire.report(Severity.ERROR, "42P01", 'relation "t" does not exist')[wire.HEAD_BYTES :]
BROKEN = {b"a": GONE, b"s_1": RESULT_CHANGED}
READY = wire.ready_for_query()
ROW = message(b"D", b"\0\1\0\0\0\1x")


def no_statement(words: str, sqlstate: str = "26000", encoding: str = "utf-8") -> bytes:
    fields = b"SERROR\0VERROR\0C%b\0M%b\0\0" % (sqlstate.encode(), words.encode(encoding))
    return message(b"E", fields)


MISSING = no_statement('prepared statement "a" does not exist')


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ('prepared statement "a" does not exist', "utf-8"),
        ("Vorbereitete Anweisung »a« existiert nicht", "utf-8"),
        ("Vorbereitete Anweisung »a« existiert nicht", "latin-1"),
        ("l'instruction préparée « a » n'existe pas", "utf-8"),
        ("l'instruction préparée « a » n'existe pas", "latin-1"),
        ("no existe la sentencia preparada «a»", "utf-8"),
        ("подготовленный оператор «a» не существует", "utf-8"),
        ("『a』", "utf-8"),
    ],
)
def test_the_complaint_is_replaced_in_any_language(words: str, encoding: str) -> None:
    stream = ROW + no_statement(words, encoding=encoding) + READY
    assert ErrorFilter(BROKEN).feed(stream) == ROW + message(b"E", GONE) + READY


@pytest.mark.parametrize(
    "answer",
    [
        no_statement('prepared statement "other" does not exist'),
        no_statement('prepared statement "aa" does not exist'),
        no_statement('prepared statement "s_12" does not exist'),
        no_statement("a prepared statement has a fault"),
        no_statement('relation "a" does not exist', "42P01"),
        message(b"N", MISSING[5:]),
        message(b"D", MISSING),
        message(b"E", b""),
        message(b"E", b"\0"),
    ],
)
def test_everything_else_passes_as_it_came(answer: bytes) -> None:
    errors = ErrorFilter(BROKEN)
    assert errors.feed(answer + READY) == answer + READY
    assert errors.is_between_messages


def test_each_statement_has_its_own_error() -> None:
    stream = no_statement('prepared statement "s_1" does not exist')
    told = ErrorFilter(BROKEN).feed(stream)
    assert wire.report_fields(told[5:])["C"] == "0A000"
    assert wire.report_fields(told[5:])["M"] == "cached plan must not change result type"


def test_a_name_is_known_by_what_postgres_keeps_of_it() -> None:
    name = "n" * 63
    complaint = no_statement(f'prepared statement "{name}nnn" does not exist')
    assert ErrorFilter({name.encode(): GONE}).feed(complaint) == message(b"E", GONE)


def test_a_statement_that_was_put_back_meanwhile_is_forgotten() -> None:
    broken = dict(BROKEN)
    errors = ErrorFilter(broken)
    del broken[b"a"]
    assert errors.feed(MISSING) == MISSING


def test_what_is_no_error_is_passed_on_at_once() -> None:
    errors = ErrorFilter(BROKEN)
    large = message(b"D", bytes(100))
    assert errors.feed(large[:50]) == large[:50]
    assert not errors.is_between_messages
    assert errors.feed(large[50:] + MISSING[:20]) == large[50:]
    assert not errors.is_between_messages
    assert errors.feed(MISSING[20:]) == message(b"E", GONE)
    assert errors.is_between_messages


def test_an_error_that_is_too_long_is_not_held() -> None:
    words = 'prepared statement "a" does not exist'.ljust(HELD_BYTES_MAX)
    error = no_statement(words)
    errors = ErrorFilter(BROKEN)
    assert errors.feed(error[:100]) == error[:100]
    assert errors.feed(error[100:] + MISSING) == error[100:] + message(b"E", GONE)


STREAM = st.lists(
    st.one_of(
        st.sampled_from([MISSING, READY, ROW, no_statement('"s_1"'), no_statement('"x"')]),
        st.builds(message, st.sampled_from([b"D", b"E", b"N"]), st.binary(max_size=20)),
    ),
    max_size=10,
).map(b"".join)


@given(STREAM, st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_a_stream_cut_anywhere(stream: bytes, sizes: list[int]) -> None:
    errors, told, position, turn = ErrorFilter(BROKEN), b"", 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        told += errors.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert errors.is_between_messages
    assert told == ErrorFilter(BROKEN).feed(stream)


@pytest.mark.parametrize(
    ("data", "is_mentioned"),
    [
        (wire.bind("s_1"), True),
        (message(b"D", b"Ss_1\0"), True),
        (message(b"Q", b"EXECUTE S_1(3)\0"), True),
        (message(b"Q", b"select 1\0"), False),
        (message(b"Q", b"select s_10, as_1, s_1$\0"), False),
        (message(b"Q", b'execute "s_1"\0'), True),
        (wire.parse("", "execute s_1"), True),
        (wire.bind("s2"), False),
        (wire.bind("s2", [b"s_1"]), False),
        (message(b"D", b"Ps_1\0"), False),
        (wire.close_statement("s_1"), True),
        (wire.SYNC + wire.bind("s_1"), True),
        (wire.SYNC + wire.execute(), False),
        (wire.SYNC + wire.query("execute another")[:12], True),
        (b"Q\0\0\0\0", True),
    ],
)
def test_whether_a_statement_is_mentioned(data: bytes, is_mentioned: bool) -> None:
    assert mentions(data, [b"other", b"s_1"]) is is_mentioned


@pytest.mark.parametrize("sqlstate", [b"55P03", b"57014", b"40P01"])
def test_an_end_of_waiting_points_to_no_place_in_a_text(sqlstate: bytes) -> None:
    head = b"SERROR\0C" + sqlstate + b"\0Mcanceling\0"
    assert remembered(head + b"P15\0Rparse\0\0") == head + b"Rparse\0\0"


def test_any_other_error_is_remembered_as_it_is() -> None:
    body = b"SERROR\0C42P01\0Mno table\0P15\0Rparse\0L7\0\0"
    assert remembered(body) == body


def test_the_kind_of_a_message_is_no_name() -> None:
    sent = wire.parse("s", "select 1") + message(b"D", b"P\0") + wire.bind("s") + wire.SYNC
    assert not mentions(sent, [b"p", b"d", b"b"])
    assert mentions(sent, [b"s"])


def test_a_name_is_as_long_as_postgres_keeps_it() -> None:
    assert mentions(wire.bind("n" * 70), [b"n" * 63])
    assert not mentions(wire.bind("n" * 62), [b"n" * 63])


def test_quotes_in_a_name_may_be_doubled() -> None:
    assert mentions(message(b"Q", b'execute "a""b"\0'), [b'a"b'])


@pytest.mark.parametrize(
    ("data", "by_protocol", "by_sql"),
    [
        (wire.close_statement("p") + wire.SYNC, {b"p"}, set()),
        (wire.close_statement("other") + wire.SYNC, set(), set()),
        (wire.query("DEALLOCATE p"), set(), {b"p"}),
        (wire.query(" deallocate Prepare P ; "), set(), {b"p"}),
        (wire.query('deallocate "Qu""oted"'), set(), {b'Qu"oted'}),
        (wire.query("deallocate all"), set(), {b"p", b'Qu"oted'}),
        (wire.query("deallocate p; select 1"), set(), set()),
        (wire.query("execute p"), set(), set()),
        (b"\0" * 9, set(), set()),
    ],
)
def test_which_statements_are_given_up(
    data: bytes, by_protocol: set[bytes], by_sql: set[bytes]
) -> None:
    found = broken.given_up(data, (b"p", b'Qu"oted'))
    assert (set(found.by_protocol), set(found.by_sql)) == (by_protocol, by_sql)


@pytest.mark.parametrize(
    ("sql", "ends"),
    [
        (b"DISCARD ALL", True),
        (b"deallocate  prepare all;", True),
        (b"deallocate all", True),
        (b"select * from discarded_orders", False),
        (b"deallocate small", False),
    ],
)
def test_all_statements_end_only_by_name(sql: bytes, ends: bool) -> None:
    assert bool(guard._ENDS_ALL.search(wire.query(sql))) is ends
