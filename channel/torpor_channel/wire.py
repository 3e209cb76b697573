"""One line of JSON per message, and the four kinds of line there are.

Pure: bytes in, values out. ``{"ask": "Wake", "id": 7, "body": {…}}`` is answered by
``{"answer": {…}, "id": 7}`` or ``{"failure": {"kind": …, "message": …, "hint": …}, "id": 7}``;
``{"tell": "EndpointChanged", "body": {…}}`` is not answered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from torpor_api.failures import Failure, failure_of
from torpor_api.messages import Event, Message, Request

LINE_BYTES_MAX = 16 << 20
"""A list of 10,000 databases with their facts takes about 10 MiB."""


class Malformed(Exception):
    """The other side does not speak this protocol; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Ask:
    id: int
    request: Request[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    id: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fail:
    id: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Tell:
    event: Event


@dataclass(frozen=True, slots=True)
class Unknown:
    """A request or event that this release does not know; passed over or refused, never fatal."""

    id: int | None
    name: str


Line = Ask | Answer | Fail | Tell | Unknown


def encode_ask(id: int, request: Request[Any]) -> bytes:
    return _line(f'{{"ask":"{type(request).__name__}","id":{id},"body":', request)


def encode_answer(id: int, reply: Message) -> bytes:
    return _line(f'{{"id":{id},"answer":', reply)


def encode_fail(id: int, failure: Failure) -> bytes:
    body = {"kind": failure.kind, "message": failure.message, "hint": failure.hint}
    return (json.dumps({"id": id, "failure": body}) + "\n").encode()


def encode_tell(event: Event) -> bytes:
    return _line(f'{{"tell":"{type(event).__name__}","body":', event)


def _line(head: str, body: Message) -> bytes:
    return f"{head}{body.model_dump_json(by_alias=True)}}}\n".encode()


def decode(line: bytes) -> Line:
    """The message in one line. Raises Malformed for anything else."""
    try:
        return _decode(json.loads(line))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        ValidationError,
    ) as error:
        raise Malformed(f"not a message of the control channel: {str(error)[:200]}") from error


def _decode(fields: dict[str, Any]) -> Line:
    if "ask" in fields:
        request = Request.by_name.get(fields["ask"])
        if request is None:
            return Unknown(_id(fields), str(fields["ask"]))
        return Ask(_id(fields), request.model_validate(fields["body"]))
    if "tell" in fields:
        event = Event.by_name.get(fields["tell"])
        if event is None:
            return Unknown(None, str(fields["tell"]))
        return Tell(event.model_validate(fields["body"]))
    if "failure" in fields:
        failure = fields["failure"]
        return Fail(
            _id(fields),
            failure_of(str(failure["kind"]), str(failure["message"]), str(failure.get("hint", ""))),
        )
    return Answer(_id(fields), dict(fields["answer"]))


def _id(fields: dict[str, Any]) -> int:
    id = fields["id"]
    if not isinstance(id, int):
        raise TypeError(f"the id {id!r} is not a number")
    return id
