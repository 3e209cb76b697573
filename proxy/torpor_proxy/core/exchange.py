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
from typing import Protocol

from torpor_proxy.core.unnamed import Change, Sent, Unnamed
from torpor_proxy.core.wire import CLIENT_KINDS, HEAD_BYTES, MESSAGE_BYTES_MAX, Malformed

INSPECTED_BYTES_MAX = 64 << 10
"""A message that has to be read whole (a Parse, a setting's report) is kept up to here."""

_head = Struct(">BI").unpack_from

_QUERY, _SYNC, _CALL, _PARSE, _CLOSE, _TERMINATE, _COPY_DATA, _FLUSH = b"QSFPCXdH"
_BOUND_KINDS = frozenset(b"BDE")
"""With Parse and Close: the extended query protocol."""

_CLOSE_BYTES_READ = HEAD_BYTES + 2
"""What is closed, and the first byte of its name."""

_CALL_BYTES_READ = HEAD_BYTES + 4
"""Which function is called."""

_READY, _ERROR, _COPY_IN, _COPY_BOTH, _PARAMETER, _PARSED = b"ZEGWS1"
_PLAIN_SERVER_KINDS = frozenset(b"DTC123ntsINHdcAVKR")
_PLAIN_WHILE_PARSING = _PLAIN_SERVER_KINDS - {_PARSED}
_INSPECTED_KINDS = frozenset((_READY, _PARAMETER))
"""Of these the body is read, so they are waited for until they are whole."""

IDLE, IN_TRANSACTION = b"IT"
"""ReadyForQuery's states; the third, ``E``, is a failed transaction."""


class Watch(Protocol):
    """Looks at texts of SQL: :class:`torpor_proxy.core.sql_watch.SqlWatch`."""

    inspects_binds: bool

    def walked(self, data: bytes, start: int, end: int, *, unnamed_is_older: bool) -> int: ...


