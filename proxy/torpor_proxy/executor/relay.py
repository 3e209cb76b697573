"""The fast path: two sinks that pass bytes between a client and its backend.

Each buffer is forwarded as it came. That its message headers have to be walked can wait: nobody
asks for a safe point while bytes flow. So small buffers are kept for a moment and walked together,
which costs a third of walking each on its own; a large one is walked at once. Whoever asks, asks
through :meth:`Relay.exchange`, which has walked everything.

All that the client sent is walked before what the server sent in the same time. The
:class:`~torpor_proxy.core.exchange.Exchange` allows that: it keeps promises in the order in which
they will be answered, whether or not the answer has come already. How long a query took does not
depend on when it was walked: with each buffer the moment is kept at which it passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Protocol

from torpor_proxy.core import idle_words
from torpor_proxy.core.exchange import Exchange
from torpor_proxy.core.senders import as_told, may_notify
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.core.sql_watch import SqlWatch
from torpor_proxy.core.stopwatch import Stopwatch, Tally
from torpor_proxy.core.wire import Malformed
from torpor_proxy.ports import Stream

BUFFERS_MAX = 32
"""Kept of each side before they are walked."""

BUFFER_BYTES_MAX = 4096
"""A buffer that is larger than this is walked at once: what is kept stays under 300 KiB."""


DYING_BYTES_MAX = 2048
"""The last words of a server are short, even behind the end of an answer."""

_DYING = b"C57P0"
"""As their SQLSTATE begins."""


NOBODY_KNOWN: Mapping[int, int] = {}


class RelayedSession(Protocol):
    """What the two sides tell the session."""

    last_used: float
    """When bytes were last seen to have passed."""

    is_captured: bool
    """Examined since the client's last message."""

    def client_ended(self) -> None: ...

    def client_lost(self) -> None: ...

    def backend_ended(self) -> None: ...

    def backend_lost(self) -> None: ...


class Relay:
    """One attachment of a session: what passes in it, and the walk over that."""

    __slots__ = (
        "_stopwatch",
        "_watch",
        "at_safe_point",
        "from_client",
        "from_server",
        "session",
        "state",
        "told_as",
    )

    def __init__(
        self,
        session: RelayedSession,
        state: SessionState,
        client: Stream,
        server: Stream,
        tally: Tally,
        told_as: Mapping[int, int] = NOBODY_KNOWN,
    ) -> None:
        """``tally``: of how long queries take."""
        self.session = session
        self.told_as = told_as
        """The process ids that clients know, by those of their sessions' backends."""
        self.state = state
        self.at_safe_point: Callable[[], None] | None = None
        """Called whenever a safe point is reached; None, for speed, where nobody waits for one."""
        self._watch = SqlWatch(state)
        self._stopwatch = Stopwatch(tally)
        self.from_client = FromClient(self, server)
        self.from_server = FromServer(self, client)

    def exchange(self) -> Exchange:
        """What client and server owe each other, up to the last byte that has passed."""
        client, server = self.from_client, self.from_server
        if client.passed or server.passed:
            is_answered = bool(server.passed)
            if client.passed:
                self._walk_client(client.passed, client.moments)
            if server.passed:
                self._walk_server(server.passed, server.moments)
            exchange = self.state.exchange
            self._stopwatch.owed(exchange.in_flight)
            if is_answered or exchange.in_flight or not exchange.is_terminated:
                self.session.last_used = monotonic()
        return self.state.exchange

    def look(self) -> None:
        """The server has said something, and somebody waits for a safe point."""
        if self.at_safe_point is not None and self.exchange().is_safe:
            self.at_safe_point()

    def _walk_client(self, sent: list[bytes], moments: list[float]) -> None:
        exchange = self.state.exchange
        try:
            begun = exchange.client_sent(b"".join(sent), self._watch)
            self._stopwatch.begun(begun, sent, moments)
        except Malformed as error:
            exchange.is_unclear = True
            self.state.saw_garbage(str(error))
        sent.clear()
        moments.clear()

    def _walk_server(self, answered: list[bytes], moments: list[float]) -> None:
        state = self.state
        ended = state.exchange.server_sent(b"".join(answered), state.saw_parameter)
        self._stopwatch.ended(ended, answered, moments)
        answered.clear()
        moments.clear()


class FromClient:
    """The sink of the client's stream while its session is attached."""

    __slots__ = ("_relay", "_server", "_session", "moments", "passed")

    def __init__(self, relay: Relay, server: Stream) -> None:
        self._relay = relay
        self._session = relay.session
        self._server = server
        self.passed: list[bytes] = []
        self.moments: list[float] = []
        """At which each of them did."""

    def received(self, data: bytes) -> None:
        self._session.is_captured = False
        passed = self.passed
        passed.append(data)
        self.moments.append(monotonic())
        self._server.write(data)
        if len(passed) >= BUFFERS_MAX or len(data) > BUFFER_BYTES_MAX:
            self._relay.exchange()

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

    __slots__ = ("_client", "_relay", "_session", "_state", "moments", "passed")

    def __init__(self, relay: Relay, client: Stream) -> None:
        self._relay = relay
        self._session = relay.session
        self._state = relay.state
        self._client = client
        self.passed: list[bytes] = []
        self.moments: list[float] = []
        """At which each of them did."""

    def received(self, data: bytes) -> None:
        if self._session.is_captured:
            data = self._state.idle_words(data)
        elif len(data) < DYING_BYTES_MAX and _DYING in data:
            data = self._without_last_words(data)
        if not data:
            return
        if may_notify(data):
            # What the client has sent is walked first: its LISTEN may be in it.
            begin = self._relay.exchange().server_message_begins_after
            if self._state.may_listen:
                data = as_told(data, begin, self._relay.told_as)
        passed = self.passed
        passed.append(data)
        self.moments.append(monotonic())
        self._client.write(data)
        if len(passed) >= BUFFERS_MAX or len(data) > BUFFER_BYTES_MAX:
            self._relay.exchange()
        if self._relay.at_safe_point is not None:
            self._relay.look()

    def _without_last_words(self, data: bytes) -> bytes:
        """A server that dies says so to everybody; what it means for this client is said here."""
        is_aligned = self._relay.exchange().is_between_server_messages
        return idle_words.for_client(data) if is_aligned else data

    def ended(self) -> None:
        self._session.backend_ended()

    def lost(self) -> None:
        self._session.backend_lost()

    def writable(self, may_write: bool) -> None:
        if may_write:
            self._client.resume()
        else:
            self._client.pause()
