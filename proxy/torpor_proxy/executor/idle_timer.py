"""The session's own ``idle_session_timeout``, kept by the proxy.

A sleeping database can't keep it, and each capture would restart the one of an awake server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic


class IdleTimer:
    """Of one session; runs from one capture to the client's next word."""

    __slots__ = ("_handle", "_timeout_s")

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None
        self._timeout_s = 0.0

    def start(self, idle_since: float, timeout_s: float, on_due: Callable[[], None]) -> None:
        """Call ``on_due`` when the timeout is over; 0: never. Ends what ran before."""
        self.stop()
        self._timeout_s = timeout_s
        if timeout_s:
            due_s = max(0.0, idle_since + timeout_s - monotonic())
            self._handle = asyncio.get_running_loop().call_later(due_s, on_due)

    def is_over(self, idle_since: float) -> bool:
        """Whether the session has been idle for so long that it ends."""
        return bool(self._timeout_s) and monotonic() >= idle_since + self._timeout_s - _TICK_SECONDS

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


_TICK_SECONDS = 0.002
"""A loop's timer may be early by its clock's resolution."""
