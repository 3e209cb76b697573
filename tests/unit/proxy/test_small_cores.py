"""What a captured client shall hear, one object for equal values, and what a client was told."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core import idle_words, wire
from torpor_proxy.core.interning import Interner
from torpor_proxy.core.parameters import NOTHING_TOLD, parameters_of
from torpor_proxy.core.routing import Route
from torpor_proxy.core.wire import Severity

NOTIFICATION = wire.message(b"A", b"\0\0\0\7news\0hello\0")

CRASH = wire.report(Severity.NOTICE, "57P02", "terminating because of a crash")

OTHER = wire.report(Severity.FATAL, "57P01", "terminating by command")

DEATH = wire.message(b"E", b"SFATAL\0VFATAL\0C57P01\0Mpostmaster exit\0Rsecure_read\0\0")


# --- idle words --------------------------------------------------------------------------


def test_the_notice_of_a_crash_is_kept_from_a_client_that_goes_on() -> None:
    assert idle_words.for_client(NOTIFICATION + CRASH + NOTIFICATION) == NOTIFICATION * 2
    assert idle_words.for_client(CRASH) == b""


def test_nor_does_it_hear_of_the_death_of_the_postmaster() -> None:
    assert idle_words.for_client(DEATH + NOTIFICATION) == NOTIFICATION
    elsewhere = DEATH.replace(b"secure_read", b"other_place")
    assert idle_words.for_client(elsewhere) == elsewhere


def test_everything_else_is_for_the_client() -> None:
    assert idle_words.for_client(OTHER + NOTIFICATION) == OTHER + NOTIFICATION


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


def test_the_difference_is_what_a_client_does_not_know() -> None:
    told = parameters_of((("a", "1"), ("b", "2")))
    now = (("a", "1"), ("b", "3"), ("c", "4"))
    expected = wire.parameter_status("b", "3") + wire.parameter_status("c", "4")
    assert told.difference(now) == expected
    assert told.difference(told.pairs) == b""
    assert NOTHING_TOLD.difference(told.pairs) == told.difference(()) + (
        wire.parameter_status("a", "1") + wire.parameter_status("b", "2")
    )
