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

from torpor_api.brief import in_one_line
from torpor_api.failures import Failure, Holder, failure_of
from torpor_api.messages import Event, Message, Request

LINE_BYTES_MAX = 16 << 20
"""On one machine the list of 10,000 resources takes about 10 MiB; on a network the longest line is
a page of endpoints, or a database's login facts."""


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
class Unreadable:
    """A request or event that this release does not know, or one whose values it does not take.

    Passed over or refused, and never fatal: the other questions of the connection are sound.
    """

    id: int | None
    name: str
    reason: str


Line = Ask | Answer | Fail | Tell | Unreadable

_IS_NEW = "is not known to this release"


def encode_ask(id: int, request: Request[Any]) -> bytes:
    return _line(f'{{"ask":"{type(request).__name__}","id":{id},"body":', request)


def encode_answer(id: int, reply: Message) -> bytes:
    return _line(f'{{"id":{id},"answer":', reply)


def encode_fail(id: int, failure: Failure) -> bytes:
    body: dict[str, Any] = {
        "kind": failure.kind,
        "message": failure.message,
        "hint": failure.hint,
    }
    if failure.holder is not None:
        body["holder"] = {"epoch": failure.holder.epoch, "compute": failure.holder.compute}
    return (json.dumps({"id": id, "failure": body}) + "\n").encode()


def encode_tell(event: Event) -> bytes:
    return _line(f'{{"tell":"{type(event).__name__}","body":', event)


def _line(head: str, body: Message) -> bytes:
    return f"{head}{body.model_dump_json(by_alias=True)}}}\n".encode()


def decode(line: bytes) -> Line:
    """The message in one line. Raises Malformed for anything else."""
    try:
        return _decode(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(f"not a message of the control channel: {str(error)[:200]}") from error


def _decode(fields: dict[str, Any]) -> Line:
    if "ask" in fields:
        return _ask(_id(fields), str(fields["ask"]), fields["body"])
    if "tell" in fields:
        return _tell(str(fields["tell"]), fields["body"])
    if "failure" in fields:
        return Fail(_id(fields), _failure(fields["failure"]))
    return Answer(_id(fields), dict(fields["answer"]))


def _failure(told: dict[str, Any]) -> Failure:
    found = told.get("holder")
    holder = None if found is None else Holder(int(found["epoch"]), str(found["compute"]))
    return failure_of(str(told["kind"]), str(told["message"]), str(told.get("hint", "")), holder)


def _ask(id: int, name: str, body: Any) -> Ask | Unreadable:
    request = Request.by_name.get(name)
    if request is None:
        return Unreadable(id, in_one_line(name), _IS_NEW)
    try:
        return Ask(id, request.model_validate(body, extra="ignore"))
    except ValidationError as error:
        return Unreadable(id, name, _why_impossible(error))


def _tell(name: str, body: Any) -> Tell | Unreadable:
    event = Event.by_name.get(name)
    if event is None:
        return Unreadable(None, in_one_line(name), _IS_NEW)
    try:
        return Tell(event.model_validate(body, extra="ignore"))
    except ValidationError as error:
        return Unreadable(None, name, _why_impossible(error))


def _why_impossible(error: ValidationError) -> str:
    """Where the first fault is, and what; never the value, which may be a password."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, fault["loc"])) or "body"
    return in_one_line(f"has an impossible {place}: {fault['msg']}")


def _id(fields: dict[str, Any]) -> int:
    id = fields["id"]
    if not isinstance(id, int):
        raise TypeError(f"the id {id!r} is not a number")
    return id
