"""Browsers' connections: bounded, and so that no stranger keeps those out who are known.

Whoever reaches the port may open connections and say nothing. So where there are too many of them
the next one is taken all the same, and the one goes that has been there for longest without having
shown a cookie of ours.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 128
"""Four of each viewer: a file is open for each, and agents need theirs."""

IDLE_S_MAX = 620.0
"""Without a request, or until a whole one has come. Longer than routers keep a connection for use
again, which is ten minutes at most: else one sends a request into its end, and answers 502."""


class Connections:
    """Of one server."""

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._strangers: dict[Connection, None] = {}
        """Who has been there for longest comes first."""
        self._known: set[Connection] = set()

    def accept(self) -> asyncio.BaseProtocol:
        """For one more."""
        count = len(self._strangers) + len(self._known)
        if count >= CONNECTIONS_MAX and not self._make_room():
            return _HangUp()
        made = Connection(self, self._server)
        self._strangers[made] = None
        return made

    def has_shown_a_cookie(self, connection: Connection) -> None:
        if connection in self._strangers:
            del self._strangers[connection]
            self._known.add(connection)

    def lost(self, connection: Connection) -> None:
        self._strangers.pop(connection, None)
        self._known.discard(connection)

    def _make_room(self) -> bool:
        for stranger in self._strangers:
            if isinstance(stranger.transport, asyncio.Transport):
                del self._strangers[stranger]
                stranger.transport.abort()
                return True
        return False


class Connection(web.RequestHandler):
    """One browser's, or a stranger's. What is sent compressed is not unpacked for anybody."""

    __slots__ = ("_connections",)

    def __init__(self, connections: Connections, server: web.Server) -> None:
        options: dict[str, Any] = {"access_log": None, "keepalive_timeout": IDLE_S_MAX}
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, auto_decompress=False, **options)
        self._connections = connections

    def has_shown_a_cookie(self) -> None:
        """One that is good: so it makes room for nobody."""
        self._connections.has_shown_a_cookie(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.lost(self)
        super().connection_lost(exc)

    def log_exception(self, *args: Any, **words: Any) -> None:
        # Defects of ours are told where requests are answered. Here it is what came that is no
        # request: whoever reaches the port may send as much of it as he likes.
        reason = type(words.get("exc_info")).__name__
        log.debug("dashboard_bad_request", extra={"reason": reason})


class _HangUp(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
