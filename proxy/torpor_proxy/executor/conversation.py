"""The proxy's own talk with a Postgres: log in, ask, and collect the answer up to ReadyForQuery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from torpor_proxy.core import wire
from torpor_proxy.ports import BackendLost, Sink, Stream

ANSWER_BYTES_MAX = 4 << 20
"""An answer to the proxy's own questions is a few kilobytes."""

Messages = list[tuple[bytes, bytes]]

_OWN_WORDS = (b"A", b"S")
"""NotificationResponse and ParameterStatus: nobody asked for them."""


class ServerRefused(Exception):
    """Postgres answered with an error that ends the connection."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields.get("M", ""))
        self.fields = fields

    @property
    def is_of_a_limit(self) -> bool:
        """Whether a role's or a database's own CONNECTION LIMIT was meant: waiting is in vain.

        Told by the routine that said so; its words are translated.
        """
        return self.fields.get("R") in ("InitializeSessionUserId", "CheckMyDatabase")

    @property
    def sqlstate(self) -> str:
        return self.fields.get("C", "")


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend connection that is logged in."""

    stream: Stream
    epoch: int
    process_id: int
    secret: bytes
    parameters: tuple[tuple[str, str], ...]
    """What it reported, in its order."""
    notices: bytes = b""
    """Of its login, which are for the client whose login it was."""


class Conversation:
    """The sink of a backend's stream while the proxy talks with it.

    ``on_own_words`` is given each whole message that is no answer: notifications and changes of
    parameters belong to the client, whenever they come.
    """

    __slots__ = ("_answer", "_buffer", "_messages", "_on_own_words", "_readies", "_stream")

    def __init__(self, stream: Stream, on_own_words: Callable[[bytes], None] | None = None) -> None:
        self._stream = stream
        self._on_own_words = on_own_words
        self._buffer = b""
        self._messages: Messages = []
        self._answer: asyncio.Future[Messages] | None = None
        self._readies = 0
        stream.sink = self

    async def ask(self, question: bytes, readies: int = 1) -> Messages:
        """The answer up to its ReadyForQuery, which comes last, or to the last of several.

        Raises BackendLost, or ServerRefused where the answer is the end.
        """
        if not self._stream.is_open:
            raise BackendLost("the connection was lost")
        self._messages = []
        self._readies = readies
        self._answer = asyncio.get_running_loop().create_future()
        self._stream.write(question)
        return await self._answer

    def hand_over(self, sink: Sink) -> None:
        """The talk is over: ``sink`` takes what comes, what came already first."""
        self._stream.sink = sink
        if self._buffer:
            sink.received(self._buffer)

    def received(self, data: bytes) -> None:
        try:
            found, self._buffer = wire.split(self._buffer + data)
        except ValueError as error:
            self._fail(str(error))
            return
        if len(self._buffer) > ANSWER_BYTES_MAX:
            self._fail("the answer is too long")
        for kind, body in found:
            self._take(kind, body)

    def ended(self) -> None:
        self._fail("the server hung up")
        self._stream.abort()

    def lost(self) -> None:
        self._fail("the connection was lost")

    def writable(self, may_write: bool) -> None:
        pass  # Questions are small.

    def _take(self, kind: bytes, body: bytes) -> None:
        is_over = self._answer is None or self._answer.done()
        if self._on_own_words is not None and (is_over or kind in _OWN_WORDS):
            self._on_own_words(wire.message(kind, body))
            return
        self._messages.append((kind, body))
        if self._answer is None or is_over:
            return
        is_fatal = kind == b"E" and wire.report_fields(body).get("V") in ("FATAL", "PANIC")
        if is_fatal:
            self._answer.set_exception(ServerRefused(wire.report_fields(body)))
        elif kind == b"Z":
            self._readies -= 1
            if not self._readies:
                self._answer.set_result(self._messages)

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BackendLost(reason))


async def log_in(
    stream: Stream, epoch: int, user: str, database: str, parameters: tuple[tuple[str, str], ...]
) -> Backend:
    """Start a session on a fresh connection. Raises ServerRefused or BackendLost."""
    names = (("user", user), ("database", database))
    messages = await Conversation(stream).ask(wire.startup(names + parameters))
    statuses, process_id, secret, notices = [], 0, b"", b""
    for kind, body in messages:
        if kind == b"S":
            statuses.append(wire.pair(body))
        elif kind == b"K":
            process_id, secret = wire.key_data(body)
        elif kind == b"N":
            notices += wire.message(kind, body)
        elif kind == b"R" and body != b"\0\0\0\0":
            raise BackendLost("the server asks the proxy for a password")
    return Backend(stream, epoch, process_id, secret, tuple(statuses), notices)
