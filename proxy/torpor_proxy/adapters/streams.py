"""Connections as streams: the bytes as they are on the wire."""

from __future__ import annotations

import asyncio
from typing import cast

from torpor_proxy.ports import NOBODY, Sink

WRITE_BUFFER_BYTES_MAX = 256 << 10
"""Waiting for a slow reader before its writer is held up; one more read may come on top."""

LINGER_SECONDS_MAX = 5.0
"""For a reader to take the last words before it is hung up on."""


class PlainStream(asyncio.Protocol):
    """Bytes as they are on the wire."""

    __slots__ = ("_is_paused", "_transport", "sink")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._is_paused = False
        self.sink: Sink = NOBODY

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None, "not connected yet"
        return self._transport

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    # --- as a stream ------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def write_eof(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def pause(self) -> None:
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.close()
        if transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(LINGER_SECONDS_MAX, self.abort)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- as asyncio's protocol --------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)

    def data_received(self, data: bytes) -> None:
        self.sink.received(data)

    def eof_received(self) -> bool:
        self.sink.ended()
        return True

    def pause_writing(self) -> None:
        self.sink.writable(False)

    def resume_writing(self) -> None:
        self.sink.writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        sink, self.sink = self.sink, NOBODY
        sink.lost()
