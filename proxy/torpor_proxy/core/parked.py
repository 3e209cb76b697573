"""A parked session's client has spoken: is the database needed? Pure."""

from __future__ import annotations

from dataclasses import dataclass

from torpor_proxy.core import keepalive, wire

_COUNT_BYTES, _TYPE_BYTES = 2, 4


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Too little has come to tell."""


@dataclass(frozen=True, slots=True)
class Broken:
    """No message of the protocol begins like this."""

    reason: str


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The client takes its leave."""


@dataclass(frozen=True, slots=True)
class Answered:
    """This is what the client hears, and the database sleeps on."""

    answer: bytes


@dataclass(frozen=True, slots=True)
class Needed:
    """Only the database can answer."""


Verdict = Incomplete | Broken | Goodbye | Answered | Needed


def judge(pending: bytearray, *, answers_keepalives: bool) -> Verdict:
    """What is to be done about the bytes that came since the session was parked."""
    if len(pending) < wire.HEAD_BYTES:
        return Incomplete()
    if not wire.is_message_head(pending):
        return Broken(f"no message begins with {bytes(pending[: wire.HEAD_BYTES])!r}")
    if pending.startswith(wire.TERMINATE):
        return Goodbye()
    if answers_keepalives and (answer := keepalive.answer(pending)) is not None:
        return Answered(answer)
    return Needed()


def replaces_unnamed(pending: bytearray | None) -> bool:
    """Whether the first message surely destroys the unnamed statement, so that it need not be put
    back.

    One that is malformed, or no text in the client's encoding, is refused before that; ASCII is a
    text in all of them.
    """
    start = bytes(pending[: wire.HEAD_BYTES + 1]) if pending else b""
    is_unnamed_parse = start[:1] == b"P" and start[wire.HEAD_BYTES :] == b"\0"
    if not pending or not (start[:1] == b"Q" or is_unnamed_parse):
        return False
    try:
        messages, _ = wire.split(bytes(pending))
    except ValueError:
        return False
    body = messages[0][1] if messages else b""
    text, end, rest = body[is_unnamed_parse:].partition(b"\0")
    return bool(end) and text.isascii() and (_is_types(rest) if is_unnamed_parse else not rest)


def _is_types(data: bytes) -> bool:
    """The end of a Parse: how many parameters have a type, and these."""
    count = int.from_bytes(data[:_COUNT_BYTES], "big")
    return len(data) == _COUNT_BYTES + count * _TYPE_BYTES
