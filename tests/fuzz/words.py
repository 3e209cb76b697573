"""Messages of a client, right or wrong, as bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from torpor_proxy.core import wire

SYNC, TERMINATE = wire.SYNC, wire.TERMINATE
FLUSH, COPY_DONE = wire.message(b"H"), wire.message(b"c")
COPY_FAIL = wire.message(b"f", b"changed my mind\0")

Text = str | bytes
"""A ``str`` is sent in UTF-8, whatever the server expects."""


def _text(value: Text) -> bytes:
    return (value.encode() if isinstance(value, str) else value) + b"\0"


def query(sql: Text) -> bytes:
    return wire.message(b"Q", _text(sql))


def parse(name: Text, sql: Text, types: Sequence[int] = ()) -> bytes:
    tail = struct.pack(f">H{len(types)}I", len(types), *types)
    return wire.message(b"P", _text(name) + _text(sql) + tail)


def bind(
    portal: Text,
    statement: Text,
    values: Sequence[bytes | None] = (),
    formats: Sequence[int] = (),
    results: Sequence[int] = (),
) -> bytes:
    parts = [_text(portal), _text(statement), _shorts(formats), struct.pack(">H", len(values))]
    parts += [_value(value) for value in values]
    return wire.message(b"B", b"".join([*parts, _shorts(results)]))


def describe(what: bytes, name: Text) -> bytes:
    """``what``: b"S" for a statement, b"P" for a portal."""
    return wire.message(b"D", what + _text(name))


def close(what: bytes, name: Text) -> bytes:
    return wire.message(b"C", what + _text(name))


def execute(portal: Text = "", rows_max: int = 0) -> bytes:
    return wire.message(b"E", _text(portal) + struct.pack(">I", rows_max))


def copy_data(data: bytes) -> bytes:
    return wire.message(b"d", data)


def call(oid: int, arguments: Sequence[bytes | None], *, is_binary: bool) -> bytes:
    """A function call."""
    head = struct.pack(">I", oid) + _shorts([is_binary]) + struct.pack(">H", len(arguments))
    values = b"".join(_value(argument) for argument in arguments)
    return wire.message(b"F", head + values + struct.pack(">H", is_binary))


def _shorts(values: Sequence[int]) -> bytes:
    return struct.pack(f">H{len(values)}H", len(values), *values)


def _value(value: bytes | None) -> bytes:
    return b"\xff\xff\xff\xff" if value is None else struct.pack(">I", len(value)) + value
