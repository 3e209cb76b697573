"""Connects to a Unix socket: once, or for ever with reconnection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from torpor_api.failures import Unavailable
from torpor_api.messages import Event, Message, Request
from torpor_channel.peer import Handlers, Peer
from torpor_channel.wire import LINE_BYTES_MAX

log = logging.getLogger(__name__)

ReplyT = TypeVar("ReplyT", bound=Message)

RECONNECT_SECONDS = 0.05
"""Between two attempts: a restarted component is found again before a person notices."""

CONNECT_SECONDS_MAX = 5.0


async def dial(path: Path, handlers: Handlers | None = None) -> Peer:
    """One connection. Raises Unavailable where nobody listens."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)
    except (OSError, TimeoutError) as error:
        raise Unavailable(f"nobody answers at {path}: {error or 'timeout'}") from None
    return Peer(reader, writer, handlers or {})


@contextlib.asynccontextmanager
async def dialled(path: Path, handlers: Handlers | None = None) -> AsyncIterator[Peer]:
    """One connection for the length of a ``with`` block."""
    peer = await dial(path, handlers)
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
        self, path: Path, handlers: Handlers, greet: Callable[[Peer], Awaitable[None]]
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._greet = greet
        self._peer: Peer | None = None
        self._is_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

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
            raise Unavailable(f"nobody answers at {self._path}") from None
        return self._peer

    async def _keep_connected(self) -> None:
        while True:
            try:
                await self._connect_once()
            except Exception as error:
                log.debug("link_down", extra={"path": str(self._path), "reason": str(error)})
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _connect_once(self) -> None:
        async with dialled(self._path, self._handlers) as peer:
            await self._greet(peer)
            self._peer = peer
            self._is_up.set()
            try:
                await peer.closed.wait()
            finally:
                self._peer = None
                self._is_up.clear()
