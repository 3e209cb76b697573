"""A difference in words: the conversation, and what each side said."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.client import Message
from fuzz.conversation import Conversation
from fuzz.transcript import Difference
from torpor_proxy.core import wire

SHOWN_CHARACTERS_MAX = 300
"""Of one message."""

MESSAGES_BEFORE = 12
"""The first difference; the same on both sides."""

MESSAGES_AFTER = 8


def report(conversation: Conversation, found: Difference) -> str:
    lines = [repr(conversation), "", *_turns(conversation), ""]
    start = max(0, found.at - MESSAGES_BEFORE)
    lines.append(f"client {found.who} heard on both sides, up to message {found.at}:")
    lines += [f"    {shown(message)}" for message in found.straight[start : found.at]]
    for name, heard in (("straight", found.straight), ("through", found.through)):
        lines.append(f"and then {name}:")
        rest = heard[found.at : found.at + MESSAGES_AFTER]
        lines += [f"    {shown(message)}" for message in rest] or ["    nothing"]
    return "\n".join(lines)


def _turns(conversation: Conversation) -> Iterator[str]:
    for turn in conversation.turns:
        cut = f"  cut at {turn.cuts}" if turn.cuts else ""
        yield f"client {turn.who}:{cut}"
        for message in turn.messages:
            yield f"    {_cut(f'{message[:1].decode()} {message[wire.HEAD_BYTES :]!r}')}"


def shown(message: Message) -> str:
    """Of a server."""
    kind, body = message
    if kind in (b"E", b"N"):
        fields = wire.report_fields(body)
        return _cut(f"{kind.decode()} {' '.join(f'{k}={v!r}' for k, v in fields.items())}")
    if kind == b"D":
        return _cut(f"D {list(wire.row(body))}")
    return _cut(f"{kind.decode()} {body!r}")


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN_CHARACTERS_MAX else f"{line[:SHOWN_CHARACTERS_MAX]}…"
