"""Values as drivers read them: both forms of each type."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from torpor_proxy.console import verbs
from torpor_proxy.console.values import (
    Column,
    Type,
    Value,
    columns,
    data_row,
    moment,
    row_description,
)
from torpor_proxy.core import wire

AT = datetime(2027, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def sent(type: Type, value: Value, format: int) -> bytes | None:
    message = data_row((Column("x", type),), (format,), (value,))
    (found,) = wire.row(message[wire.HEAD_BYTES :])
    return found


@pytest.mark.parametrize(
    ("type", "value", "as_text", "in_binary"),
    [
        (Type.BOOL, True, b"t", b"\1"),
        (Type.BOOL, False, b"f", b"\0"),
        (Type.INT8, 1 << 40, b"1099511627776", struct.pack(">q", 1 << 40)),
        (Type.INT4, 1, b"1", b"\0\0\0\1"),
        (Type.TEXT, "Grüße", "Grüße".encode(), "Grüße".encode()),
        (Type.TEXT, "a\0b", b"ab", b"ab"),
        (Type.FLOAT8, 0.25, b"0.25", struct.pack(">d", 0.25)),
        (Type.FLOAT8, Decimal(2), b"2", struct.pack(">d", 2.0)),
        (Type.TIMESTAMPTZ, AT, b"2027-01-02 03:04:05.678+00", None),
        (Type.TIMESTAMPTZ, AT.replace(microsecond=0), b"2027-01-02 03:04:05+00", None),
        (Type.TIMESTAMPTZ, AT.replace(second=10, microsecond=0), b"2027-01-02 03:04:10+00", None),
        (Type.TEXT, None, None, None),
    ],
)
def test_both_forms(
    type: Type, value: Value, as_text: bytes | None, in_binary: bytes | None
) -> None:
    assert sent(type, value, 0) == as_text
    found = sent(type, value, 1)
    if isinstance(value, datetime):
        assert found is not None
        since_2000 = timedelta(microseconds=struct.unpack(">q", found)[0])
        assert datetime(2000, 1, 1, tzinfo=UTC) + since_2000 == value
    else:
        assert found == in_binary


def test_a_time_with_another_zone_is_told_in_utc() -> None:
    assert sent(Type.TIMESTAMPTZ, moment("2027-01-02T05:00:00+02:00"), 0) == (
        b"2027-01-02 03:00:00+00"
    )
    assert moment("") is None


def test_a_description_names_each_column_and_its_type() -> None:
    said = row_description(columns("name text, sessions int8"), (0, 1))
    text = b"name\0" + struct.pack(">IHIhiH", 0, 0, 25, -1, -1, 0)
    number = b"sessions\0" + struct.pack(">IHIhiH", 0, 0, 20, 8, -1, 1)
    assert said == wire.message(b"T", b"\0\2" + text + number)


def test_no_verb_has_a_column_twice() -> None:
    for verb in verbs.VERBS:
        names = [column.name for column in verb.columns]
        assert len(set(names)) == len(names), verb.words
