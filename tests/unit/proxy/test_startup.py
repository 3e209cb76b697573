"""The first bytes of a client, those of a friend and those of a stranger."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core import startup, wire
from torpor_proxy.core.startup import (
    CancelRequest,
    Garbage,
    GssEncRequest,
    SslRequest,
    Startup,
    join_options,
    packet_length,
    parse_packet,
    split_options,
)


def packet(major: int, minor: int, rest: bytes = b"") -> bytes:
    return struct.pack(">IHH", 8 + len(rest), major, minor) + rest


@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 10_001, 2**31 - 1, 2**31, 2**32 - 1])
def test_lengths_that_can_not_be(length: int) -> None:
    with pytest.raises(Garbage, match=f"{length}, allowed are 8 to 10000"):
        packet_length(struct.pack(">I", length))


@pytest.mark.parametrize("length", [8, 9, 10_000])
def test_lengths_that_can_be(length: int) -> None:
    assert packet_length(struct.pack(">I", length) + b"more") == length


@pytest.mark.parametrize(
    "verb", ["GET / HTTP/1.1", "POST /", "HEAD /", "OPTIONS *", "PRI * HTTP/2"]
)
def test_http_is_recognized_and_is_no_possible_length(verb: str) -> None:
    first = verb.encode()[:4]
    assert startup.is_http(first)
    with pytest.raises(Garbage):
        packet_length(first)


def test_a_startup_packet_is_no_http() -> None:
    assert not startup.is_http(wire.startup((("user", "app"),))[:4])


def test_requests_without_parameters() -> None:
    assert parse_packet(packet(1234, 5679)) == SslRequest()
    assert parse_packet(packet(1234, 5680)) == GssEncRequest()


@pytest.mark.parametrize("key_bytes", [1, 4, 32, 256])
def test_cancel_keys_of_either_protocol(key_bytes: int) -> None:
    key = b"k" * key_bytes
    assert parse_packet(wire.cancel_request(7, key)) == CancelRequest(7, key)


@pytest.mark.parametrize(
    "bad",
    [
        packet(1234, 5678),  # no process id
        packet(1234, 5678, b"\0\0\0\7"),  # no key
        packet(1234, 5678, b"\0\0\0\7" + b"k" * 257),
        packet(1234, 5679, b"more"),
        packet(1234, 5680, b"more"),
        packet(1234, 1),
        packet(2, 0, b"\0"),
        packet(4, 0, b"\0"),
        packet(0, 0, b"\0"),
        packet(3, 0),  # no terminator
        packet(3, 0, b"user"),
        packet(3, 0, b"user\0app\0"),
        packet(3, 0, b"user\0\0"),  # a name without a value
        packet(3, 0, b"\0app\0\0"),  # a value without a name
        packet(3, 0, b"user\0app\0\0x\0\0"),
        packet(3, 0, b"user\0\xff\0\0"),
    ],
)
def test_packets_that_are_none(bad: bytes) -> None:
    with pytest.raises(Garbage):
        parse_packet(bad)


@given(st.binary(min_size=8, max_size=200))
def test_any_bytes_are_a_packet_or_garbage_and_nothing_else(data: bytes) -> None:
    try:
        parse_packet(data)
    except Garbage as garbage:
        assert garbage.words


NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, NAMES | st.just("")), st.integers(0, 2**16 - 1))
def test_parameters_are_read_back_in_their_order(given: dict[str, str], minor: int) -> None:
    parsed = parse_packet(wire.startup(given.items(), minor))
    assert parsed == Startup(minor, tuple(given.items()))


def test_of_a_parameter_given_twice_the_last_one_counts() -> None:
    parsed = parse_packet(wire.startup([("user", "a"), ("user", "b")]))
    assert isinstance(parsed, Startup)
    assert parsed.parameters == (("user", "b"),)


@given(st.lists(st.text(min_size=1)))
def test_words_of_options_round_trip(words: list[str]) -> None:
    assert split_options(join_options(words)) == words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", []),
        ("  ", []),
        ("-c a=b", ["-c", "a=b"]),
        ("  -c   a=b  ", ["-c", "a=b"]),
        (r"-c a=b\ c", ["-c", "a=b c"]),
        (r"a\\b", [r"a\b"]),
        ("a\\", ["a"]),
        ("\\", [""]),
        ("a\u00a0b", ["a\u00a0b"]),
    ],
)
def test_options_as_postgres_splits_them(options: str, words: list[str]) -> None:
    assert split_options(options) == words


@pytest.mark.parametrize(
    ("minor", "options", "answer"),
    [
        (0, (), None),
        (2, (), None),
        (3, (), 2),
        (9999, (), 2),
        (9999, ("_pq_.foo",), 2),
        # A client that asked for less than there is must not be offered more.
        (0, ("_pq_.foo",), 0),
        (2, ("_pq_.foo", "_pq_.bar"), 2),
    ],
)
def test_what_is_negotiated(minor: int, options: tuple[str, ...], answer: int | None) -> None:
    asked = Startup(minor, (("user", "app"), *((name, "1") for name in options)))
    if answer is None:
        assert asked.negotiation == b""
    else:
        assert asked.negotiation == wire.negotiate_protocol_version(answer, options)
        body = asked.negotiation[5:]
        assert struct.unpack_from(">HHI", body) == (3, answer, len(options))
        assert body[8:].split(b"\0")[:-1] == [name.encode() for name in options]


@pytest.mark.parametrize(("minor", "is_long"), [(0, False), (1, False), (2, True), (9999, True)])
def test_long_cancel_keys_are_for_those_who_know_them(minor: int, is_long: bool) -> None:
    assert Startup(minor, ()).has_long_keys is is_long
