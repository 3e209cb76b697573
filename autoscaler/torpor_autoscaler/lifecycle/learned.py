"""What was learned of hours and days as a text, which the next autoscaler finds in the record.

Of each bucket two numbers of two bytes, compressed: a fleet that wakes at random all day takes some
1,900 characters, one that wakes by the clock some 300, and one that never did none.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable
from math import isfinite, nan

from torpor_autoscaler.core.wakes import Wakes

HALF_MAX = 65_504.0
"""The largest number of two bytes; whole ones are exact up to 2,048."""


def packed(wakes: Wakes) -> str:
    """Empty where no wake was seen in a whole minute."""
    rows = [row for pattern in wakes.patterns for row in pattern.learned()]
    if not any(row and any(row) for row in rows):
        return ""
    numbers = [number for row in rows for number in _halves(row)]
    data = zlib.compress(struct.pack(f"<{len(numbers)}e", *numbers), 9)
    return base64.b64encode(data).decode()


def recall(wakes: Wakes, text: str) -> None:
    """Raises ValueError for what :func:`packed` has never made; then nothing is recalled."""
    lengths = [len(pattern.learned()) for pattern in wakes.patterns]
    size = struct.calcsize(f"<{2 * sum(lengths)}e")
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(base64.b64decode(text, validate=True), size + 1)
        numbers = struct.unpack(f"<{2 * sum(lengths)}e", data)
    except (ValueError, zlib.error, struct.error) as damage:
        raise ValueError(f"no patterns of wakes: {damage}") from None
    rows = [_row(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    begin = 0
    for pattern, length in zip(wakes.patterns, lengths, strict=True):
        pattern.recall(rows[begin : begin + length])
        begin += length


def _halves(row: tuple[float, float] | None) -> Iterable[float]:
    return (nan, nan) if row is None else (min(number, HALF_MAX) for number in row)


def _row(count: float, peak: float) -> tuple[float, float] | None:
    """What no wake can have made counts as not known."""
    is_known = isfinite(count) and isfinite(peak) and count >= 0 and peak >= 0
    return (count, peak) if is_known else None
