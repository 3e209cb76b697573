"""What stands in for a statement that could not be put back, and when that is tried again."""

from __future__ import annotations

import pytest

from torpor_proxy.core import broken, wire
from torpor_proxy.core.broken import mentioned, number_of, remembered, stand_in, types_of_parse
from torpor_proxy.core.wire import message

INT4, TEXT, BYTEA = 23, 25, 17


def parsed(text: str, *types: int) -> bytes:
    tail = len(types).to_bytes(2, "big") + b"".join(oid.to_bytes(4, "big") for oid in types)
    return message(b"P", b"\0" + text.encode() + b"\0" + tail)


def text_of(parse: bytes) -> bytes:
    return parse[wire.HEAD_BYTES :].split(b"\0")[1]


def missing(text: bytes, place: bytes = b"P") -> bytes:
    """The error of a text that stands in: its view is not found."""
    position = 1 + text.index(broken._VIEW)
    return b'SERROR\0C42P01\0Mno "_pg_user_mappings"\0%b%d\0\0' % (place, position)


@pytest.mark.parametrize("number", [0, 1, 500])
def test_what_stands_in_is_known_by_where_it_fails(number: int) -> None:
    text = text_of(stand_in(b"s", [], number))
    assert text.startswith(broken.MARK.encode())
    assert number_of(missing(text)) == number
    assert number_of(missing(text, b"p")) == number


def test_other_errors_are_those_of_others() -> None:
    assert number_of(b'SERROR\0C42P01\0Mno "other"\0P120\0\0') is None
    assert number_of(b'SERROR\0C42501\0M"_pg_user_mappings" is not for you\0\0') is None


def test_what_stands_in_has_the_same_name_and_parameters() -> None:
    body = stand_in(b"s", [INT4, TEXT], 3)[wire.HEAD_BYTES :]
    assert body.startswith(b"s\0")
    assert body.endswith(parsed("", INT4, TEXT)[wire.HEAD_BYTES + 1 :])


@pytest.mark.parametrize(
    ("parse", "types"),
    [
        (parsed("select 1"), []),
        (parsed("select $1", INT4), [INT4]),
        (parsed("select $2, $1", INT4), [INT4, BYTEA]),
        (parsed("select $1, $2", 0, TEXT), [BYTEA, TEXT]),
    ],
)
def test_the_parameters_of_an_unnamed_statement(parse: bytes, types: list[int]) -> None:
    assert types_of_parse(parse) == types


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
        (wire.close_statement("s_1"), False),
        (wire.parse("s_1", "select 1"), False),
        (message(b"Q", b"deallocate s_1\0"), False),
        (message(b"Q", b"explain (verbose) execute s_1\0"), True),
        (wire.SYNC + wire.bind("s_1"), True),
        (wire.SYNC + wire.execute(), False),
        (wire.SYNC + wire.query("execute another")[:12], True),
        (b"Q\0\0\0\0", True),
    ],
)
def test_whether_a_statement_is_mentioned(data: bytes, is_mentioned: bool) -> None:
    assert (b"s_1" in mentioned(data, [b"other", b"s_1"])) is is_mentioned


@pytest.mark.parametrize("sqlstate", [b"55P03", b"57014", b"40P01"])
def test_an_end_of_waiting_points_to_no_place_in_a_text(sqlstate: bytes) -> None:
    head = b"SERROR\0C" + sqlstate + b"\0Mcanceling\0"
    assert remembered(head + b"P15\0Rparse\0\0") == head + b"Rparse\0\0"


def test_any_other_error_is_remembered_as_it_is() -> None:
    body = b"SERROR\0C42P01\0Mno table\0P15\0Rparse\0L7\0\0"
    assert remembered(body) == body


def test_the_kind_of_a_message_is_no_name() -> None:
    sent = wire.parse("s", "select 1") + message(b"D", b"P\0") + wire.bind("s") + wire.SYNC
    assert mentioned(sent, [b"p", b"d", b"b", b"s"]) == {b"s"}


def test_a_name_is_as_long_as_postgres_keeps_it() -> None:
    assert mentioned(wire.bind("n" * 70), [b"n" * 63])
    assert not mentioned(wire.bind("n" * 62), [b"n" * 63])


def test_quotes_in_a_name_may_be_doubled() -> None:
    assert mentioned(message(b"Q", b'execute "a""b"\0'), [b'a"b'])


def test_the_unnamed_statement_is_mentioned_by_the_protocol_alone() -> None:
    assert mentioned(wire.bind(""), [b"", b"s"]) == {b""}
    assert mentioned(wire.query("execute s"), [b"", b"s"]) == {b"s"}
