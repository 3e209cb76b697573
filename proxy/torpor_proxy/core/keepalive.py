"""What a session without a compute answers by itself, so that a pool's keep-alive wakes nobody.

Pure. Only what needs no database and can't be told from Postgres's own answer: Sync, the empty
query, and ``SELECT 1`` in the spellings that pools use.
"""

from __future__ import annotations

import struct

from torpor_proxy.core import wire

_TEXT_BYTES_MAX = 64

_INT4 = 23
_ONE = (
    wire.message(
        b"T", struct.pack(">H", 1) + b"?column?\0" + struct.pack(">IHIhiH", 0, 0, _INT4, 4, -1, 0)
    )
    + wire.message(b"D", struct.pack(">HI", 1, 1) + b"1")
    + wire.message(b"C", b"SELECT 1\0")
    + wire.ready_for_query()
)
_EMPTY = wire.message(b"I") + wire.ready_for_query()

_ANSWERS = {b"": _EMPTY, b"select 1": _ONE}


def answer(data: bytes | bytearray) -> bytes | None:
    """The answer to exactly one whole message, or None where the database has to be asked."""
    if len(data) > _TEXT_BYTES_MAX:
        return None
    try:
        messages, rest = wire.split(bytes(data))
    except ValueError:
        return None
    if len(messages) != 1 or rest:
        return None
    kind, body = messages[0]
    if kind == b"S" and not body:
        return wire.ready_for_query()
    if kind != b"Q" or not body.endswith(b"\0"):
        return None
    text = body[:-1].strip().removesuffix(b";").strip().lower()
    return _ANSWERS.get(text)
