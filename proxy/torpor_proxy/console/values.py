"""Columns, their types, and values as they go over the wire: as text, and in binary. Pure.

Drivers choose the form: psycopg and psql take text, asyncpg binary wherever it knows the type.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from torpor_proxy.core import wire

Value: TypeAlias = str | int | float | bool | Decimal | datetime | None

Row: TypeAlias = tuple[Value, ...]

TEXT_FORMAT, BINARY_FORMAT = 0, 1

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Postgres counts from here."""


class Type(Enum):
    """By Postgres's own numbers (OIDs) and sizes in bytes; -1: it varies."""

    BOOL = (16, 1)
    INT8 = (20, 8)
    INT4 = (23, 4)
    TEXT = (25, -1)
    FLOAT8 = (701, 8)
    TIMESTAMPTZ = (1184, 8)
    VOID = (2278, 4)

    @property
    def oid(self) -> int:
        return self.value[0]

    @property
    def size(self) -> int:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: Type


def columns(declared: str) -> tuple[Column, ...]:
    """As in ``CREATE TABLE``: ``name text, sessions int8``."""
    pairs = (each.split() for each in declared.split(", "))
    return tuple(Column(name, Type[type.upper()]) for name, type in pairs)


def moment(told: str) -> datetime | None:
    """A time as components tell it (``2027-01-01T00:00:00Z``); None for one that is not known."""
    return datetime.fromisoformat(told) if told else None


def row_description(columns: Sequence[Column], formats: Sequence[int] = ()) -> bytes:
    """``formats``: one for each column; none: all as text."""
    parts = [struct.pack(">H", len(columns))]
    for index, column in enumerate(columns):
        format = formats[index] if formats else TEXT_FORMAT
        type = column.type
        head = struct.pack(">IHIhiH", 0, 0, type.oid, type.size, -1, format)
        parts += [wire.text(column.name), head]
    return wire.message(b"T", b"".join(parts))


def data_row(columns: Sequence[Column], formats: Sequence[int], row: Row) -> bytes:
    """``formats``: one for each column; none: all as text."""
    parts = [struct.pack(">H", len(columns))]
    for index, (column, value) in enumerate(zip(columns, row, strict=True)):
        if value is None:
            parts.append(b"\xff\xff\xff\xff")
            continue
        is_binary = bool(formats) and formats[index] == BINARY_FORMAT
        encoded = (_BINARY if is_binary else _TEXT)[column.type](value)
        parts += [struct.pack(">I", len(encoded)), encoded]
    return wire.message(b"D", b"".join(parts))


def _string(value: Value) -> bytes:
    # A zero byte can't be in a text of Postgres.
    return str(value).replace("\0", "").encode(errors="replace")


def _timestamp(value: Value) -> bytes:
    assert isinstance(value, datetime)
    shown = value.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown).encode() + b"+00"


def _float(value: Value) -> bytes:
    assert isinstance(value, int | float | Decimal)
    return repr(float(value)).removesuffix(".0").encode()


def _microseconds(value: Value) -> bytes:
    assert isinstance(value, datetime)
    return struct.pack(">q", (value - _EPOCH) // timedelta(microseconds=1))


_Encode: TypeAlias = Callable[[Value], bytes]

_TEXT: dict[Type, _Encode] = {
    Type.BOOL: lambda value: b"t" if value else b"f",
    Type.INT8: lambda value: str(value).encode(),
    Type.INT4: lambda value: str(value).encode(),
    Type.TEXT: _string,
    Type.FLOAT8: _float,
    Type.TIMESTAMPTZ: _timestamp,
    Type.VOID: lambda value: b"",
}

_BINARY: dict[Type, _Encode] = {
    Type.BOOL: lambda value: b"\1" if value else b"\0",
    Type.INT8: lambda value: struct.pack(">q", value),
    Type.INT4: lambda value: struct.pack(">i", value),
    Type.TEXT: _string,
    Type.FLOAT8: lambda value: struct.pack(">d", value),
    Type.TIMESTAMPTZ: _microseconds,
    Type.VOID: lambda value: b"",
}
