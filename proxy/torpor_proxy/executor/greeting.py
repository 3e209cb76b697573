"""From the first byte of a connection to its startup packet, by whichever way the client takes."""

from __future__ import annotations

from torpor_proxy.core import startup, wire
from torpor_proxy.core.refusals import ProtocolViolation, Refused
from torpor_proxy.core.startup import (
    ALPN,
    CancelRequest,
    Garbage,
    GssEncRequest,
    SslRequest,
    Startup,
)
from torpor_proxy.executor.inbox import HungUp, Inbox
from torpor_proxy.ports import Encryption, HandshakeFailed, Stream

HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks the Postgres protocol, not HTTP. Connect with psql or a Postgres driver.\n"
)

REQUESTS_MAX = 2
"""One GSSENCRequest and one SSLRequest may come before the startup packet."""


class Greeting:
    """A client that says what it wants. ``stream`` changes when the client asks for TLS."""

    def __init__(self, stream: Stream, encryption: Encryption | None) -> None:
        self.stream = stream
        self.inbox = Inbox(stream)
        self.server_name: str | None = None
        self.end_point: bytes | None = None
        """What a login over TLS may be bound to."""
        self._encryption = encryption

    async def packet(self) -> Startup | CancelRequest:
        """What the client wants in the end. Raises Refused or HungUp."""
        if (await self.inbox.peek(1))[0] == startup.TLS_RECORD:
            await self._direct_tls()
        for _ in range(REQUESTS_MAX + 1):
            match await self._next_packet():
                case SslRequest():
                    await self._answer_ssl_request()
                case GssEncRequest():
                    self.stream.write(wire.REFUSED)
                case packet:
                    return packet
        raise _violation("too many requests for encryption")

    async def _next_packet(self) -> startup.Packet:
        first = await self.inbox.peek(4)
        if startup.is_http(first):
            self.stream.write(HTTP_ANSWER)
            raise HungUp("HTTP")
        try:
            return startup.parse_packet(await self.inbox.take(startup.packet_length(first)))
        except Garbage as garbage:
            raise _violation(garbage.words) from None

    async def _answer_ssl_request(self) -> None:
        if self.end_point is not None:
            raise _violation("SSLRequest inside of TLS")
        if len(self.inbox):
            # What comes behind the request in clear may come from somebody in between.
            raise _violation("received unencrypted data after SSL request")
        if self._encryption is None:
            self.stream.write(wire.REFUSED)
        else:
            self.stream.write(wire.SSL_ACCEPTED)
            await self._encrypt(self._encryption)

    async def _direct_tls(self) -> None:
        if self._encryption is None:
            raise _violation("direct TLS was asked for and there is no certificate")
        if await self._encrypt(self._encryption) != ALPN:
            raise _violation(
                "received direct SSL connection request without ALPN protocol negotiation extension"
            )

    async def _encrypt(self, encryption: Encryption) -> str | None:
        """Whatever follows is encrypted; the application protocol that was agreed on."""
        encrypted = encryption.new_stream()
        first_bytes, plain = self.inbox.take_all(), self.stream
        self.stream, self.inbox = encrypted, Inbox(encrypted)
        try:
            await encrypted.take_over(plain, first_bytes)
        except HandshakeFailed as failed:
            raise HungUp(f"TLS handshake: {failed}") from None
        self.end_point = encrypted.end_point
        self.server_name = encrypted.server_name
        return encrypted.application_protocol


def _violation(words: str) -> Refused:
    return Refused(ProtocolViolation(words))
