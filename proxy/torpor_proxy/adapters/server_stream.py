"""A connection to a Postgres, which ends when the server ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from torpor_proxy.adapters.streams import PlainStream

LEAVE_SECONDS_MAX = 5.0
"""For a backend to end after its client has; it takes a few milliseconds."""


class ServerStream(PlainStream):
    """``close`` says goodbye and waits until the server hangs up.

    A Postgres hangs up when the backend has given everything back. Whoever connects anew before
    that may be refused for want of room, or of a role's CONNECTION LIMIT.
    """

    __slots__ = ("_has_ended", "_impatience", "_is_leaving", "_when_gone")

    def __init__(self) -> None:
        super().__init__()
        self._has_ended = False
        self._is_leaving = False
        self._impatience: asyncio.TimerHandle | None = None
        self._when_gone: Callable[[], None] | None = None

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
        if self._has_ended:
            super().close()
            return
        self.write_eof()
        self.resume()
        self.data_received = self._too_much
        transport.set_protocol(self)  # The loop may have kept the method of the sink before.
        loop = asyncio.get_running_loop()
        self._impatience = loop.call_later(LEAVE_SECONDS_MAX, self.abort)

    def _too_much(self, data: bytes) -> None:
        """It was not idle: what it still sends is for nobody, and it notices when it can't."""
        self.abort()

    def eof_received(self) -> bool:
        self._has_ended = True
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
