"""What the proxy believes about Postgres, held against a real one, straight to its socket.

Random clients talk with it through an :class:`Exchange`; whenever that says "safe", a question that
is written at this moment is answered next, with nothing of the client's before it; and whatever a
client did, once all is answered the session is safe again.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from random import Random

import pytest

from support import talk
from support.up import Database, Up, a_database, until
from support.wire_client import (
    READ_SECONDS_MAX,
    HungUp,
    Message,
    Reported,
    WireClient,
    backend,
    query,
)
from torpor_proxy.core import capture, custom_settings, keepalive, wire
from torpor_proxy.core.capture import UNKNOWN
from torpor_proxy.core.exchange import Exchange

TURNS = 12

CONVERSATIONS = 60
"""For each seed."""

UNCLEAR_MAX = 0.7
"""Of the conversations: most of what these rude clients do must be understood."""

INTERNAL_ERROR = b"\0CXX000\0"
"""A function call behind a pipeline without its Sync makes Postgres 18 lose its own place."""

ON_ITS_OWN = (b"A", b"N", b"S")


@pytest.fixture(scope="module")
def awake(up: Up) -> Iterator[Database]:
    with a_database(up) as database:
        with backend(database) as client:
            client.query("create table talk (n int)")
        yield database


class Conversation:
    """A client, an exchange in the middle, a server."""

    def __init__(self, client: WireClient, random: Random) -> None:
        self.exchange = Exchange()
        self.received = b""
        self._client = client
        self._random = random

    def send(self, data: bytes) -> None:
        """In pieces, as TCP would cut it."""
        while data:
            size = self._random.randint(1, len(data)) if self._random.random() < 0.5 else len(data)
            self.exchange.client_sent(data[:size])
            self._client.send(data[:size])
            data = data[size:]

    def receive(self, seconds: float) -> bool:
        """One read; whether anything came in time."""
        if not select.select([self._client.socket], [], [], seconds)[0]:
            return False
        data = self._client.socket.recv(self._random.choice((1, 7, 100, 1 << 16)))
        if not data:
            raise HungUp
        self.exchange.server_sent(data)
        self.received += data
        return True

    def receive_some(self) -> None:
        patience = self._random.choice((0.0, 0.0, 0.002))
        while self.receive(patience):
            if self._random.random() < 0.2:
                return

    def capture(self) -> None:
        """The answer of the question, and nothing else, comes next."""
        assert self.exchange.is_safe
        found = self._client.ask(capture.question(custom_settings.NONE, UNKNOWN))
        answers = [message for message in found if message[0] not in ON_ITS_OWN]
        assert is_a_capture_s_answer(answers), answers

    def end(self, marker: str) -> None:
        self.send(talk.ending(marker))
        row = wire.message(b"D", b"\0\1" + len(marker).to_bytes(4, "big") + marker.encode())
        while not (row in self.received and self.received.endswith(wire.ready_for_query())):
            if INTERNAL_ERROR in self.received:
                raise HungUp
            assert self.receive(READ_SECONDS_MAX), "the server owes nothing more"


def is_a_capture_s_answer(messages: list[Message]) -> bool:
    statements = len(
        [kind for kind, _ in wire.split(capture.question(custom_settings.NONE, UNKNOWN))[0]]
    )
    kinds = b"".join(kind for kind, _ in messages if kind != b"D")
    each = b"312C3"
    return kinds == each * (statements // len(each)) + b"Z" and messages[-1] == (b"Z", b"I")


@contextlib.contextmanager
def let_in(database: Database) -> Iterator[WireClient]:
    """What rude clients do has made backends of Postgres 18.6 itself crash, in Execute within a
    failed transaction, once in ten thousand conversations: the next client waits until it is back.
    """
    with contextlib.ExitStack() as stack:

        def is_in() -> bool:
            with contextlib.suppress(Reported, HungUp, ConnectionError):
                clients.append(stack.enter_context(backend(database)))
            return bool(clients)

        clients: list[WireClient] = []
        until(is_in, "Postgres lets its next client in")
        yield clients[0]


def converse(database: Database, seed: str) -> str:
    """How it went: safe, unclear, or ended by the server."""
    random = Random(seed)
    with let_in(database) as client:
        conversation = Conversation(client, random)
        try:
            turns = talk.turns(random)
            for _ in range(TURNS):
                conversation.send(next(turns))
                conversation.receive_some()
                if conversation.exchange.is_safe and random.random() < 0.7:
                    conversation.capture()
            conversation.end(f"end of {seed}")
        except (HungUp, ConnectionError):
            return "ended"
        if conversation.exchange.is_unclear:
            return "unclear"
        assert conversation.exchange.is_safe, f"stuck: {conversation.exchange.promises!r}"
        conversation.capture()
        return "safe"


@pytest.mark.parametrize("seed", range(8))
def test_random_clients(awake: Database, seed: int) -> None:
    ends = []
    for number in range(CONVERSATIONS):
        name = f"{seed}.{number}"
        try:
            ends.append(converse(awake, name))
        except AssertionError as error:
            raise AssertionError(f"conversation {name}: {error}") from error
    assert ends.count("safe") > CONVERSATIONS * (1 - UNCLEAR_MAX), ends


@pytest.mark.parametrize("sql", ["SELECT 1", "select 1;", "", ";"])
def test_keepalives_are_byte_for_byte_postgres_s_own(awake: Database, sql: str) -> None:
    with let_in(awake) as client:
        said = client.ask(query(sql))
    assert b"".join(wire.message(*message) for message in said) == keepalive.answer(query(sql))


def test_sync_is_answered_as_postgres_does(awake: Database) -> None:
    with let_in(awake) as client:
        ((kind, body),) = client.ask(wire.SYNC)
    assert wire.message(kind, body) == keepalive.answer(wire.SYNC)
