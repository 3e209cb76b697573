"""Connections of the proxy's streams, with the other side by the standard library, and sinks."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torpor_cli.local import tls
from torpor_proxy.adapters.certificate import Certificate
from torpor_proxy.adapters.streams import PlainStream
from torpor_proxy.adapters.tls import TlsStream
from torpor_proxy.ports import Stream

ANSWER_S_MAX = 20.0

KERNEL_BYTES = 64 << 10
"""Asked of the kernel for each socket's buffers, so that little fits between the two sides."""


@dataclass(slots=True)
class Other:
    """The other side of a stream."""

    socket: socket.socket
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hear(self, size: int) -> bytes:
        async with asyncio.timeout(ANSWER_S_MAX):
            return await self.reader.readexactly(size)

    async def hear_all(self) -> bytes:
        async with asyncio.timeout(ANSWER_S_MAX):
            return await self.reader.read()

    async def say(self, pieces: Iterable[bytes]) -> None:
        async with asyncio.timeout(ANSWER_S_MAX):
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()

    def end(self) -> None:
        """Say that nothing more comes; in TLS this is the first half of closing."""
        if self.writer.can_write_eof():
            self.writer.write_eof()
        else:
            self.writer.close()

    async def reset(self) -> None:
        """Hang up in the way that makes the kernel forget what was sent."""
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await self.hang_up()

    async def hang_up(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(ANSWER_S_MAX):
                await self.writer.wait_closed()


Both = tuple[Stream, Other]
"""A stream and its other side."""


async def over_tcp(_: Path) -> Both:
    ours, theirs = small_sockets()
    return await plain_stream(ours), Other(theirs, *await asyncio.open_connection(sock=theirs))


async def over_unix(_: Path) -> Both:
    ours, theirs = small_sockets(is_unix=True)
    return await plain_stream(ours), Other(theirs, *await asyncio.open_unix_connection(sock=theirs))


async def over_tls(folder: Path) -> Both:
    """The folder is for its certificate."""
    made = tls.ensure(folder, "localhost", dt.datetime.now(dt.UTC))
    ours, theirs = small_sockets()
    below = await plain_stream(ours)
    below.pause()
    stream = Certificate(made.certificate, made.key).new_stream()
    context = ssl.create_default_context(cafile=str(made.ca))
    async with asyncio.timeout(ANSWER_S_MAX):
        opened, _ = await asyncio.gather(
            asyncio.open_connection(sock=theirs, ssl=context, server_hostname="localhost"),
            stream.take_over(below, b""),
        )
    return stream, Other(theirs, *opened)


async def over_tls_as_client(folder: Path) -> Both:
    """As to a Postgres. The folder is for its certificate."""
    made = tls.ensure(folder, "localhost", dt.datetime.now(dt.UTC))
    ours, theirs = small_sockets()
    below = await plain_stream(ours)
    below.pause()
    context = ssl.create_default_context(cafile=str(made.ca))
    context.check_hostname = False
    stream = TlsStream(context, server_side=False)
    async with asyncio.timeout(ANSWER_S_MAX):
        opened, _ = await asyncio.gather(_accepted(theirs, made), stream.take_over(below, b""))
    return stream, Other(theirs, *opened)


async def _accepted(
    theirs: socket.socket, files: tls.Certificates
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, theirs, ssl=context)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _tcp_sockets() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dialled = socket.create_connection(listening.getsockname())
        return listening.accept()[0], dialled


def small_sockets(*, is_unix: bool = False) -> tuple[socket.socket, socket.socket]:
    """Two that are connected, with little room in the kernel between them."""
    both = socket.socketpair() if is_unix else _tcp_sockets()
    for each in both:
        each.setblocking(False)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
    return both


async def plain_stream(ours: socket.socket) -> PlainStream:
    loop = asyncio.get_running_loop()
    return (await loop.connect_accepted_socket(PlainStream, ours))[1]


class Recorder:
    """A sink that remembers what it is told, several buffers in a row as one call."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.calls: list[str] = []

    def received(self, data: bytes) -> None:
        assert data
        self.data += data
        if self.calls[-1:] != ["received"]:
            self.calls.append("received")

    def ended(self) -> None:
        self.calls.append("ended")

    def lost(self) -> None:
        self.calls.append("lost")

    def writable(self, may_write: bool) -> None:
        self.calls.append("writable" if may_write else "full")


class OneBuffer(Recorder):
    """Takes one buffer and makes way for the next of its kind."""

    def __init__(self, stream: Stream, all_of_them: list[OneBuffer]) -> None:
        super().__init__()
        self._stream = stream
        self._all = all_of_them
        self._all.append(self)
        stream.sink = self

    def received(self, data: bytes) -> None:
        assert not self.data
        super().received(data)
        OneBuffer(self._stream, self._all)


class Hesitant(Recorder):
    """Takes one buffer, pauses, and goes on a little later."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self._is_paused = False

    def received(self, data: bytes) -> None:
        assert not self._is_paused
        super().received(data)
        self._is_paused = True
        self._stream.pause()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_paused = False
        self._stream.resume()
