"""What client and server owe each other: safe points, computed from message headers alone.

Both directions of a session's bytes pass through an :class:`Exchange` as they are forwarded. It
walks from header to header and keeps one byte per promise that is still open, so that the question
"may this session be parked now?" has an exact answer, and the fast path builds no object per
message. When in doubt the answer is no.

The promises, in the order in which the server will answer them:

====  ==================================================================================
``Q``  a simple query; answered by one ReadyForQuery
``S``  a Sync; answered by one ReadyForQuery
``F``  a function call; answered by one ReadyForQuery
``x``  extended-query messages without their Sync so far
``c``  CopyDone or CopyFail; ends the copy of the promise before it
====  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

MESSAGE_BYTES_MAX = 1 << 30
"""Postgres's own bound (``PQ_LARGE_MESSAGE_LIMIT`` is 1 GiB - 2): a longer one is garbage."""

INSPECTED_BYTES_MAX = 64 << 10
"""A message that has to be read whole (an unnamed Parse, a setting's report) is kept up to here."""

_head = Struct(">BI").unpack_from

_QUERY, _SYNC, _CALL, _EXTENDED, _COPY_END = b"QSFxc"
_TERMINATE, _COPY_DATA, _COPY_DONE, _COPY_FAIL, _PARSE = b"XdcfP"
_EXTENDED_KINDS = frozenset(b"PBDECH")
_CLIENT_KINDS = frozenset(b"QSFPBDECHXdcf")

_DATA_ROW, _READY, _ERROR, _COPY_IN, _COPY_BOTH, _PARAMETER = b"DZEGWS"
_PLAIN_SERVER_KINDS = frozenset(b"TC123ntsINHdcAVKR")

IDLE, IN_TRANSACTION = b"IT"
"""ReadyForQuery's states; the third, ``E``, is a failed transaction."""


class Malformed(Exception):
    """The bytes are no messages of the protocol; the session is of no more use."""


def is_message_head(data: bytes | bytearray) -> bool:
    """Whether a client's message can begin with these bytes, five at least."""
    kind, length = _head(data)
    return kind in _CLIENT_KINDS and 4 <= length <= MESSAGE_BYTES_MAX


