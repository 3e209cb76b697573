"""The sinks of a session some of whose prepared statements could not be put back.

Before its client can use one of them they are tried again, and where that fails the client hears
what the session's own Postgres would have said: see :mod:`torpor_proxy.core.broken`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from torpor_proxy.core.broken import ErrorFilter, mentions
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor.relay import Relay


class GuardedClient:
    """The sink of the client's stream."""

    __slots__ = ("_relay", "_repair", "_state")

    def __init__(self, relay: Relay, state: SessionState, repair: Callable[[bytes], None]) -> None:
        self._relay = relay
        self._state = state
        self._repair = repair
        """Tries the statements again, and then passes the bytes on."""

    def received(self, data: bytes) -> None:
        is_safe = self._relay.exchange().is_safe
        if is_safe and self._state.broken and mentions(data, self._state.broken):
            self._repair(data)
            return
        if self._state.broken and _ENDS_ALL.search(data):
            self._state.broken.clear()
        self._relay.from_client.received(data)

    def ended(self) -> None:
        self._relay.from_client.ended()

    def lost(self) -> None:
        self._relay.from_client.lost()

    def writable(self, may_write: bool) -> None:
        self._relay.from_client.writable(may_write)


class GuardedServer:
    """The sink of the backend's stream."""

    __slots__ = ("_filter", "_relay", "_state")

    def __init__(self, relay: Relay, state: SessionState) -> None:
        self._relay = relay
        self._state = state
        self._filter = ErrorFilter(state.broken or {})

    def received(self, data: bytes) -> None:
        if passed := self._filter.feed(data):
            self._relay.from_server.received(passed)

    def ended(self) -> None:
        self._relay.from_server.ended()

    def lost(self) -> None:
        self._relay.from_server.lost()

    def writable(self, may_write: bool) -> None:
        self._relay.from_server.writable(may_write)


_ENDS_ALL = re.compile(rb"\bdiscard\s+all\b|\bdeallocate\s+(?:prepare\s+)?all\b", re.IGNORECASE)
