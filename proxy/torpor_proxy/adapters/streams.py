"""Connections as streams: the bytes as they are on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from torpor_proxy.ports import NOBODY, Sink

WRITE_BUFFER_BYTES_MAX = 256 << 10
"""Waiting for a slow reader before its writer is held up; one more read may come on top."""

LINGER_SECONDS_MAX = 5.0
"""For a reader to take the last words before it is hung up on."""


class Connection(asyncio.Protocol):
    """What plain and encrypted streams have in common: one transport and one sink."""

    __slots__ = ("_is_full", "_is_paused", "_sink", "_transport")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._is_paused = False
        self._is_full = False
        self._sink: Sink = NOBODY

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None, "not connected yet"
        return self._transport

    # --- as a stream ------------------------------------------------------------------

    @property
    def sink(self) -> Sink:
        return self._sink

    @sink.setter
    def sink(self, sink: Sink) -> None:
        self._sink = sink

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_full(self) -> bool:
        return self._is_full

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

    def eof_received(self) -> bool:
        self._sink.ended()
        return True

    def pause_writing(self) -> None:
        self._is_full = True
        self._sink.writable(False)

    def resume_writing(self) -> None:
        self._is_full = False
        self._sink.writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        sink, self.sink = self._sink, NOBODY
        sink.lost()


class PlainStream(Connection):
    """Nothing stands between the transport and the sink, not even a call.

    ``write`` is the transport's own, and ``data_received`` the sink's: with a hundred thousand
    buffers a second, each call in between is a twentieth of a processor.
    """

    __slots__ = ("data_received", "write")

    data_received: Callable[[bytes], None]  # type: ignore[assignment]
    write: Callable[[bytes], None]

    def __init__(self) -> None:
        super().__init__()
        self.write = _drop
        self.data_received = NOBODY.received

    @property
    def sink(self) -> Sink:
        return self._sink

    @sink.setter
    def sink(self, sink: Sink) -> None:
        self._sink = sink
        self.data_received = sink.received
        if self._transport is not None:
            # The loop may have kept the method of the sink before.
            self._transport.set_protocol(self)

    def write_eof(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self.write = _drop
            try:
                self._transport.write_eof()
            except OSError:
                # The other side has reset the connection, which the loop is yet to notice.
                self._transport.abort()

    def close(self) -> None:
        super().close()
        self.write = _drop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.write = self.transport.write

    def connection_lost(self, exc: Exception | None) -> None:
        self.write = _drop
        super().connection_lost(exc)


def _drop(data: bytes) -> None:
    """Written to nobody."""
