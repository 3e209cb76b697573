"""Connects to a component: once, or for ever with reconnection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from torpor_api.failures import Failure, InvalidRequest, Unavailable
from torpor_api.messages import Event, Message, Request
from torpor_channel import tcp
from torpor_channel.address import Address, TcpAddress
from torpor_channel.peer import ConnectionLost, Handlers, NoAnswer, Peer
from torpor_channel.tls import ALPN, HANDSHAKE_SECONDS_MAX, SHUTDOWN_SECONDS_MAX, Trust
from torpor_channel.wire import LINE_BYTES_MAX

log = logging.getLogger(__name__)

ReplyT = TypeVar("ReplyT", bound=Message)

RECONNECT_SECONDS = 0.05
"""Between two attempts: a restarted component is found again before a person notices."""

RECONNECT_SECONDS_MAX = 2.0
"""Somebody answers, and it does not come to a greeting: the pause doubles up to this, and is
scattered, so that many who fail at one component do not come all at once."""

CONNECT_SECONDS_MAX = 5.0

PULSE_EVERY_SECONDS = 2.0
PULSE_SECONDS_MAX = 5.0
"""For an answer that takes a millisecond. A process that stands still keeps its connections, and of
a machine that has vanished the kernel knows after 20 s: so after 7 s somebody else may be found at
the address. One that merely stalls for so long is found again, and greeted."""


class NobodyAnswers(Unavailable):
    """There is no listener at the address, or no way to it."""


class NotTrusted(Unavailable):
    """Who listens there is another than the certificate should name, or speaks another protocol."""


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(
    address: Address, handlers: Handlers | None = None, trust: Trust | None = None
) -> Peer:
    """One connection; ``trust``: over a network. Raises NobodyAnswers, NotTrusted."""
    try:
        return await _dial(address, handlers, trust)
    except NotTrusted as failure:
        log.warning("stranger_answers", extra={"address": str(address), "reason": failure.message})
        raise


async def _dial(address: Address, handlers: Handlers | None, trust: Trust | None) -> Peer:
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            if isinstance(address, TcpAddress):
                reader, writer = await _over_network(address, trust)
            else:
                reader, writer = await asyncio.open_unix_connection(address, limit=LINE_BYTES_MAX)
    except ssl.SSLError as error:
        raise NotTrusted(f"{address} is not to be trusted: {error}") from None
    except (OSError, TimeoutError) as error:
        raise NobodyAnswers(f"nobody answers at {address}: {error or 'timeout'}") from None
    return Peer(reader, writer, handlers or {})


async def _over_network(address: TcpAddress, trust: Trust | None) -> Streams:
    if trust is None:
        raise InvalidRequest(f"{address} is on a network: give a folder of TLS files as well")
    reader, writer = await asyncio.open_connection(
        address.host,
        address.port,
        limit=LINE_BYTES_MAX,
        ssl=trust.identity.for_client(),
        server_hostname=trust.name,
        ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX,
        ssl_shutdown_timeout=SHUTDOWN_SECONDS_MAX,
    )
    try:
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != ALPN:
            raise ssl.SSLError(f"it does not speak {ALPN}")
        # Of a connection that was hung up on already the kernel knows no options any more.
        tcp.watch(writer.get_extra_info("socket"))
    except OSError:
        writer.transport.abort()
        raise
    return reader, writer


@contextlib.asynccontextmanager
async def dialled(
    address: Address, handlers: Handlers | None = None, trust: Trust | None = None
) -> AsyncIterator[Peer]:
    """One connection for the length of a ``with`` block."""
    peer = await dial(address, handlers, trust)
    try:
        yield peer
    finally:
        await peer.close()


class Link:
    """A connection that is made again whenever it is lost.

    ``greet`` runs first on every new connection (register, watch); until it has ended, nobody
    else may ask, so that no answer overtakes the state that greeting brings.
    """

    def __init__(
        self,
        address: Address,
        handlers: Handlers,
        greet: Callable[[Peer], Awaitable[None]],
        trust: Trust | None = None,
        pulse: Request[Any] | None = None,
    ) -> None:
        """``pulse``: a question that is asked now and then, to learn whether anybody answers."""
        self._address = address
        self._pulse = pulse
        self._trust = trust
        self._handlers = handlers
        self._greet = greet
        self._peer: Peer | None = None
        self._is_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pause_s = RECONNECT_SECONDS
        self._reason = ""
        """Why the last attempt failed."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def ready(self, *, timeout_s: float) -> None:
        """Wait for the first greeting to end. Raises Unavailable."""
        await self._up(timeout_s)

    async def ask(self, request: Request[ReplyT], *, timeout_s: float) -> ReplyT:
        """Ask over the connection, waiting for one if it is just being made again.

        Never sent twice: when it is lost after sending, this raises Unavailable.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        peer = await self._up(timeout_s)
        return await peer.ask(
            request, timeout_s=max(0.0, deadline - asyncio.get_running_loop().time())
        )

    def tell(self, event: Event) -> None:
        """Send and forget; dropped while there is no connection."""
        if self._peer is not None:
            self._peer.tell(event)

    async def _up(self, timeout_s: float) -> Peer:
        try:
            async with asyncio.timeout(timeout_s):
                while self._peer is None:
                    await self._is_up.wait()
        except TimeoutError:
            raise Unavailable(f"nobody answers at {self._address}") from None
        return self._peer

    async def _keep_connected(self) -> None:
        while True:
            try:
                await self._connect_once()
            except NobodyAnswers as failure:
                self._pause_s = RECONNECT_SECONDS
                self._failed(failure.message, is_expected=True)
            except Exception as error:
                self._pause_s = min(2 * self._pause_s, RECONNECT_SECONDS_MAX)
                self._failed(str(error), is_expected=False)
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))

    def _failed(self, reason: str, *, is_expected: bool) -> None:
        if reason != self._reason:
            level = logging.DEBUG if is_expected else logging.WARNING
            log.log(level, "link_down", extra={"address": str(self._address), "reason": reason})
        self._reason = reason

    async def _connect_once(self) -> None:
        peer = await _dial(self._address, self._handlers, self._trust)
        try:
            await self._greet(peer)
            self._pause_s, self._reason = RECONNECT_SECONDS, ""
            self._peer = peer
            self._is_up.set()
            while not await _is_over(peer):
                await self._feel_pulse(peer)
        finally:
            self._peer = None
            self._is_up.clear()
            await peer.close()

    async def _feel_pulse(self, peer: Peer) -> None:
        """Raises ConnectionLost and NoAnswer. Any other failure is an answer as well, or our own:
        who has too many questions open has heard of none of them that nobody listens."""
        if self._pulse is None:
            return
        try:
            await peer.ask(self._pulse, timeout_s=PULSE_SECONDS_MAX)
        except (ConnectionLost, NoAnswer):
            raise
        except Failure as failure:
            log.debug("pulse_refused", extra={"reason": failure.message})


async def _is_over(peer: Peer) -> bool:
    """Whether the connection has ended; else after :data:`PULSE_EVERY_SECONDS`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PULSE_EVERY_SECONDS):
            await peer.closed.wait()
    return peer.closed.is_set()
