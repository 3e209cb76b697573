"""Listens on a Unix socket that only its owner may open."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from torpor_channel.peer import Handlers, Peer
from torpor_channel.wire import LINE_BYTES_MAX


class Server:
    """Peers come and go; ``close`` ends them all."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._peers: set[Peer] = set()
        self._listener: asyncio.Server | None = None
        self._path: Path | None = None

    @property
    def peers(self) -> frozenset[Peer]:
        """The connections that are open now."""
        return frozenset(self._peers)

    async def listen(self, path: Path) -> None:
        """Take over ``path``, mode 0600. A file that a killed process left there is replaced."""
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._listener = await asyncio.start_unix_server(
                self._accept, path, limit=LINE_BYTES_MAX, backlog=256
            )
        finally:
            os.umask(mask)
        self._path = path

    async def close(self) -> None:
        """Stop listening, hang up on everybody, remove the socket."""
        if self._listener is not None:
            self._listener.close()
        await asyncio.gather(*(peer.close() for peer in self._peers))
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, self._handlers)
        self._peers.add(peer)
        try:
            await peer.closed.wait()
        finally:
            self._peers.discard(peer)