class Exchange:
    """The state of one session's message streams."""

    __slots__ = (
        "_client_left",
        "_client_part",
        "_promises",
        "_server_left",
        "_server_part",
        "_skips_to_sync",
        "has_failed",
        "in_copy",
        "is_terminated",
        "is_unclear",
        "queries",
        "status",
        "unnamed",
    )

    def __init__(self) -> None:
        self.status = IDLE
        """Of the last ReadyForQuery."""
        self.queries = 0
        """ReadyForQuery messages seen: one for each query or pipeline."""
        self.in_copy = False
        self.is_terminated = False
        """The client said Terminate: what it sent before is still to be answered."""
        self.unnamed: bytes | None = None
        """The whole last unnamed Parse that no simple query has superseded.

        b"" where it was too long to be kept.
        """
        self.has_failed = False
        """An ErrorResponse came after the last ReadyForQuery."""
        self._promises = b""
        self.is_unclear = False
        """Which answer belongs to which question can't be told any more: never parked again."""
        self._skips_to_sync = False
        self._client_left = 0
        self._client_part = b""
        self._server_left = 0
        self._server_part = b""

    @property
    def is_safe(self) -> bool:
        """Whether the session could be parked here, as far as the streams tell."""
        return (
            self.status == IDLE
            and not self._promises
            and not self.in_copy
            and not self._client_left
            and not self._client_part
            and not self._server_left
            and not self._server_part
            and not self.is_terminated
            and not self.is_unclear
        )

    @property
    def is_idle(self) -> bool:
        """Whether the server owes nothing, be it inside a transaction."""
        return not self._promises and not self.in_copy and not self._client_part

    @property
    def is_over(self) -> bool:
        """Whether nobody is surprised by the server hanging up now."""
        return self.is_terminated or self.has_failed

    @property
    def is_between_server_messages(self) -> bool:
        """Whether a message of the proxy's own may be put into the stream to the client."""
        return not self._server_left and not self._server_part

    # --- client to server -------------------------------------------------------------

    def client_sent(self, data: bytes | bytearray | memoryview, size: int) -> bool:
        """Walk ``size`` bytes of ``data``; whether a text of SQL began or went on in them.

        Raises Malformed for an unknown kind or an impossible length.
        """
        if self._client_part:
            data = self._client_part + bytes(data[:size])
            size = len(data)
            self._client_part = b""
        position, self._client_left = self._client_left, 0
        has_sql = position > 0 and not self.in_copy
        while position < size:
            if size - position < 5:
                self._client_part = bytes(data[position:size])
                return has_sql
            kind, length = _head(data, position)
            end = position + 1 + length
            if not 4 <= length <= MESSAGE_BYTES_MAX or kind not in _CLIENT_KINDS:
                raise Malformed(f"message type {kind:#04x} with length {length}")
            if kind == _QUERY:
                self._promise(_QUERY)
                self.unnamed = None
                has_sql = True
            elif kind in _EXTENDED_KINDS:
                if kind == _PARSE:
                    has_sql = True
                    if not self._keep_unnamed(data, position, end, size):
                        return True
                self._promise_extended()
            elif kind == _SYNC:
                self._sync()
            elif kind != _COPY_DATA:
                self._take_rare(kind)
            position = end
        self._client_left = position - size
        return has_sql

    def _promise(self, kind: int) -> None:
        if not self._skips_to_sync:
            self._promises += bytes((kind,))

    def _promise_extended(self) -> None:
        promises = self._promises
        if not self._skips_to_sync and (not promises or promises[-1] != _EXTENDED):
            self._promises = promises + b"x"

    def _sync(self) -> None:
        if self.in_copy:
            return  # The server passes over it while it copies in.
        self._skips_to_sync = False
        self._promises += b"S"

    def _take_rare(self, kind: int) -> None:
        if kind == _CALL:
            self._promise(_CALL)
        elif kind == _TERMINATE:
            self.is_terminated = True
        elif self.in_copy:
            self.in_copy = False
        elif self._promises:
            self._promises += b"c"

    def _keep_unnamed(
        self, data: bytes | bytearray | memoryview, start: int, end: int, size: int
    ) -> bool:
        """Remember an unnamed Parse; False where it has to be waited for."""
        if size - start > 5 and data[start + 5] != 0:
            return True
        if end - start > INSPECTED_BYTES_MAX:
            self.unnamed = b""
            return True
        if end > size:
            self._client_part = bytes(data[start:size])
            return False
        self.unnamed = bytes(data[start:end])
        return True

    # --- server to client -------------------------------------------------------------

    def server_sent(
        self,
        data: bytes | bytearray | memoryview,
        size: int,
        on_parameter: Callable[[bytes], None] | None = None,
    ) -> bool:
        """Walk ``size`` bytes; whether a ReadyForQuery was among them.

        ``on_parameter`` is given each whole ParameterStatus.
        """
        if self._server_part:
            data = self._server_part + bytes(data[:size])
            size = len(data)
            self._server_part = b""
        position, self._server_left = self._server_left, 0
        was_ready = False
        while position < size:
            if size - position < 5:
                self._server_part = bytes(data[position:size])
                return was_ready
            kind, length = _head(data, position)
            if kind == _DATA_ROW or kind in _PLAIN_SERVER_KINDS:
                position += 1 + length
                continue
            end = position + 1 + length
            if kind == _READY:
                if end > size:
                    self._server_part = bytes(data[position:size])
                    return was_ready
                self._ready(data[position + 5])
                was_ready = True
            elif kind == _ERROR:
                self._failed()
            elif kind == _COPY_IN:
                self._copy_in()
            elif kind == _PARAMETER and on_parameter is not None:
                if end > size:
                    self._server_part = bytes(data[position:size])
                    return was_ready
                on_parameter(bytes(data[position:end]))
            elif kind == _COPY_BOTH:
                self.in_copy = True
            position = end
        self._server_left = position - size
        return was_ready

    def _ready(self, status: int) -> None:
        self.status = status
        self.queries += 1
        promises = self._promises
        if len(promises) > 1:
            self._promises = promises.lstrip(b"xc")[1:].lstrip(b"c")
        else:
            self._promises = b""
        self.in_copy = False
        self.has_failed = False
        self._skips_to_sync = False

    def _failed(self) -> None:
        self.has_failed = True
        promises = self._promises.lstrip(b"c")
        self.in_copy = False
        if promises[:1] != b"x":
            return
        # In an extended sequence the server now skips everything up to the next Sync.
        sync = promises.find(b"S")
        skipped = promises[1:] if sync < 0 else promises[1:sync]
        if skipped.strip(b"c"):
            # A simple query without a Sync before it: was the error its own, or is it skipped?
            self.is_unclear = True
        self._promises = b"x" if sync < 0 else b"x" + promises[sync:]
        self._skips_to_sync = sync < 0

    def _copy_in(self) -> None:
        """The server now reads copy data and passes over each Sync before the copy's end."""
        end = self._promises.find(_COPY_END)
        if end < 0:
            self.in_copy = True
            self._promises = self._promises.replace(b"S", b"")
            return
        before, after = self._promises[:end], self._promises[end + 1 :]
        self._promises = before.replace(b"S", b"") + after