class Exchange:
    """The state of one session's message streams."""

    __slots__ = (
        "_client_left",
        "_client_part",
        "_has_passed_sync",
        "_server_left",
        "_server_part",
        "_skips_to_sync",
        "_unnamed",
        "has_failed",
        "has_moved",
        "in_copy",
        "is_terminated",
        "is_unclear",
        "promises",
        "queries",
        "status",
    )

    def __init__(self) -> None:
        self.status = IDLE
        """Of the last ReadyForQuery."""
        self.queries = 0
        """ReadyForQuery messages seen: one for each query or pipeline."""
        self.in_copy = False
        self.is_terminated = False
        """The client said Terminate: what it sent before is still to be answered."""
        self.has_failed = False
        """An ErrorResponse came after the last ReadyForQuery."""
        self.has_moved = False
        """Since the last capture something has ended, or a statement was named, that a loss of the
        server takes along."""
        self.promises = b""
        """What the server still owes, a letter each; see the table above."""
        self.is_unclear = False
        """Which answer belongs to which question can't be told any more: never parked again."""
        self._unnamed: Unnamed | None = None
        """None before the first Parse: who never sends one need not pay for it."""
        self._skips_to_sync = False
        self._has_passed_sync = False
        """A Sync was sent that the copy has passed over, or was not read before it failed."""
        self._client_left = 0
        self._client_part = b""
        self._server_left = 0
        self._server_part = b""

    @property
    def is_safe(self) -> bool:
        """Whether the session could be parked here, as far as the streams tell."""
        return (
            self.status == IDLE
            and not (self.promises or self.in_copy or self.is_terminated or self.is_unclear)
            and not (self._client_left or self._client_part)
            and not (self._server_left or self._server_part)
        )

    @property
    def is_idle(self) -> bool:
        """Whether the server owes nothing, be it inside a transaction."""
        return not self.promises and not self.in_copy and not self._client_part

    @property
    def in_flight(self) -> int:
        """Queries that the server has not answered, each with its ReadyForQuery."""
        return self._owed + (self.promises.rstrip(b"c")[-1:] == b"x")

    @property
    def _owed(self) -> int:
        """Of them those whose client has sent all that it takes."""
        return len(self.promises.translate(None, b"xc")) if self.promises else 0

    @property
    def is_over(self) -> bool:
        """Whether nobody is surprised by the server hanging up now."""
        return self.is_terminated or self.has_failed

    @property
    def is_within_client_message(self) -> bool:
        """Whether the client's last message has not come to its end."""
        return bool(self._client_left or self._client_part)

    @property
    def server_message_begins_after(self) -> int:
        """How many of the server's next bytes go on with its last message; in doubt: all."""
        return MESSAGE_BYTES_MAX if self._server_part else self._server_left

    @property
    def is_between_server_messages(self) -> bool:
        """Whether a message of the proxy's own may be put into the stream to the client."""
        return not self._server_left and not self._server_part

    @property
    def unnamed(self) -> bytes | None:
        """The whole Parse of the unnamed statement; None where there is surely none.

        b"" where its text is not known: it was too long to be kept. Exact at a safe point.
        """
        if self._unnamed is None:
            return None
        self._unnamed.settle(self.queries)
        return self._unnamed.candidate

    @property
    def unnamed_is_sure(self) -> bool:
        """False: an error has left open whether the statement exists; ask the server."""
        if self._unnamed is None:
            return True
        self._unnamed.settle(self.queries)
        return self._unnamed.is_sure

    def unnamed_found(self, *, exists: bool) -> None:
        """The server was asked for it, at a safe point."""
        if self._unnamed is not None:
            self._unnamed.found(exists=exists)

    def abandoned(self) -> None:
        """The server is gone, and its client was told: nothing is owed any more."""
        self.status = IDLE
        self.queries += 1
        self.promises = b""
        self.in_copy = self.has_failed = self._skips_to_sync = self._has_passed_sync = False
        self.unnamed_found(exists=False)

    # --- client to server -------------------------------------------------------------

    def client_sent(self, data: bytes, watch: Watch | None = None) -> list[int]:
        """Walk a buffer; where in it queries begin. ``watch`` is shown any SQL in it.

        Raises Malformed for an unknown kind or an impossible length.
        """
        begun: list[int] = []
        data, before = self._client_part + data, len(self._client_part)
        start = position = self._client_left
        has_sql = position > 0 and not self.in_copy
        size = len(data)
        last_head = size - HEAD_BYTES
        is_open = self.promises[-1:] == b"x"
        while position <= last_head:
            kind, length = _head(data, position)
            if not 4 <= length <= MESSAGE_BYTES_MAX:
                raise Malformed(f"message type {kind:#04x} with length {length}")
            if kind in _BOUND_KINDS:
                is_open = is_open or self._promise(b"x", begun, position)
            elif kind == _SYNC:
                self._sync(begun, None if is_open else position)
                is_open = is_open and self.in_copy
            elif kind == _PARSE:
                if not self._parse(data, position, position + 1 + length):
                    break
                has_sql = True
                is_open = is_open or self._promise(b"x", begun, position)
            elif kind == _QUERY:
                if self._unnamed is not None:
                    self._changes_unnamed(Change.DROP)
                if not self._skips_to_sync:  # As in _promise, but for the call.
                    self.promises += b"Q"
                    begun.append(position)
                is_open = is_open and self._skips_to_sync
                has_sql = True
            elif kind == _CLOSE:
                self.has_moved = True
                if self._unnamed is not None and not self._close(data, position, length):
                    break
                is_open = is_open or self._promise(b"x", begun, position)
            elif kind == _CALL and size - position < _CALL_BYTES_READ:
                break
            elif kind == _FLUSH:  # Promises nothing. One with a body is an error of its own.
                self.is_unclear |= length != 4
            elif kind != _COPY_DATA:
                has_sql = has_sql or kind == _CALL
                self._take_rare(kind, length, begun, position)
                is_open = self.promises[-1:] == b"x"
            position += 1 + length
        if watch is not None and (has_sql or watch.inspects_binds):
            is_older = self._unnamed is not None and self._unnamed.is_older
            position = watch.walked(data, start, position, unnamed_is_older=is_older)
        if position < size:
            self._client_part, self._client_left = data[position:], 0
        else:
            self._client_part, self._client_left = b"", position - size
        return [at - before for at in begun] if before else begun

    def _promise(self, kind: bytes, begun: list[int], position: int) -> bool:
        """Whether the server will answer: what it skips, it does not."""
        if not self._skips_to_sync:
            self.promises += kind
            begun.append(position)
        return not self._skips_to_sync

    def _sync(self, begun: list[int], position: int | None) -> None:
        """``position``: where nothing that it ends has come before it."""
        if self.in_copy:
            self._has_passed_sync = True  # The server passes over it while it copies in.
            return
        self._skips_to_sync = False
        self.promises += b"S"
        if position is not None:
            begun.append(position)

    def _take_rare(self, kind: int, length: int, begun: list[int], position: int) -> None:
        if kind not in CLIENT_KINDS:
            raise Malformed(f"message type {kind:#04x} with length {length}")
        if kind == _CALL:
            self._promise(b"F", begun, position)
        elif kind == _TERMINATE:
            self.is_terminated = True
        elif self.in_copy:
            self.in_copy = False
        elif self.promises:
            self.promises += b"c"

    def _parse(self, data: bytes, start: int, end: int) -> bool:
        """False where it has to be waited for."""
        is_long = end - start > INSPECTED_BYTES_MAX
        size = len(data)
        if end > size and not (is_long and size - start > HEAD_BYTES):
            return False
        if end - start > HEAD_BYTES and data[start + HEAD_BYTES] != 0:
            self.has_moved = True
            self._changes_unnamed(Change.NONE)
        else:
            self._changes_unnamed(b"" if is_long else data[start:end])
        return True

    def _close(self, data: bytes, start: int, length: int) -> bool:
        """False where it has to be waited for."""
        end = start + min(_CLOSE_BYTES_READ, 1 + length)
        if end > len(data):
            return False
        if data[start + HEAD_BYTES : end] == b"S\0":
            self._changes_unnamed(Change.DROP)
        return True

    def _changes_unnamed(self, what: Sent) -> None:
        """Once the server has executed it."""
        unnamed = self._unnamed
        if self._skips_to_sync:
            if unnamed is not None:
                unnamed.is_older |= not isinstance(what, Change)
            return
        if unnamed is None:
            unnamed = self._unnamed = Unnamed()
        unnamed.settle(self.queries)
        if what is Change.DROP and not unnamed.is_there:
            self._unnamed = None
            return
        unnamed.sent(self.queries + self._owed, what)  # ReadyForQuery before its answer.

    # --- server to client -------------------------------------------------------------

    def server_sent(
        self, data: bytes, on_parameter: Callable[[bytes], None] | None = None
    ) -> list[int]:
        """Walk a buffer; where in it each ReadyForQuery ends.

        ``on_parameter`` is given each whole ParameterStatus.
        """
        ended: list[int] = []
        data, before = self._server_part + data, len(self._server_part)
        position, self._server_left = self._server_left, 0
        size = len(data)
        last_head = size - HEAD_BYTES
        is_parsing = self._unnamed is not None and self._unnamed.open
        plain_kinds = _PLAIN_WHILE_PARSING if is_parsing else _PLAIN_SERVER_KINDS
        while position <= last_head:
            kind, length = _head(data, position)
            if kind in plain_kinds:
                position += 1 + length
                continue
            end = position + 1 + length
            if end > size and kind in _INSPECTED_KINDS:
                break
            if kind == _READY:
                self._ready(data[position + HEAD_BYTES])
                ended.append(end)
            elif kind == _PARSED:
                assert self._unnamed is not None
                self._unnamed.confirmed(self.queries)
            elif kind == _PARAMETER:
                if on_parameter is not None:
                    on_parameter(data[position:end])
            else:
                self._take_rare_answer(kind)
            position = end
        if position < size:
            self._server_part = data[position:]
        else:
            self._server_part, self._server_left = b"", position - size
        return [at - before for at in ended] if before else ended

    def _take_rare_answer(self, kind: int) -> None:
        if kind == _ERROR:
            self._failed()
        elif kind == _COPY_IN:
            self._copy_in()
        elif kind == _COPY_BOTH:
            self.in_copy = True

    def _ready(self, status: int) -> None:
        self.status = status
        self.queries += 1
        if status == IDLE:
            self.has_moved = True
        promises = self.promises
        self.promises = promises.lstrip(b"xc")[1:].lstrip(b"c") if len(promises) > 1 else b""
        self.in_copy = False
        self.has_failed = False
        self._skips_to_sync = False
        self._has_passed_sync = False

    def _failed(self) -> None:
        self.has_failed = True
        if self._unnamed is not None:
            self._unnamed.failed(self.queries)
        self.is_unclear |= self._has_passed_sync
        promises = self.promises.lstrip(b"c")
        self.in_copy = False
        if promises[:1] != b"x":
            return
        # In an extended sequence the server now skips everything up to the next Sync.
        sync = promises.find(b"S")
        skipped = promises[1:] if sync < 0 else promises[1:sync]
        if skipped.strip(b"c"):
            # A simple query without a Sync before it: was the error its own, or is it skipped?
            self.is_unclear = True
        self.promises = b"x" if sync < 0 else b"x" + promises[sync:]
        self._skips_to_sync = sync < 0

    def _copy_in(self) -> None:
        """The server now reads copy data and passes over each Sync before the copy's end."""
        before, end, after = self.promises.partition(b"c")
        self.in_copy = not end
        syncs = before.count(b"S")
        self.is_unclear |= before[:1] == b"x" and b"x" in after.partition(b"S")[0]  # Whose end?
        self._has_passed_sync = syncs > 0
        if self._unnamed is not None:
            self._unnamed.passed_over(self.queries, syncs)
        self.promises = before.replace(b"S", b"") + after
