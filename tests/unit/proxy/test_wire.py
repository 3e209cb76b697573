"""Messages as bytes: what is written is read back, and what can't be is cut or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core import wire
from torpor_proxy.core.wire import Severity

NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)

MESSAGES = st.lists(st.tuples(st.sampled_from([b"Q", b"D", b"Z", b"S"]), st.binary(max_size=40)))


@given(MESSAGES, st.binary(max_size=4))
def test_whole_messages_are_split_off_and_the_rest_stays(
    messages: list[tuple[bytes, bytes]], rest: bytes
) -> None:
    stream = b"".join(wire.message(kind, body) for kind, body in messages)
    assert wire.split(stream + rest) == (messages, rest)


@given(MESSAGES, st.integers(0, 400))
def test_a_stream_cut_anywhere_is_the_same_messages(
    messages: list[tuple[bytes, bytes]], at: int
) -> None:
    stream = b"".join(wire.message(kind, body) for kind, body in messages)
    first, rest = wire.split(stream[:at])
    second, left = wire.split(rest + stream[at:])
    assert (first + second, left) == (messages, b"")


def test_a_length_below_four_is_refused() -> None:
    with pytest.raises(ValueError, match="length 3"):
        wire.split(b"Q\0\0\0\3")


@given(NAMES, NAMES)
def test_a_parameter_status_is_read_back(name: str, value: str) -> None:
    ((kind, body),), _ = wire.split(wire.parameter_status(name, value))
    assert (kind, wire.pair(body)) == (b"S", (name, value))


@given(st.integers(0, 2**32 - 1), st.binary(min_size=4, max_size=256))
def test_key_data_is_read_back(process_id: int, secret: bytes) -> None:
    ((_, body),), _ = wire.split(wire.backend_key_data(process_id, secret))
    assert wire.key_data(body) == (process_id, secret)


def test_text_ends_at_a_zero_byte_which_the_protocol_can_not_carry() -> None:
    assert wire.text("a\0b") == b"a\0"


def test_a_lone_surrogate_does_not_break_a_report() -> None:
    assert b"?" in wire.report(Severity.ERROR, "08P01", "bad \udc80")


def test_a_report_has_its_fields_and_a_notice_is_no_error() -> None:
    error = wire.report(Severity.FATAL, "57P01", "going", hint="come back", detail="soon")
    ((kind, body),), _ = wire.split(error)
    assert kind == b"E"
    assert wire.report_fields(body) == {
        "S": "FATAL",
        "V": "FATAL",
        "C": "57P01",
        "M": "going",
        "D": "soon",
        "H": "come back",
    }
    notice = wire.report(Severity.NOTICE, "00000", "wait")
    assert notice[:1] == b"N" and b"H" not in notice[5:]


def test_a_row_with_null_and_empty_columns() -> None:
    body = b"\0\3" + b"\0\0\0\2ab" + b"\xff\xff\xff\xff" + b"\0\0\0\0"
    assert list(wire.row(body)) == [b"ab", None, b""]


def test_a_startup_packet_as_libpq_writes_it() -> None:
    packet = wire.startup((("user", "app"), ("database", "shop")), minor=2)
    assert packet == b"\0\0\0\x20\0\3\0\2user\0app\0database\0shop\0\0"


def test_a_cancel_request_as_libpq_writes_it() -> None:
    assert wire.cancel_request(7, b"abcd") == b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\7abcd"


def test_extended_messages_byte_by_byte() -> None:
    assert wire.parse("s", "select 1") == b"P\0\0\0\x11s\0select 1\0\0\0"
    values = b"\0\0\0\1x\xff\xff\xff\xff"
    assert wire.bind("s", (b"x", None)) == b"B\0\0\0\x16\0s\0\0\0\0\2" + values + b"\0\0"
    assert wire.execute() == b"E\0\0\0\t\0\0\0\0\0"
    assert wire.close_statement("s") == b"C\0\0\0\7Ss\0"


def test_a_call_of_a_function() -> None:
    assert wire.function_call(2078, (b"ab", b"")) == (
        b"F\0\0\0\x1a"
        + b"\0\0\x08\x1e"
        + b"\0\1\0\1"
        + b"\0\2"
        + b"\0\0\0\2ab"
        + b"\0\0\0\0"
        + b"\0\1"
    )


def test_the_elements_of_an_array() -> None:
    assert list(wire.array(wire.bytea_array([b"ab", b"", b"c"]))) == [b"ab", b"", b"c"]
    assert list(wire.array(wire.bytea_array([]))) == []
