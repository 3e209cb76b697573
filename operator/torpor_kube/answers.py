"""What the API server's answers mean: statuses to failures, and how long to wait. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from torpor_api.brief import in_one_line
from torpor_api.failures import Conflict, Failure, InvalidRequest, NotFound, Refused, Unavailable
from torpor_kube.port import Document, Expired

RETRY_AFTER_S_MAX = 60.0
"""A server that asks for more is away; who waits for it hears that instead."""

_BY_STATUS: dict[int, type[Failure]] = {
    400: InvalidRequest,
    403: Refused,
    404: NotFound,
    409: Conflict,
    410: Expired,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
}


def failure_of(status: int, body: bytes, asked: str) -> Failure:
    """The failure that an HTTP status and its body say; ``asked``: method and path, for people."""
    kind = _BY_STATUS.get(status, Unavailable)
    hint = "look into the role's rules: kubectl auth can-i" if status == 403 else ""
    return kind(f"the API server says to {asked}: {_words(status, body)}", hint)


def reason_of(failure: Failure) -> str:
    """What the server itself has said: where room is short, that is what matters."""
    return failure.message.partition(": ")[2] or failure.message


def failure_in_watch(document: Document, asked: str) -> Failure:
    """Of an ERROR line, whose object is a Status."""
    code = document.get("code")
    status = code if isinstance(code, int) else 500
    return failure_of(status, json.dumps(document).encode(), asked)


def retry_after_s(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds after which the same may be asked again, because nothing was done; None: don't."""
    if status not in (429, 503):
        return None
    try:
        wish = float(headers.get("Retry-After", ""))
    except ValueError:
        return 1.0 if status == 429 else None
    return min(max(wish, 0.0), RETRY_AFTER_S_MAX)


def _words(status: int, body: bytes) -> str:
    try:
        message = json.loads(body).get("message")
    except (ValueError, AttributeError):
        message = None
    if not isinstance(message, str) or not message:
        message = body[:400].decode(errors="replace") or "nothing"
    return in_one_line(f"{status}, {message}") if len(message) < 160 else f"{status}, {message}"
