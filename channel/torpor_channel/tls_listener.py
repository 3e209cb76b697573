"""A TCP listener that lets in components only, each by its certificate.

Handshakes are made here and not by the loop's own server: so each is made with the certificate that
is there by then, each failure has a line in the log that says why, and their number has a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from torpor_api.failures import Refused
from torpor_channel import tcp
from torpor_channel.address import TcpAddress
from torpor_channel.admission import Admission
from torpor_channel.tls import ALPN, HANDSHAKE_SECONDS_MAX, SHUTDOWN_SECONDS_MAX, common_name
from torpor_channel.wire import LINE_BYTES_MAX

log = logging.getLogger(__name__)

BACKLOG = 256

HANDSHAKES_MAX = 256
"""At a time. The newest may be anybody; beyond it the oldest, which has had its time, is ended."""

ACCEPT_RETRY_SECONDS = 0.5
"""When the kernel has no open file left for a newcomer."""

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]
"""Takes a connection and the common name of who made it, until it ends."""


class TlsListener:
    """``accept`` is called for each component that was let in."""

    def __init__(self, admission: Admission, accept: Accept) -> None:
        self._admission = admission
        self._accept = accept
        self._socket: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._opening: dict[asyncio.Task[None], None] = {}
        """Handshakes, in the order of their beginning."""
        self._open: set[asyncio.Task[None]] = set()
        """Everybody, until the end of its connection."""

    def listen(self, address: TcpAddress) -> None:
        """Raises Refused where the address can't be used."""
        is_v6 = ":" in address.host
        try:
            self._socket = socket.create_server(
                (address.host, address.port),
                family=socket.AF_INET6 if is_v6 else socket.AF_INET,
                backlog=BACKLOG,
                dualstack_ipv6=is_v6 and address.host == "::",
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise Refused(f"can't listen on {address}: {reason}") from None
        self._socket.setblocking(False)
        self._await_newcomers(self._socket)

    async def close(self) -> None:
        """No newcomers, and an end to handshakes. Whoever is in stays until hung up on."""
        if self._retry is not None:
            self._retry.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        tasks = list(self._opening)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ended(self) -> None:
        """Returns when everybody has gone."""
        await asyncio.gather(*self._open, return_exceptions=True)

    def _await_newcomers(self, listener: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(listener, self._take_newcomer, listener)

    def _take_newcomer(self, listener: socket.socket) -> None:
        """One in each turn of the loop: nobody else waits while newcomers stand in line.

        Not by ``loop.sock_accept``: who comes in the turn in which that is cancelled is accepted
        all the same, and then belongs to nobody.
        """
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError):
            return  # It has gone again.
        except OSError as error:
            log.error("accept_failed", extra={"reason": str(error)})
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            self._retry = loop.call_later(ACCEPT_RETRY_SECONDS, self._await_newcomers, listener)
            return
        connection.setblocking(False)
        if len(self._opening) >= HANDSHAKES_MAX:
            oldest = next(iter(self._opening))
            # Out of the way now: it ends later, and the next newcomer ends the next one.
            del self._opening[oldest]
            oldest.cancel()
        task = asyncio.create_task(self._serve(connection))
        self._opening[task] = None
        self._open.add(task)
        task.add_done_callback(partial(self._forget, connection))

    def _forget(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        self._opening.pop(task, None)
        self._open.discard(task)
        if task.cancelled():
            connection.close()  # It may have been ended before its first step.

    async def _serve(self, connection: socket.socket) -> None:
        client = _shown(connection)
        opened = await self._shake_hands(connection, client)
        task = asyncio.current_task()
        assert task is not None
        self._opening.pop(task, None)
        if opened is None:
            return
        reader, writer = opened
        name = common_name(writer.get_extra_info("peercert"))
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != ALPN:
            _refused(client, f"{name!r} does not speak {ALPN}: see to which port it was sent")
        elif name not in self._admission.rights:
            _refused(client, f"the certificate is {name!r}'s, who has no business here")
        else:
            await self._accept(reader, writer, name)
            return
        writer.transport.abort()

    async def _shake_hands(
        self, connection: socket.socket, client: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            tcp.watch(connection)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._admission.identity.for_server(),
                ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS_MAX,
            )
        except (OSError, TimeoutError) as error:
            _refused(client, str(error) or type(error).__name__)
            connection.close()
            return None
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _refused(client: str, reason: str) -> None:
    log.warning("stranger_refused", extra={"client": client, "reason": reason})


def _shown(connection: socket.socket) -> str:
    with contextlib.suppress(OSError):
        host, port, *_ = connection.getpeername()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "unknown"
