"""Reads a client that has not logged in yet, never a byte more than was asked for."""

from __future__ import annotations

import asyncio

from torpor_proxy.ports import Stream

UNREAD_BYTES_MAX = 64 << 10
"""A client that sends more before it has logged in is held up by TCP."""


class HungUp(Exception):
    """The client has ended the connection."""


class Inbox:
    """The sink of a stream until its session exists."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._has_ended = False
        self._waiter: asyncio.Future[None] | None = None
        stream.sink = self

    @property
    def has_ended(self) -> bool:
        """Whether the client will send nothing more."""
        return self._has_ended

    def __len__(self) -> int:
        return len(self._buffer)

    async def peek(self, size: int) -> bytes:
        """The next bytes, which stay. Raises HungUp where there will not be as many."""
        while len(self._buffer) < size:
            if self._has_ended:
                raise HungUp
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return bytes(self._buffer[:size])

    async def take(self, size: int) -> bytes:
        """The next bytes. Raises HungUp where there will not be as many."""
        taken = await self.peek(size)
        del self._buffer[:size]
        self._stream.resume()
        return taken

    def take_all(self) -> bytes:
        """What has come so far."""
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken

    def received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > UNREAD_BYTES_MAX:
            self._stream.pause()
        self._wake()

    def ended(self) -> None:
        self._has_ended = True
        self._wake()

    def lost(self) -> None:
        self.ended()

    def writable(self, may_write: bool) -> None:
        pass  # What is said before the login is short.

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
