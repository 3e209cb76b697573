"""A Postgres that listens and notifies, as slow on each of its connections as the test likes."""

from __future__ import annotations

import asyncio
import itertools

from support.fakes.session import FakeHost, FakeStream, row
from torpor_proxy.core import wire
from torpor_proxy.core.cut import Notification
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.executor.arrival import Arrival, Steps
from torpor_proxy.executor.conversation import Backend
from torpor_proxy.executor.host import Identity
from torpor_proxy.ports import BackendLost

PARAMETERS: Pairs = (("server_version", "18.0"), ("client_encoding", "UTF8"))

OTHER_PROCESS_ID = 7


class NotifyingStream(FakeStream):
    """One of its backends: what it says waits in the outbox until the test delivers it."""

    def __init__(self, server: Notifier, process_id: int) -> None:
        super().__init__()
        self.outbox: list[bytes] = []
        self.channels: list[str] = []
        self.queries: list[bytes] = []
        """Simple queries that the proxy does not send itself."""
        self._server = server
        self._process_id = process_id
        self._parsed = ""
        self._in_transaction: list[str] | None = None

    def write(self, data: bytes) -> None:
        super().write(data)
        for kind, body in self.taken() if self.is_open else ():
            self._take(kind, body)

    def deliver(self) -> bool:
        """The next thing that it says; False: there is none."""
        if not self.outbox or not self.is_open or self.is_paused:
            return False
        self.sends(self.outbox.pop(0))
        return True

    def hears(self, message: Notification) -> None:
        if self.is_open and message.channel.decode() in self.channels:
            self.outbox.append(message.message)

    def _take(self, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            self._run(body[:-1].decode())
            self.outbox.append(wire.message(b"C", b"DONE\0") + self._ready())
        elif kind == b"P":
            self._parsed = body.split(b"\0")[1].decode()
        elif kind == b"E":
            self._run(self._parsed)
        elif kind == b"S":
            self.outbox.append(self._ready())

    def _ready(self) -> bytes:
        return wire.ready_for_query(b"I" if self._in_transaction is None else b"T")

    def _run(self, text: str) -> None:
        for statement in text.split("; "):
            if statement.startswith("BEGIN"):
                self._in_transaction = []
            elif statement == "COMMIT":
                done, self._in_transaction = self._in_transaction or [], None
                for each in done:
                    self._execute(each)
            elif self._in_transaction is not None:
                self._in_transaction.append(statement)
                self._answer(statement)
            else:
                self._execute(statement)
                self._answer(statement)

    def _execute(self, statement: str) -> None:
        word, _, rest = statement.partition(" ")
        name = rest.replace('"', "")
        if word == "LISTEN" and name not in self.channels:
            self.channels.append(name)
        elif word == "UNLISTEN":
            self.channels.remove(name)
        elif word == "NOTIFY":
            channel, _, payload = rest.partition(", ")
            self._server.notify(channel, payload.strip("'"), self._process_id)

    def _answer(self, statement: str) -> None:
        if "pg_client_encoding" in statement:
            for channel in self.channels:
                body = channel.encode()
                column = len(body).to_bytes(4, "big") + body
                self.outbox.append(wire.message(b"D", b"\0\2" + column * 2))
        elif "pg_listening_channels" in statement:
            self.outbox += [row("l", channel) for channel in self.channels]


class Notifier:
    """The server."""

    def __init__(self) -> None:
        self.backends: list[NotifyingStream] = []
        self.sent: list[str] = []
        """Payloads that were notified by others than the proxy."""
        self.is_gone = False
        self._process_ids = itertools.count(100)

    def notify(self, channel: str, payload: str, process_id: int = OTHER_PROCESS_ID) -> None:
        if process_id == OTHER_PROCESS_ID:
            self.sent.append(payload)
        for backend in list(self.backends):
            backend.hears(Notification(process_id, channel.encode(), payload.encode()))

    def backend(self, epoch: int) -> Backend:
        """A new one. Raises BackendLost."""
        if self.is_gone:
            raise BackendLost("nobody is there")
        process_id = next(self._process_ids)
        stream = NotifyingStream(self, process_id)
        self.backends.append(stream)
        return Backend(stream, epoch, process_id, b"key", PARAMETERS)

    def vanish(self) -> None:
        """As a crash does: nothing more is said."""
        backends, self.backends = self.backends, []
        for backend in backends:
            if backend.is_open:
                backend.vanishes()


class ListeningHost(FakeHost):
    """An endpoint on such a server; nobody attaches before its listeners are ready."""

    def __init__(self, server: Notifier) -> None:
        super().__init__()
        self.server = server
        self.epoch = 1

    async def connect(self, epoch: int, user: str, dbname: str, parameters: Pairs) -> Backend:
        await asyncio.sleep(0)
        return self.server.backend(epoch)

    async def arrive(self, identity: Identity, defaults: Pairs) -> Arrival:
        await asyncio.sleep(0)
        await self.listeners.ready(self.epoch)
        return Arrival(self.server.backend(self.epoch), Steps())

    async def settle(self, turns: int = 300) -> None:
        """Until everything is said that there is to say."""
        for _ in range(turns):
            for backend in list(self.server.backends):
                backend.deliver()
            await asyncio.sleep(0)
