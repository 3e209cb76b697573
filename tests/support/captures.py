"""What a backend answers when a session is captured or put back, row by row."""

from __future__ import annotations

from torpor_proxy.core import wire

Message = tuple[bytes, bytes]

_NULL = b"\xff" * 4
_REGTYPE = (2206).to_bytes(4, "big")


def columns(*values: bytes | None) -> bytes:
    """The body of a DataRow."""
    parts = (_NULL if one is None else len(one).to_bytes(4, "big") + one for one in values)
    return len(values).to_bytes(2, "big") + b"".join(parts)


def row(*values: bytes | None) -> Message:
    return b"D", columns(*values)


def oids(*values: int) -> bytes:
    """An array in its binary form."""
    if not values:
        return bytes(8) + _REGTYPE
    head = (1).to_bytes(4, "big") + bytes(4) + _REGTYPE
    sizes = len(values).to_bytes(4, "big") + (1).to_bytes(4, "big")
    return head + sizes + b"".join(b"\0\0\0\4" + one.to_bytes(4, "big") for one in values)


def setting(
    name: bytes,
    value: bytes,
    *,
    reset: bytes = b"",
    source: bytes = b"session",
    context: bytes = b"user",
    is_allowed: bool = True,
) -> Message:
    return row(b"s", name, value, reset, source, context, bytes([is_allowed]))


def statement(
    name: bytes,
    text: bytes,
    *,
    is_sql: bool = False,
    parameters: tuple[int, ...] = (),
    results: tuple[int, ...] = (23,),
    prepared: bytes = bytes(8),
) -> Message:
    types = oids(*parameters), oids(*results)
    return row(b"p", name, text, bytes([is_sql]), *types, prepared)


def session(
    role: bytes = b"none", authorization: bytes = b"app", snapshot: bytes = b"1:1:", schema: int = 0
) -> Message:
    return row(b"o", role, authorization, snapshot, schema.to_bytes(4, "big"))


def listed(name: bytes, *results: int, prepared: bytes = bytes(8)) -> Message:
    """Of the statements that are there once they were put back."""
    return row(name, oids(), oids(*results), prepared)


def messages_of(data: bytes) -> list[Message]:
    found, rest = wire.split(data)
    assert rest == b""
    return found
