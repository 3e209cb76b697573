"""The client's side of a console session: its messages one by one, and answers at its own pace.

Both ways are bounded: what it sends beyond a message is held up by TCP, and whoever answers waits
while it does not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from torpor_proxy.core import wire
from torpor_proxy.core.refusals import IdleSessionTimeout, ProtocolViolation, Refused
from torpor_proxy.executor.inbox import HungUp
from torpor_proxy.ports import Stream

MESSAGE_BYTES_MAX = 64 << 10
"""Of one message: a hundred times the longest command."""

UNREAD_BYTES_MAX = MESSAGE_BYTES_MAX + wire.HEAD_BYTES
"""Kept of what the client sends ahead; a whole message always has room."""

CHUNK_BYTES = 16 << 10
"""Of answers that are written together."""


class Client:
    """The sink of its stream."""

    def __init__(self, stream: Stream, idle_s: float, lost: Callable[[], object]) -> None:
        """``idle_s``: for its next message, and for it to read when enough is waiting."""
        self._stream = stream
        self._idle_s = idle_s
        self._lost = lost
        self._unread = bytearray()
        self._unsaid = bytearray()
        self._has_ended = False
        self._news = asyncio.Event()
        """Something came, or something may be written again."""
        stream.sink = self

    # --- what the session does ----------------------------------------------------------

    async def message(self) -> tuple[bytes, bytes]:
        """Its next one: kind and body. Raises HungUp; Refused for one that is none, and for none
        at all in time."""
        try:
            async with asyncio.timeout(self._idle_s):
                kind, length = self._head(await self._take(wire.HEAD_BYTES))
                return kind, await self._take(length)
        except TimeoutError:
            raise Refused(IdleSessionTimeout()) from None

    def add(self, data: bytes) -> None:
        """With what is said next."""
        self._unsaid += data

    async def say(self, data: bytes) -> None:
        """Soon; in order."""
        self.add(data)
        if len(self._unsaid) >= CHUNK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Now; waits while too much is unread. Raises HungUp where it stays so."""
        self.flush_last()
        # However fast it reads: in between every other client of the proxy has a turn.
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._idle_s):
                while self._stream.is_full:
                    await self._wait()
        except TimeoutError:
            raise HungUp("its client does not read") from None

    def flush_last(self) -> None:
        """Without waiting: nothing more will be said."""
        if self._unsaid:
            self._stream.write(bytes(self._unsaid))
            self._unsaid.clear()

    def close(self) -> None:
        self.flush_last()
        self._stream.close()

    def abort(self) -> None:
        self._stream.abort()

    # --- as a sink ----------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        self._unread += data
        if len(self._unread) > UNREAD_BYTES_MAX:
            self._stream.pause()
        self._news.set()

    def ended(self) -> None:
        self._has_ended = True
        self._news.set()

    def lost(self) -> None:
        self._has_ended = True
        self._news.set()
        self._lost()

    def writable(self, may_write: bool) -> None:
        if may_write:
            self._news.set()

    # --- reading ------------------------------------------------------------------------

    @staticmethod
    def _head(head: bytes) -> tuple[bytes, int]:
        kind, length = head[:1], int.from_bytes(head[1:], "big") - 4
        if fault := _fault_of(head, length):
            raise Refused(ProtocolViolation(fault))
        return kind, length

    async def _take(self, size: int) -> bytes:
        while len(self._unread) < size:
            if self._has_ended:
                raise HungUp
            await self._wait()
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        if len(self._unread) <= UNREAD_BYTES_MAX:
            self._stream.resume()
        return taken

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()


def _fault_of(head: bytes, length: int) -> str:
    """Why no message begins so, or none that is taken; nothing: one does."""
    if not wire.is_message_head(head):
        return f"invalid frontend message type {head[0]}"
    if length > MESSAGE_BYTES_MAX:
        return f"a message of {length} bytes: the console takes at most {MESSAGE_BYTES_MAX}"
    return ""
