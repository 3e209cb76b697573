"""Clients that shake hands with a proxy's certificate, and what they see of it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

from support.connections import ANSWER_S_MAX
from torpor_proxy.adapters.certificate import Certificate
from torpor_proxy.adapters.streams import PlainStream
from torpor_proxy.adapters.tls import TlsStream


@dataclass(frozen=True, slots=True)
class Met:
    """After one handshake."""

    end_point: str
    """To what the proxy would bind a login, in hexadecimal."""
    sha256: str
    """Of the certificate that the client saw."""
    server_name: str | None
    """That the proxy heard."""
    application_protocol: str | None


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def met(
    certificate: Certificate, client: ssl.SSLContext | None = None, host: str | None = None
) -> Met:
    """One handshake; ``host`` is asked for, and verified where the client verifies."""
    async with meeting(certificate, client, host) as found:
        return found


@contextlib.asynccontextmanager
async def meeting(
    certificate: Certificate, client: ssl.SSLContext | None = None, host: str | None = None
) -> AsyncIterator[Met]:
    """The same, with the connection open for as long as the block lasts."""
    streams = list[TlsStream]()

    async def accept(plain: PlainStream) -> None:
        streams.append(certificate.new_stream())
        await streams[0].take_over(plain, b"")

    class Accepted(PlainStream):
        __slots__ = ()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            tasks.append(asyncio.create_task(accept(self)))

    tasks = list[asyncio.Task[None]]()
    server = await asyncio.get_running_loop().create_server(Accepted, "127.0.0.1", 0)
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            _, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(),
                ssl=client or trusting_anybody(),
                server_hostname=host or "",
            )
            found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            await asyncio.gather(*tasks)
        (stream,) = streams
        yield Met(
            stream.end_point.hex(),
            hashlib.sha256(found).hexdigest(),
            stream.server_name,
            stream.application_protocol,
        )
        writer.transport.abort()
    finally:
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in streams:
            each.abort()
        server.close()
        await server.wait_closed()
