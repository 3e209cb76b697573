"""The next use of a statement that could not be put back sees the error that it should."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core import broken, wire
from torpor_proxy.core.broken import RESULT_CHANGED, Broken
from torpor_proxy.core.error_filter import HELD_BYTES_MAX, ErrorFilter
from torpor_proxy.core.wire import Severity, message

GONE = wire.report(Severity.ERROR, "42P01", 'relation "t" does not exist')[wire.HEAD_BYTES :]
BROKEN = {b"a": Broken(1, GONE), b"s_1": Broken(12, RESULT_CHANGED)}
READY = wire.ready_for_query()
ROW = message(b"D", b"\0\1\0\0\0\1x")


def failed(number: int, words: bytes = b'"_pg_user_mappings" existiert nicht') -> bytes:
    """What stands in under this number has failed."""
    position = broken._POSITION + number
    return message(b"E", b"SERROR\0C42P01\0M%b\0P%d\0\0" % (words, position))


MISSING = failed(1)


def errors_of(known: Mapping[bytes, Broken] = BROKEN) -> ErrorFilter:
    return ErrorFilter(lambda: known)


def test_the_complaint_of_what_stands_in_is_replaced() -> None:
    assert errors_of().feed(ROW + MISSING + READY) == ROW + message(b"E", GONE) + READY


@pytest.mark.parametrize(
    "answer",
    [
        failed(2),
        failed(1, b"another relation"),
        message(b"N", MISSING[5:]),
        message(b"D", MISSING),
        message(b"E", b""),
        message(b"E", b"\0"),
    ],
)
def test_everything_else_passes_as_it_came(answer: bytes) -> None:
    errors = errors_of()
    assert errors.feed(answer + READY) == answer + READY
    assert errors.take() == b""


def test_each_statement_has_its_own_error() -> None:
    told = errors_of().feed(failed(12))
    assert wire.report_fields(told[5:])["C"] == "0A000"
    assert wire.report_fields(told[5:])["M"] == "cached plan must not change result type"


def test_a_statement_that_was_put_back_meanwhile_is_forgotten() -> None:
    known = dict(BROKEN)
    errors = errors_of(known)
    del known[b"a"]
    assert errors.feed(MISSING) == MISSING


def test_what_is_no_error_is_passed_on_at_once() -> None:
    errors = errors_of()
    large = message(b"D", bytes(100))
    assert errors.feed(large[:50]) == large[:50]
    assert errors.feed(large[50:] + MISSING[:20]) == large[50:]
    assert errors.feed(MISSING[20:]) == message(b"E", GONE)


def test_what_waits_can_be_taken_over_once() -> None:
    errors = errors_of()
    assert errors.feed(READY + MISSING[:3]) == READY
    assert errors.take() == MISSING[:3]
    assert errors.take() == b""
    assert errors.feed(READY) == READY


def test_an_error_that_is_too_long_is_not_held() -> None:
    error = failed(1, b'"_pg_user_mappings"'.ljust(HELD_BYTES_MAX))
    errors = errors_of()
    assert errors.feed(error[:100]) == error[:100]
    assert errors.feed(error[100:] + MISSING) == error[100:] + message(b"E", GONE)


STREAM = st.lists(
    st.one_of(
        st.sampled_from([MISSING, READY, ROW, failed(12), failed(3)]),
        st.builds(message, st.sampled_from([b"D", b"E", b"N"]), st.binary(max_size=20)),
    ),
    max_size=10,
).map(b"".join)


@given(STREAM, st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_a_stream_cut_anywhere(stream: bytes, sizes: list[int]) -> None:
    errors, told, position, turn = errors_of(), b"", 0, 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        told += errors.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert errors.take() == b""
    assert told == errors_of().feed(stream)
