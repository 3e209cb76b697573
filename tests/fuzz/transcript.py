"""What a client heard, in a form in which two sides can be compared byte by byte.

Normalised is only what no client may rely on:

- the process id and the secret of BackendKeyData; the process id in a notification stands for the
  client that was told it;
- object ids of what was created after ``initdb``: each stands for its place in the order in which
  they were first seen;
- authentication messages before AuthenticationOk: the straight side has none;
- the place of a notification between two ReadyForQuery, see below.

**Notifications.** Postgres tells them whenever a session is outside of a transaction: while it
waits, or at the latest just before the next ReadyForQuery outside of one. Where between two
ReadyForQuery one comes depends on when a signal arrives. But *between which two* does not: one that
was committed before a client's message was sent is told before that is answered with ReadyForQuery,
as the signal was there first. So they are moved to the beginning of their interval, and never out
of it, and their own order stays.

**Notices** come of what the client itself does, at their place, and are not moved.
**ParameterStatus** neither: since Postgres 14 all that have changed are told together, just before
ReadyForQuery, and nobody reloads the configuration here. Only which of those comes first is left
open (it is the order in which they were touched in the past of the process), so what is told
together is sorted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from fuzz.client import NOTIFICATION, PARAMETER, Message

Transcript = tuple[Message, ...]

FIRST_OBJECT_ID = 16384
"""Those of ``initdb`` are below."""

HUNG_UP: Message = (b"", b"the server has hung up")
STUCK: Message = (b"", b"nothing more came, and had to come")

_OK = b"\0\0\0\0"
_COLUMN = struct.Struct(">IHI")
"""Of RowDescription behind its name: table, column, type."""
_COLUMN_REST_BYTES = 8
_PROCESS_ID_BYTES = 4


NOBODY: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class Difference:
    """One client could tell the two sides apart."""

    who: int
    at: int
    """The first message that is not the same."""
    straight: Transcript
    through: Transcript


def difference(who: int, straight: Transcript, through: Transcript) -> Difference | None:
    if straight == through:
        return None
    pairs = zip(straight, through, strict=False)
    shorter = min(len(straight), len(through))
    at = next((n for n, (one, other) in enumerate(pairs) if one != other), shorter)
    return Difference(who, at, straight, through)


def transcript_of(
    messages: Sequence[Message],
    names: Mapping[int, str] = NOBODY,
    *,
    has_ended: bool = False,
    is_stuck: bool = False,
) -> Transcript:
    """``names``: of the clients by the process ids that they were told."""
    ends = [HUNG_UP] * has_ended + [STUCK] * is_stuck
    return (*_sorted_parameters(_in_intervals(_Normal(names).those(messages))), *ends)


def _sorted_parameters(messages: Iterator[Message]) -> Iterator[Message]:
    for kind, group in groupby(messages, key=lambda message: message[0]):
        together = list(group)
        yield from sorted(together) if kind == PARAMETER else together


def _in_intervals(messages: Iterator[Message]) -> Iterator[Message]:
    others: list[Message] = []
    for message in messages:
        if message[0] == NOTIFICATION:
            yield message
            continue
        others.append(message)
        if message[0] == b"Z":
            yield from others
            others.clear()
    yield from others


@dataclass(slots=True)
class _Normal:
    """Of one client's messages."""

    names: Mapping[int, str]
    object_ids: dict[int, int] = field(default_factory=dict)

    def those(self, messages: Sequence[Message]) -> Iterator[Message]:
        for kind, body in messages:
            if kind == b"R" and body != _OK:
                continue
            yield kind, self._body(kind, body)

    def _body(self, kind: bytes, body: bytes) -> bytes:
        match kind:
            case b"K":
                return b""
            case b"A":
                sender = int.from_bytes(body[:_PROCESS_ID_BYTES], "big")
                name = self.names.get(sender, f"process {sender}")
                return name.encode() + b"\0" + body[_PROCESS_ID_BYTES:]
            case b"t":
                return body[:2] + b"".join(map(self._object_id, _integers(body[2:])))
            case b"T":
                return body[:2] + b"".join(self._columns(body[2:]))
            case _:
                return body

    def _columns(self, data: bytes) -> Iterator[bytes]:
        while data:
            name, _, data = data.partition(b"\0")
            table, column, type_ = _COLUMN.unpack_from(data)
            rest = data[_COLUMN.size : _COLUMN.size + _COLUMN_REST_BYTES]
            yield name + b"\0" + self._object_id(table) + column.to_bytes(2, "big")
            yield self._object_id(type_) + rest
            data = data[_COLUMN.size + _COLUMN_REST_BYTES :]

    def _object_id(self, oid: int) -> bytes:
        if oid >= FIRST_OBJECT_ID:
            oid = FIRST_OBJECT_ID + self.object_ids.setdefault(oid, len(self.object_ids))
        return oid.to_bytes(4, "big")


def _integers(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(data) // 4}I", data)
