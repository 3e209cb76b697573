"""How a connection to a Postgres ends: the client says goodbye, and the server hangs up.

A Postgres hangs up when the backend has given everything back. Whoever connects anew before that
may be refused for want of room, or of a role's CONNECTION LIMIT.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable

from torpor_proxy.adapters.streams import Connection

LEAVE_SECONDS_MAX = 5.0
"""For a backend to end after its client has; it takes a few milliseconds."""


class Leaving(Connection):
    """Before another stream's class: its ``close`` waits until the server hangs up.

    Without slots, which two bases of one class can't both have.
    """

    def _stay(self) -> None:
        """For the constructor."""
        self._has_hung_up = False
        self._is_leaving = False
        self._impatience: asyncio.TimerHandle | None = None
        self._when_gone: Callable[[], None] | None = None

    @abc.abstractmethod
    def _say_goodbye(self, transport: asyncio.Transport) -> None:
        """Say that nothing more comes. Whatever the server still sends is for nobody: it was not
        idle, and notices its client's end only when it can't send any more."""

    def when_gone(self, call: Callable[[], None]) -> None:
        if self._transport is None:
            call()
        else:
            self._when_gone = call

    @property
    def is_open(self) -> bool:
        return not self._is_leaving and super().is_open

    def close(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._is_leaving:
            return
        self._is_leaving = True
        if self._has_hung_up:
            super().close()
            return
        self._say_goodbye(transport)
        loop = asyncio.get_running_loop()
        self._impatience = loop.call_later(LEAVE_SECONDS_MAX, self.abort)

    def eof_received(self) -> bool:
        self._has_hung_up = True
        if self._is_leaving:
            super().close()
            return True
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
        super().connection_lost(exc)
        gone, self._when_gone = self._when_gone, None
        if gone is not None:
            gone()
