"""Puts in what a broken statement's own Postgres would have said of it. Pure.

What stands in for it fails as it would, but with other words: see
:mod:`torpor_proxy.core.broken`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct

from torpor_proxy.core import wire
from torpor_proxy.core.broken import Broken, by_number, number_of
from torpor_proxy.core.wire import HEAD_BYTES

HELD_BYTES_MAX = 64 << 10
"""Of an ErrorResponse in parts; a longer one is not that of what stands in."""

_ERROR = ord("E")

_head = Struct(">BI").unpack_from


class ErrorFilter:
    """Walks the server's stream from a message's begin and replaces what would be wrong."""

    __slots__ = ("_broken", "_held", "_left")

    def __init__(self, broken: Callable[[], Mapping[bytes, Broken]]) -> None:
        self._broken = broken
        """The statements, by their names. Asked at each error."""
        self._held = b""
        self._left = 0
        """Of the message that is passing."""

    def take(self) -> bytes:
        """The begin of a message that nobody has heard of yet; it is not held any more."""
        held, self._held = self._held, b""
        return held

    def feed(self, data: bytes) -> bytes:
        """What the client shall hear now. Only an error, or the head of a message, waits."""
        data, self._held = self._held + data, b""
        position, self._left = self._left, 0
        passed, begin, size = [], 0, len(data)
        while position + HEAD_BYTES <= size:
            kind, length = _head(data, position)
            end = position + 1 + length
            if kind == _ERROR and length <= HELD_BYTES_MAX:
                if end > size:
                    break
                if (instead := self._instead(data[position + HEAD_BYTES : end])) is not None:
                    passed += [data[begin:position], wire.message(b"E", instead)]
                    begin = end
            position = end
        passed.append(data[begin:position])
        if position < size:
            self._held = data[position:]
        else:
            self._left = position - size
        return b"".join(passed)

    def _instead(self, body: bytes) -> bytes | None:
        number = number_of(body)
        return None if number is None else by_number(self._broken(), number)
