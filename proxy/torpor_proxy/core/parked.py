"""A parked session's client has spoken: is the database needed? Pure."""

from __future__ import annotations

from dataclasses import dataclass

from torpor_proxy.core import keepalive, wire
from torpor_proxy.core.exchange import is_message_head


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
    if not is_message_head(pending):
        return Broken(f"no message begins with {bytes(pending[: wire.HEAD_BYTES])!r}")
    if pending.startswith(wire.TERMINATE):
        return Goodbye()
    if answers_keepalives and (answer := keepalive.answer(pending)) is not None:
        return Answered(answer)
    return Needed()


def replaces_unnamed(pending: bytearray | None) -> bool:
    """Whether the first message destroys the unnamed statement, so that it need not be put back."""
    start = bytes(pending[: wire.HEAD_BYTES + 1]) if pending else b""
    return start[:1] == b"Q" or (start[:1] == b"P" and start[wire.HEAD_BYTES :] == b"\0")
