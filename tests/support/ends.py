"""Both ends of one connection of the control channel, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from torpor_channel.peer import Handlers, Peer
from torpor_channel.wire import LINE_BYTES_MAX

Raw = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Ends:
    """Makes connections; what it made is closed with it."""

    def __init__(self) -> None:
        self._peers: list[Peer] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(
        self, handlers: Handlers | None = None, *, limit: int = LINE_BYTES_MAX
    ) -> tuple[Peer, Raw]:
        """A peer, and the bare other end of its connection, to say anything on it."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=limit)
        raw = await asyncio.open_unix_connection(sock=theirs, limit=LINE_BYTES_MAX)
        self._writers.append(raw[1])
        return self.peer((reader, writer), handlers), raw

    async def pair(self, handlers: Handlers | None = None) -> tuple[Peer, Peer]:
        """Two peers that talk to each other; ``handlers`` are the first one's."""
        peer, raw = await self.connect(handlers)
        return peer, self.peer(raw)

    def peer(self, raw: Raw, handlers: Handlers | None = None) -> Peer:
        """A peer on a bare end."""
        self._peers.append(Peer(*raw, handlers or {}))
        return self._peers[-1]

    async def close(self) -> None:
        for peer in self._peers:
            await peer.close()
        for writer in self._writers:
            writer.close()


@contextlib.asynccontextmanager
async def ends_of_connections() -> AsyncIterator[Ends]:
    """For the length of a test."""
    ends = Ends()
    try:
        yield ends
    finally:
        await ends.close()
