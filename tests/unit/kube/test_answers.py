"""What the API server's answers mean."""

from __future__ import annotations

import json

import pytest

from torpor_api.failures import (
    Conflict,
    Failure,
    InvalidRequest,
    NotFound,
    Refused,
    Unavailable,
)
from torpor_kube.answers import RETRY_AFTER_S_MAX, failure_in_watch, failure_of, retry_after_s
from torpor_kube.port import Expired


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unavailable),
        (403, Refused),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (422, InvalidRequest),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_each_status_is_a_failure(status: int, kind: type[Failure]) -> None:
    body = json.dumps({"kind": "Status", "message": "no such\nthing"}).encode()
    failure = failure_of(status, body, "GET /x")
    assert type(failure) is kind
    assert "GET /x" in failure.message and "no such thing" in failure.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b"{}"])
def test_a_body_that_is_no_status_is_passed_on_as_it_is(body: bytes) -> None:
    assert "502" in failure_of(502, body, "GET /x").message


def test_the_last_line_of_a_watch_says_why_it_ended() -> None:
    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
    assert isinstance(failure_in_watch(gone, "GET /x"), Expired)
    assert type(failure_in_watch({"message": "?"}, "GET /x")) is Unavailable


def test_a_busy_server_says_when_to_come_again() -> None:
    assert retry_after_s(429, {"Retry-After": "2"}) == 2
    assert retry_after_s(503, {"Retry-After": "2"}) == 2
    assert retry_after_s(429, {}) == 1
    assert retry_after_s(429, {"Retry-After": "99999"}) == RETRY_AFTER_S_MAX
    assert retry_after_s(429, {"Retry-After": "-1"}) == 0


def test_what_may_have_been_done_is_not_repeated() -> None:
    assert retry_after_s(503, {}) is None
    assert retry_after_s(500, {"Retry-After": "1"}) is None
    assert retry_after_s(200, {}) is None
