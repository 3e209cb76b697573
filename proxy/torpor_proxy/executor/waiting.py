"""What a client sends while its session has no compute, or while the proxy talks with it."""

from __future__ import annotations

from time import monotonic
from typing import Any, Protocol, assert_never

from torpor_proxy.core import parked, wire
from torpor_proxy.core.failover import OwedError
from torpor_proxy.core.refusals import ProtocolViolation, Refusal
from torpor_proxy.executor.host import Host
from torpor_proxy.ports import Stream


class WaitingSession(Protocol):
    """What is told to the session."""

    @property
    def is_parked(self) -> bool: ...

    def come_back(self) -> None:
        """Only the database can answer."""

    def answer_itself(self, question: bytes, answer: bytes) -> None:
        """The proxy answers, and the database sleeps on."""

    def refuse(self, refusal: Refusal) -> None:
        """Say why, and end."""

    def end(self) -> None:
        """The client takes its leave."""

    def client_lost(self) -> None: ...


class Waiting:
    """The sink of the client's stream in every state but attached. Bytes are kept, bounded."""

    __slots__ = ("_host", "_owed", "_session", "_stream", "has_ended", "pending", "since")

    def __init__(self, session: WaitingSession, stream: Stream, host: Host[Any]) -> None:
        self.pending: bytearray | None = None
        """To be served in order; None: nothing was sent."""
        self.since = 0.0
        """When the first of it came; 0: nothing did."""
        self.has_ended = False
        """The client will send nothing more, but may still read."""
        self._owed: OwedError | None = None
        self._session = session
        self._stream = stream
        self._host = host

    @property
    def owes(self) -> bool:
        """Whether the client's next exchange is answered here."""
        return self._owed is not None

    @property
    def asks(self) -> bool:
        """Whether the client has sent something that it wants an answer to."""
        return self.pending is not None and not self.pending.startswith(wire.TERMINATE)

    def answer_next(self, error: OwedError) -> None:
        """The client's next exchange, whole, is answered by this and goes to nobody."""
        self._owed = error

    def received(self, data: bytes) -> None:
        if self._owed is not None and not data.startswith(wire.TERMINATE):
            answer, rest = self._owed.feed(data)
            self._session.answer_itself(b"", answer)
            if rest is None:
                return
            self._owed = None
            data = rest
        if data:
            self.keep(data)

    def keep(self, data: bytes) -> None:
        """It is to be served as soon as it can be."""
        if self.pending is None:
            self.pending, self.since = bytearray(), monotonic()
        self.pending += data
        if len(self.pending) > self._host.settings.pending_bytes_max:
            self._stream.pause()
        if self._session.is_parked:
            self.consider()

    def ended(self) -> None:
        self.has_ended = True
        if self._session.is_parked:
            self._session.end()

    def lost(self) -> None:
        self._session.client_lost()

    def writable(self, may_write: bool) -> None:
        pass  # What the proxy itself says is short.

    def take(self) -> bytes:
        """What was kept, which is nobody's business here any more."""
        pending, self.pending, self.since = self.pending, None, 0.0
        return bytes(pending or b"")

    def consider(self) -> None:
        """The session is parked: is the database needed for what its client has sent?"""
        if self.pending is None:
            if self.has_ended:
                self._session.end()
            return
        verdict = parked.judge(self.pending, answers_keepalives=self._host.answers_keepalives)
        match verdict:
            case parked.Incomplete():
                pass
            case parked.Broken(reason):
                self._session.refuse(ProtocolViolation(reason))
            case parked.Goodbye():
                self._session.end()
            case parked.Answered(answer):
                self._session.answer_itself(self.take(), answer)
            case parked.Needed():
                self._session.come_back()
            case _:
                assert_never(verdict)
