"""The fast path: two sinks that pass bytes between a client and its backend.

Each buffer is forwarded as it came. Its message headers are walked once, by the session's
:class:`~torpor_proxy.core.exchange.Exchange`, and no object is made for a message.
"""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from torpor_proxy.core.custom_settings import OVERLAP_BYTES, may_set
from torpor_proxy.core.exchange import Exchange, Malformed
from torpor_proxy.ports import Stream


class Relayed(Protocol):
    """What the two sides tell the session."""

    last_used: float
    """When the server last became ready."""

    is_captured: bool
    """Examined since the client's last message."""

    def saw_setting(self, data: bytes) -> None:
        """A text of SQL that may set a custom setting is in these bytes."""

    def saw_parameter(self, message: bytes) -> None:
        """A whole ParameterStatus has gone to the client."""

    def saw_idle_words(self, data: bytes) -> bytes:
        """The server speaks though it owes nothing; what of it the client shall hear."""

    def client_broke(self, reason: str) -> None:
        """The client's bytes are no messages."""

    def client_ended(self) -> None: ...

    def client_lost(self) -> None: ...

    def backend_ended(self) -> None: ...

    def backend_lost(self) -> None: ...


class FromClient:
    """The sink of the client's stream while its session is attached."""

    __slots__ = ("_exchange", "_server", "_session", "_tail")

    def __init__(self, session: Relayed, exchange: Exchange, server: Stream) -> None:
        self._session = session
        self._exchange = exchange
        self._server = server
        self._tail = b""

    def received(self, data: bytes) -> None:
        session = self._session
        session.is_captured = False
        try:
            if self._exchange.client_sent(data):
                self._look_for_settings(data)
        except Malformed as error:
            session.client_broke(str(error))
            return
        self._server.write(data)

    def _look_for_settings(self, data: bytes) -> None:
        sql = self._tail + data if self._tail else data
        if may_set(sql):
            self._session.saw_setting(sql)
        # A name may stand on both sides of where a text was split.
        self._tail = sql[-OVERLAP_BYTES:] if self._exchange.is_within_client_message else b""

    def ended(self) -> None:
        self._session.client_ended()

    def lost(self) -> None:
        self._session.client_lost()

    def writable(self, may_write: bool) -> None:
        if may_write:
            self._server.resume()
        else:
            self._server.pause()


class FromServer:
    """The sink of the backend's stream while its session is attached."""

    __slots__ = ("_client", "_exchange", "_session")

    def __init__(self, session: Relayed, exchange: Exchange, client: Stream) -> None:
        self._session = session
        self._exchange = exchange
        self._client = client

    def received(self, data: bytes) -> None:
        session, exchange = self._session, self._exchange
        if not exchange.promises and session.is_captured:
            data = session.saw_idle_words(data)
        self._client.write(data)
        if exchange.server_sent(data, session.saw_parameter):
            session.last_used = monotonic()

    def ended(self) -> None:
        self._session.backend_ended()

    def lost(self) -> None:
        self._session.backend_lost()

    def writable(self, may_write: bool) -> None:
        if may_write:
            self._client.resume()
        else:
            self._client.pause()
