"""A connection to a Postgres, which ends when the server ends it: plain, or over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl

from torpor_proxy.adapters.leaving import Leaving
from torpor_proxy.adapters.streams import PlainStream
from torpor_proxy.adapters.tls import TlsStream


class ServerStream(Leaving, PlainStream):
    """The bytes as they are on the wire."""

    def __init__(self) -> None:
        super().__init__()
        self._stay()

    def _say_goodbye(self, transport: asyncio.Transport) -> None:
        self.write_eof()
        self.resume()
        self.data_received = self._too_much
        transport.set_protocol(self)  # The loop may have kept the method of the sink before.

    def _too_much(self, data: bytes) -> None:
        self.abort()


class TlsServerStream(Leaving, TlsStream):
    """The client's side of TLS."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context, server_side=False)
        self._stay()

    @property
    def certificate_sha256(self) -> str:
        """Of the server's certificate, in hexadecimal. That it has the key the handshake proves."""
        return hashlib.sha256(self._ssl.getpeercert(binary_form=True) or b"").hexdigest()

    def data_received(self, data: bytes) -> None:
        if not self._is_leaving:
            super().data_received(data)
            return
        self._incoming.write(data)
        # Its own goodbye is an error for ``read``; TCP's end follows, and ends it.
        with contextlib.suppress(ssl.SSLError):
            if self._ssl.read(1):
                self.abort()

    def _say_goodbye(self, transport: asyncio.Transport) -> None:
        self.write_eof()
        self.resume()
