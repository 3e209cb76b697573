"""TLS driven by hand over a plain stream's connection.

asyncio's own TLS keeps 256 KiB of buffers for each connection; an ``SSLObject`` on two memory
buffers keeps under 20, which is what a proxy of thousands of idle sessions can afford.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import cast

from torpor_proxy.adapters.streams import Connection, PlainStream
from torpor_proxy.ports import HandshakeFailed, Stream

_READ_BYTES = 64 << 10


class NamedSslObject(ssl.SSLObject):
    """Remembers the server name that the client asked for, and which certificate it was shown."""

    server_name: str | None = None
    end_point: bytes = b""

    def show(self, context: ssl.SSLContext, end_point: bytes) -> None:
        """Another certificate than that of the context it was made with."""
        self.context, self.end_point = context, end_point


class TlsStream(Connection):
    """TLS over the connection of a plain stream."""

    __slots__ = (
        "_context",
        "_handshake",
        "_has_ended",
        "_has_said_end",
        "_incoming",
        "_outgoing",
        "_ssl",
    )

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool = True, end_point: bytes = b""
    ) -> None:
        super().__init__()
        self._context = context
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        made = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._ssl = cast(NamedSslObject, made)
        self._ssl.end_point = end_point
        self._handshake: asyncio.Future[None] | None = None
        self._has_ended = False
        self._has_said_end = False

    # --- as a stream ------------------------------------------------------------------

    @property
    def server_name(self) -> str | None:
        return self._ssl.server_name

    @property
    def end_point(self) -> bytes:
        return self._ssl.end_point

    @property
    def application_protocol(self) -> str | None:
        return self._ssl.selected_alpn_protocol()

    async def take_over(self, plain: Stream, first_bytes: bytes) -> None:
        assert isinstance(plain, PlainStream)
        if not plain.is_open:
            raise HandshakeFailed("the other side has hung up")
        transport = plain.transport
        self._handshake = asyncio.get_running_loop().create_future()
        transport.set_protocol(self)
        self.connection_made(transport)
        self.data_received(first_bytes)  # Also where there are none: a client speaks first.
        plain.resume()
        try:
            await self._handshake
        except (ssl.SSLError, ConnectionError) as error:
            raise HandshakeFailed(str(error)) from None
        finally:
            self._handshake = None

    def write(self, data: bytes) -> None:
        # After a close nothing can be encrypted any more, which must not abort what is being sent.
        if self.is_open and not self._has_said_end:
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[self._ssl.write(rest) :]
            except ssl.SSLError:
                self.abort()  # It can't be encrypted any more.
                return
            self._flush()

    def write_eof(self) -> None:
        if self._transport is None or self._transport.is_closing() or self._has_said_end:
            return
        self._say_end()
        try:
            self._transport.write_eof()
        except OSError:
            # The other side has reset the connection, which the loop is yet to notice.
            self._transport.abort()

    def _say_end(self) -> None:
        """In TLS's own words; what the other side still says is heard."""
        # OpenSSL looks at once for the other side's end, and takes anything else for an error.
        unread = self._incoming.read()
        with contextlib.suppress(ssl.SSLError):
            self._ssl.unwrap()
        self._incoming.write(unread)
        self._flush()
        self._has_said_end = True

    def resume(self) -> None:
        was_paused = self._is_paused
        super().resume()
        if was_paused and (self._incoming.pending or self._ssl.pending()):
            # What came before the pause, in the loop's next turn: no sink is called from within.
            asyncio.get_running_loop().call_soon(self.data_received, b"")

    def close(self) -> None:
        is_open = self._transport is not None and not self._transport.is_closing()
        if is_open and not self._has_said_end:
            # The other side's own last word is not waited for.
            self._say_end()
        super().close()

    # --- as asyncio's protocol --------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self._handshake is not None and not self._handshake.done():
                self._ssl.do_handshake()
                # Whatever was shown has served its end: a session must not keep it for its life.
                self._ssl.context = self._context
                self._handshake.set_result(None)
            self._read()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._broken(error)
        self._flush()

    def eof_received(self) -> bool:
        if self._handshake is not None and not self._handshake.done():
            return False
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(ConnectionError("hung up in the TLS handshake"))
        super().connection_lost(exc)

    def _read(self) -> None:
        """Raises SSLWantReadError where all that came is decrypted, as it mostly ends."""
        while self.is_open and not self._is_paused:
            data = self._ssl.read(_READ_BYTES)
            if not data:
                self._end()
                return
            self._sink.received(data)

    def _end(self) -> None:
        """TLS says it, and TCP says it again."""
        if not self._has_ended:
            self._has_ended = True
            self._sink.ended()

    def _broken(self, error: ssl.SSLError) -> None:
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(error)
        elif isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError):
            self._end()
        else:
            self.abort()

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None and not self._has_said_end:
            self._transport.write(self._outgoing.read())
