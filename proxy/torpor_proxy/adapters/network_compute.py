"""Connections to a compute on a network: TLS, by certificates that both sides know.

The proxy shows its own, by which the Postgres lets it in as whoever it says. It accepts one
certificate and no other: the one whose hash the compute's agent has told. Before that is seen to be
so, nothing is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import ssl

from torpor_api.messages import ComputeAddress
from torpor_channel import tcp
from torpor_channel.tls import Identity
from torpor_proxy.adapters.compute import CANCEL_SECONDS_MAX
from torpor_proxy.adapters.server_stream import TlsServerStream
from torpor_proxy.adapters.streams import PlainStream
from torpor_proxy.core import wire
from torpor_proxy.core.startup import ALPN, SSL_REQUEST
from torpor_proxy.ports import BackendLost, HandshakeFailed, Nobody

log = logging.getLogger(__name__)

CONNECT_SECONDS_MAX = 5.0
"""For TCP and TLS together; within one network they take some milliseconds."""


class NetworkComputes:
    """Computes anywhere: each at a host and a port."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._known = identity.for_client()
        self._context = _context_of(identity)

    async def dial(self, address: ComputeAddress) -> TlsServerStream:
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                return await self._dial(address)
        except (OSError, TimeoutError, HandshakeFailed) as error:
            reason = str(error) or "no answer in time"
            raise BackendLost(f"nobody answers at {_shown(address)}: {reason}") from None

    async def cancel(self, address: ComputeAddress, process_id: int, secret: bytes) -> None:
        with contextlib.suppress(TimeoutError, BackendLost):
            async with asyncio.timeout(CANCEL_SECONDS_MAX):
                stream = await self.dial(address)
                gone = asyncio.Event()
                stream.when_gone(gone.set)
                try:
                    stream.sink = _HangsUp(stream)
                    stream.write(wire.cancel_request(process_id, secret))
                    # The server hangs up when it has sent the signal.
                    await gone.wait()
                finally:
                    stream.abort()

    async def _dial(self, address: ComputeAddress) -> TlsServerStream:
        loop = asyncio.get_running_loop()
        assert address.host is not None, "computes on a network have a host"
        transport, plain = await loop.create_connection(PlainStream, address.host, address.port)
        try:
            tcp.watch(transport.get_extra_info("socket"))
            if not address.direct_tls:
                await _ask_for_tls(plain)
            stream = TlsServerStream(self._present_context())
            await stream.take_over(plain, b"")
            _refuse_strangers(stream, address)
        except BaseException:
            transport.abort()
            raise
        return stream

    def _present_context(self) -> ssl.SSLContext:
        present = self._identity.for_client()
        if present is not self._known:  # The files have changed.
            self._known, self._context = present, _context_of(self._identity)
        return self._context


class _HangsUp(Nobody):
    """Answers the server's end with its own."""

    def __init__(self, stream: TlsServerStream) -> None:
        self._stream = stream

    def ended(self) -> None:
        self._stream.close()


class _Answer(Nobody):
    """To SSLRequest: one letter, and nothing that somebody has put behind it."""

    def __init__(self, plain: PlainStream) -> None:
        self.is_there: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._plain = plain

    def received(self, data: bytes) -> None:
        self._plain.pause()  # What comes next is for TLS.
        if not self.is_there.done():
            self.is_there.set_result(data)

    def ended(self) -> None:
        if not self.is_there.done():
            self.is_there.set_exception(ConnectionError("it hung up"))

    def lost(self) -> None:
        self.ended()


async def _ask_for_tls(plain: PlainStream) -> None:
    plain.sink = answer = _Answer(plain)
    plain.write(SSL_REQUEST)
    if (said := await answer.is_there) != wire.SSL_ACCEPTED:
        raise ConnectionError(f"it does not accept TLS: {said[:20]!r}")


def _refuse_strangers(stream: TlsServerStream, address: ComputeAddress) -> None:
    """Raises BackendLost where it is not the compute's own Postgres that listens."""
    found = stream.certificate_sha256
    if hmac.compare_digest(found, address.certificate_sha256):
        return
    fields = {
        "compute": address.compute,
        "address": _shown(address),
        "found": found,
        "expected": address.certificate_sha256,
    }
    log.error("stranger_at_compute", extra=fields)
    raise BackendLost(f"at {_shown(address)} listens somebody with another certificate")


def _context_of(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # It is compared as a whole, once it is there.
    identity.show(context)
    context.set_alpn_protocols([ALPN])
    return context


def _shown(address: ComputeAddress) -> str:
    return f"{address.host}:{address.port}"
