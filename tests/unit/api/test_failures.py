"""Failures travel by their kind and keep what they say."""

from __future__ import annotations

import re

import pytest

from torpor_api.failures import Conflict, Failure, Unavailable, failure_of

KINDS = sorted(Failure.by_kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_the_same_on_the_other_side(kind: str) -> None:
    sent = Failure.by_kind[kind]("the message", hint="the fix")
    received = failure_of(sent.kind, sent.message, sent.hint)
    assert type(received) is type(sent)
    assert (received.message, received.hint, str(received)) == (
        "the message",
        "the fix",
        "the message",
    )
    assert (received.sqlstate, received.retryable) == (sent.sqlstate, sent.retryable)


@pytest.mark.parametrize("kind", KINDS)
def test_each_has_an_sqlstate_and_says_what_it_is(kind: str) -> None:
    failure = Failure.by_kind[kind]
    assert failure.kind == failure.__name__ == kind
    assert re.fullmatch(r"[0-9A-Z]{5}", failure.sqlstate) and failure.sqlstate != "XX000"
    assert failure.__doc__


def test_a_kind_of_a_newer_release_may_be_tried_again() -> None:
    received = failure_of("FromTheFuture", "what it says")
    assert type(received) is Unavailable and received.retryable
    assert received.message == "what it says"


def test_what_a_component_made_for_itself_is_unknown_to_the_others() -> None:
    class Own(Conflict):
        def __init__(self, count: int) -> None:
            super().__init__(f"{count} of them")

    sent = Own(3)
    received = failure_of(sent.kind, sent.message, sent.hint)
    assert (type(received), received.message) == (Unavailable, "3 of them")


def test_what_may_be_tried_again() -> None:
    assert {kind for kind in KINDS if Failure.by_kind[kind].retryable} == {
        "Conflict",
        "BoundElsewhere",
        "Unavailable",
        "NoWarmCompute",
        "NotFenced",
        "StorageFull",
        "StartFailed",
        "Busy",
    }
