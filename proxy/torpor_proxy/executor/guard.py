"""The sinks of a session some of whose prepared statements could not be put back.

Before its client can use one of them it is tried again, and where that fails the client hears what
the session's own Postgres would have said: see :mod:`torpor_proxy.core.broken`. It is tried
wherever nothing is owed by either side, be it inside of a transaction. Within a pipeline there is
no such place: who uses it there hears what the last attempt has brought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torpor_proxy.core.broken import Broken, mentioned
from torpor_proxy.core.error_filter import ErrorFilter
from torpor_proxy.core.exchange import IN_TRANSACTION, Exchange
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
        may_try = _owes_nothing(self._relay.exchange())
        if may_try and self._state.broken and mentioned(data, self._state.broken):
            self._repair(data)
        else:
            self._relay.from_client.received(data)

    def ended(self) -> None:
        self._relay.from_client.ended()

    def lost(self) -> None:
        self._relay.from_client.lost()

    def writable(self, may_write: bool) -> None:
        self._relay.from_client.writable(may_write)


def _owes_nothing(exchange: Exchange) -> bool:
    """At a safe point, or between two exchanges of a transaction that has not failed."""
    if exchange.is_safe:
        return True
    is_torn = exchange.is_within_client_message or not exchange.is_between_server_messages
    is_over = exchange.is_unclear or exchange.is_terminated
    return exchange.status == IN_TRANSACTION and exchange.is_idle and not is_torn and not is_over


class GuardedServer:
    """The sink of the backend's stream."""

    __slots__ = ("_filter", "_relay", "_state")

    def __init__(self, relay: Relay, state: SessionState) -> None:
        self._relay = relay
        self._state = state
        self._filter = ErrorFilter(self._broken)

    def _broken(self) -> Mapping[bytes, Broken]:
        return self._state.broken or {}

    def take(self) -> bytes:
        """The begin of a message that has not passed; who is the sink from now on goes on with it.

        So it is as if it had come to that sink.
        """
        return self._filter.take()

    def received(self, data: bytes) -> None:
        if passed := self._filter.feed(data):
            self._relay.from_server.received(passed)

    def ended(self) -> None:
        self._relay.from_server.ended()

    def lost(self) -> None:
        self._relay.from_server.lost()

    def writable(self, may_write: bool) -> None:
        self._relay.from_server.writable(may_write)
