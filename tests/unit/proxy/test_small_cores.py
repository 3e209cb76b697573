"""What a captured client shall hear, one object for equal values, and what a client was told."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core import idle_words, parked, wire
from torpor_proxy.core.interning import Interner
from torpor_proxy.core.parameters import NOTHING_TOLD, parameters_of
from torpor_proxy.core.routing import Route

NOTIFICATION = wire.message(b"A", b"\0\0\0\7news\0hello\0")


def last_words(kind: str, sqlstate: str, routine: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C{sqlstate}\0Mterminating\0R{routine}\0\0"
    return wire.message(kind.encode(), fields.encode())


CRASH = last_words("N", "57P02", "quickdie")

DEATHS = [
    CRASH,
    last_words("N", "57P01", "quickdie"),  # an immediate shutdown
    last_words("E", "57P01", "secure_read"),  # the postmaster has vanished
]

OTHER = last_words("E", "57P01", "ProcessInterrupts")
"""By an administrator's command."""


# --- idle words --------------------------------------------------------------------------


@pytest.mark.parametrize("death", DEATHS)
def test_the_death_of_a_compute_is_kept_from_a_client_that_goes_on(death: bytes) -> None:
    assert idle_words.for_client(NOTIFICATION + death + NOTIFICATION) == NOTIFICATION * 2
    assert idle_words.for_client(death) == b""


def test_everything_else_is_for_the_client() -> None:
    for words in (OTHER, NOTIFICATION, last_words("N", "01000", "quickdie")):
        assert idle_words.for_client(words + NOTIFICATION) == words + NOTIFICATION


@given(st.lists(st.sampled_from([NOTIFICATION, OTHER])), st.integers(0, 300))
def test_bytes_cut_anywhere_lose_nothing(messages: list[bytes], at: int) -> None:
    stream = b"".join(messages)
    first, second = stream[:at], stream[at:]
    assert idle_words.for_client(first) + idle_words.for_client(second) == stream


# --- interning ---------------------------------------------------------------------------


def test_equal_values_are_one_object_for_as_long_as_anybody_uses_it() -> None:
    interner: Interner[str, Route] = Interner()
    first = interner.one("a", Route("shop", "app", "app"))
    assert interner.one("a", Route("shop", "app", "app")) is first
    other = interner.one("b", Route("bank", "app", "app"))
    assert other is not first and len(interner) == 2
    del first
    gc.collect()
    assert len(interner) == 1


# --- parameters --------------------------------------------------------------------------


def test_equal_parameters_are_one_object() -> None:
    assert parameters_of((("a", "1"),)) is parameters_of((("a", "1"),))


def test_one_that_changed_keeps_its_place() -> None:
    told = parameters_of((("a", "1"), ("b", "2"))).with_one("a", "3")
    assert told is parameters_of((("a", "3"), ("b", "2")))
    assert told.with_one("c", "4").pairs == (("a", "3"), ("b", "2"), ("c", "4"))


def test_a_value_in_another_encoding_is_no_difference() -> None:
    told = parameters_of((("a", "\N{LATIN SMALL LETTER E WITH ACUTE}"), ("b", "1")))
    assert told.difference((("a", "\N{REPLACEMENT CHARACTER}"), ("b", "1"))) == b""
    assert told.difference((("a", "e"),)) == wire.parameter_status("a", "e")
    new = "\N{LATIN SMALL LETTER U WITH DIAERESIS}"
    assert told.difference((("b", new), ("c", new))) == (
        wire.parameter_status("b", new) + wire.parameter_status("c", new)
    )


PARSE = wire.parse("", "select 1")


@pytest.mark.parametrize(
    ("pending", "is_replaced"),
    [
        (None, False),
        (wire.query("select 1"), True),
        (wire.query(""), True),
        (wire.query("select 1") + wire.query(b"\xff"), True),
        (PARSE, True),
        (PARSE + wire.SYNC, True),
        (wire.message(b"P", b"\0select 1\0\0\1\0\0\xff\xff"), True),
        (wire.parse("s", "select 1"), False),
        (wire.SYNC, False),
        (wire.bind(""), False),
        # No text in the client's encoding, or in none.
        (wire.query(b"select '\xe9'"), False),
        (wire.message(b"P", b"\0select '\xe9'\0\0\0"), False),
        # No message that Postgres takes.
        (wire.message(b"Q", b"select 1"), False),
        (wire.message(b"Q", b"select 1\0 2\0"), False),
        (wire.message(b"P", b"\0select 1\0\0\1"), False),
        (wire.message(b"P", b"\0select 1\0\0\0x"), False),
        (b"Q\0\0\0\1\0", False),
        # It may still become one.
        (wire.query("select 1")[:-1], False),
        (b"Q\0\0", False),
    ],
)
def test_whether_the_unnamed_statement_is_surely_replaced(
    pending: bytes | None, is_replaced: bool
) -> None:
    waiting = None if pending is None else bytearray(pending)
    assert parked.replaces_unnamed(waiting) is is_replaced


def test_the_difference_is_what_a_client_does_not_know() -> None:
    told = parameters_of((("a", "1"), ("b", "2")))
    now = (("a", "1"), ("b", "3"), ("c", "4"))
    expected = wire.parameter_status("b", "3") + wire.parameter_status("c", "4")
    assert told.difference(now) == expected
    assert told.difference(told.pairs) == b""
    assert NOTHING_TOLD.difference(told.pairs) == told.difference(()) + (
        wire.parameter_status("a", "1") + wire.parameter_status("b", "2")
    )
