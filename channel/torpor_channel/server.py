"""Listens on a Unix socket that only its owner may open, or on a network for components only."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from torpor_api.failures import InvalidRequest
from torpor_channel.address import Address, TcpAddress
from torpor_channel.admission import Admission, handlers_for
from torpor_channel.peer import Handlers, Peer
from torpor_channel.tls_listener import TlsListener
from torpor_channel.wire import LINE_BYTES_MAX


class Server:
    """Peers come and go; ``close`` ends them all."""

    def __init__(self, handlers: Handlers, admission: Admission | None = None) -> None:
        """``admission``: who may ask what over a network; without it there is none."""
        self._handlers = handlers
        self._admission = admission
        self._peers: set[Peer] = set()
        self._listener: asyncio.Server | None = None
        self._tls_listener: TlsListener | None = None
        self._path: Path | None = None

    @property
    def peers(self) -> frozenset[Peer]:
        """The connections that are open now."""
        return frozenset(self._peers)

    async def listen(self, address: Address) -> None:
        """Take over a path, mode 0600, whatever a killed process left there; or take a port.

        Raises Refused where the port can't be had, InvalidRequest for one without an admission.
        """
        if isinstance(address, TcpAddress):
            self._listen_on_network(address)
        else:
            await self._listen_on_path(address)

    async def close(self) -> None:
        """Stop listening, hang up on everybody, remove the socket."""
        if self._listener is not None:
            self._listener.close()
        if self._tls_listener is not None:
            await self._tls_listener.close()
        await asyncio.gather(*(peer.close() for peer in self._peers))
        if self._tls_listener is not None:
            await self._tls_listener.ended()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _listen_on_path(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._listener = await asyncio.start_unix_server(
                self._accept, path, limit=LINE_BYTES_MAX, backlog=256
            )
        finally:
            os.umask(mask)
        self._path = path

    def _listen_on_network(self, address: TcpAddress) -> None:
        if self._admission is None:
            raise InvalidRequest(f"{address} is on a network: give a folder of TLS files as well")
        rights = self._admission.rights
        by_name = {name: handlers_for(name, self._handlers, rights) for name in rights}

        async def accept(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
        ) -> None:
            await self._serve(Peer(reader, writer, by_name[name], name))

        self._tls_listener = TlsListener(self._admission, accept)
        self._tls_listener.listen(address)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(Peer(reader, writer, self._handlers))

    async def _serve(self, peer: Peer) -> None:
        self._peers.add(peer)
        try:
            await peer.closed.wait()
        finally:
            self._peers.discard(peer)
