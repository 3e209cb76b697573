"""Looks through what a client sends for names of custom settings. Pure.

The :class:`~torpor_proxy.core.exchange.Exchange` calls it for bytes in which there is SQL, after it
has walked them; whole messages as far as that is possible. Most texts are dismissed at once. Only
in a session that has a statement which takes a setting's name as its parameter it is called for
all bytes, since then each Bind may bring a name.
"""

from __future__ import annotations

from struct import Struct

from torpor_proxy.core.custom_settings import OVERLAP_BYTES, may_set
from torpor_proxy.core.exchange import INSPECTED_BYTES_MAX
from torpor_proxy.core.failover import may_outlast_a_rollback
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.core.wire import HEAD_BYTES

_head = Struct(">BI").unpack_from
_QUERY, _PARSE, _BIND, _CLOSE, _CALL = b"QPBCF"

_SET_CONFIG = (2078).to_bytes(4, "big")
"""The function's object id, the same in every release."""


class SqlWatch:
    """Of one attachment."""

    __slots__ = ("_kept", "_looked_at", "_tail", "inspects_binds")

    def __init__(self, kept: SessionState) -> None:
        self._kept = kept
        self._tail: bytes | None = None
        """Of a text that goes on in the next bytes: a word may stand on both sides."""
        self._looked_at = 0
        """Bytes of a message that comes again with more: a large one in small pieces would be
        searched again from its begin for each of them."""
        self.inspects_binds = bool(kept.custom.bound)
        """Whether it has to see everything from now on."""

    def walked(self, data: bytes, start: int, end: int, *, unnamed_is_older: bool) -> int:
        """The messages from ``start`` on were walked; before it an earlier one goes on.

        ``end``: where the last one ends, be it behind the data. ``unnamed_is_older``: than the last
        Parse of one, which has failed. Returns up to where it was looked at: a message that
        begins there is to come again with more of its bytes.
        """
        self._notice(data)
        if self._tail is not None:
            self._read(self._tail + data[:start], is_open=start > len(data))
        elif end <= len(data) and not self.inspects_binds and not _may_matter(data):
            return end
        while start < min(end, len(data)):
            kind, length = _head(data, start)
            message_end = start + 1 + length
            if not self._take(
                kind, data[start:message_end], 1 + length, unnamed_is_older=unnamed_is_older
            ):
                self._looked_at = len(data) - start
                return start
            start = message_end
        return end

    def _notice(self, data: bytes) -> None:
        """Words that make a difference wherever they stand."""
        if self._looked_at:
            data, self._looked_at = data[self._looked_at :], 0
        if self._tail is not None:
            data = self._tail + data
        if not self._kept.may_listen and (b"LISTEN" in data or b"listen" in data):
            self._kept.may_listen = True
        if self._kept.is_as_captured and may_outlast_a_rollback(data):
            self._kept.outlasts_rollback = True

    def _take(self, kind: int, message: bytes, length: int, *, unnamed_is_older: bool) -> bool:
        """A message, or the begin of it; False where more has to be seen."""
        custom = self._kept.custom
        is_whole = len(message) == length
        if kind == _QUERY or (kind == _PARSE and not is_whole):
            # The text alone: a length that ends in a letter's byte would run into its first word.
            self._read(message[HEAD_BYTES:], is_open=not is_whole)
        elif kind == _PARSE:
            self._kept.custom = custom.with_parse(message)
            self.inspects_binds = bool(self._kept.custom.bound)
        elif kind == _BIND and custom.bound:
            if len(message) < min(length, INSPECTED_BYTES_MAX):
                return False
            beginning = message[:INSPECTED_BYTES_MAX]
            self._kept.custom = custom.with_bind(beginning, unnamed_is_older=unnamed_is_older)
        elif kind == _CALL and message[HEAD_BYTES:].startswith(_SET_CONFIG):
            self._kept.custom = custom.with_call()
        elif kind == _CLOSE and is_whole and custom.bound:
            self._kept.custom = custom.with_close(message)
        return True

    def _read(self, text: bytes, *, is_open: bool) -> None:
        if may_set(text):
            self._kept.custom = self._kept.custom.with_those_of(text)
        self._tail = text[-OVERLAP_BYTES:] if is_open else None


def _may_matter(data: bytes) -> bool:
    return may_set(data) or _SET_CONFIG in data
