"""Listens for clients and opens each; those that have not logged in yet are bounded in number."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from functools import partial

from torpor_api.failures import Refused
from torpor_proxy.adapters.streams import PlainStream
from torpor_proxy.settings import Settings

log = logging.getLogger(__name__)

Open = Callable[[PlainStream, str], Coroutine[None, None, None]]
"""Takes the stream's bytes from the call on, not only once the coroutine runs."""

BACKLOG = 4096
"""Connections that the kernel keeps for us; 1,000 clients may come in the same instant."""

_KEEPALIVE_INTERVAL_SECONDS = 10
_KEEPALIVE_PROBES = 6


class Listener:
    """The proxy's public socket."""

    def __init__(self, settings: Settings, open_one: Open) -> None:
        self._settings = settings
        self._open_one = open_one
        self._server: asyncio.Server | None = None
        self._opening: dict[asyncio.Task[None], PlainStream] = {}
        """In the order of their arrival."""

    async def listen(self, host: str, port: int) -> None:
        """Raises Refused where the address can't be used."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                partial(_Accepted, self._accept), host, port, backlog=BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise Refused(f"can't listen on {host}:{port}: {error.strerror or error}") from None

    async def close(self) -> None:
        """No new connections, and an end to those that have not logged in."""
        if self._server is not None:
            self._server.close()
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self, stream: PlainStream) -> None:
        if len(self._opening) >= self._settings.opening_max:
            # The newest may be anybody; the oldest has had its time. It makes room at once: many
            # may be accepted before its task has its first turn. Hung up on, that ends by itself.
            oldest = next(iter(self._opening))
            self._opening.pop(oldest).abort()
        transport = stream.transport
        connection = transport.get_extra_info("socket")
        if connection is not None:
            _watch(connection, self._settings.tcp_keepalive_idle_s)
        client = _shown(transport.get_extra_info("peername"))
        opening = self._run(stream, client, self._open_one(stream, client))
        task = asyncio.get_running_loop().create_task(opening)
        self._opening[task] = stream
        task.add_done_callback(self._forget)

    async def _run(
        self, stream: PlainStream, client: str, opening: Coroutine[None, None, None]
    ) -> None:
        try:
            await opening
        except asyncio.CancelledError:
            stream.abort()
            raise
        except Exception:
            # A defect is that of one connection, and of no other.
            log.exception("opening_defect", extra={"client": client})
            stream.abort()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._opening.pop(task, None)


class _Accepted(PlainStream):
    """A stream that says when it is connected."""

    __slots__ = ("_accept",)

    def __init__(self, accept: Callable[[PlainStream], None]) -> None:
        super().__init__()
        self._accept: Callable[[PlainStream], None] | None = accept

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        accept, self._accept = self._accept, None
        if accept is not None:
            accept(self)


def _watch(connection: socket.socket, idle_s: int) -> None:
    """Let the kernel find clients that have vanished without a word."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _shown(name: object) -> str:
    """``address:port``, an IPv6 address in brackets."""
    if not isinstance(name, tuple):
        return "unknown:0"
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
