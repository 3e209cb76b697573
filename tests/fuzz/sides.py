"""The two ways to one Postgres: straight to its Unix socket, and through a proxy that parks.

Each has a database of its own in the same cluster, with the same content.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import psycopg

from fuzz.client import NOTIFICATION, READY, Client, Message
from fuzz.setting_up import CONTENT, ONCE
from support.up import Database, Up
from support.wire_client import READ_SECONDS_MAX, WireClient
from torpor_proxy.core import wire

SUPERUSER = "postgres"
STRAIGHT, THROUGH = "straight", "through"

SPEC = {
    "roles": [{"name": "app"}, {"name": SUPERUSER, "superuser": True}],
    "databases": [{"name": name, "owner": "app"} for name in (STRAIGHT, THROUGH)],
}

SETTLE_SECONDS_MAX = 20.0
"""For the answers to one turn, on a machine that is busy with other things."""

LOOK_SECONDS = 0.0005
"""Between two looks whether the server has anything more to say."""

_IS_WAITING = (
    "SELECT wait_event IS NOT DISTINCT FROM 'ClientRead' FROM pg_stat_get_activity(%s::int)"
)

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """How much a client had heard when its turn was over."""

    answers: int
    readies: int
    is_ready: bool
    """ReadyForQuery came last."""
    has_ended: bool

    def is_reached_by(self, client: Client) -> bool:
        """Or passed: where other answers came, no more is waited for than is sure to come."""
        if client.has_ended or self.has_ended:
            return client.has_ended
        is_ready = self.is_ready and client.readies >= self.readies
        return is_ready or client.answers >= self.answers


def mark_of(client: Client) -> Mark:
    """As of now."""
    others = (kind for kind, _ in reversed(client.messages) if kind != NOTIFICATION)
    is_ready = next(others, b"") == READY
    return Mark(client.answers, client.readies, is_ready, client.has_ended)


class Stuck(Exception):
    """The answers that must come do not."""


class PostgresDied(Exception):
    """By itself, straight: also that happens to those who send it anything."""


class Side(Protocol):
    name: str

    def log_in(self, user: str, parameters: Pairs) -> tuple[Client, list[Message]]:
        """The client, and what it was told on the way."""

    def settle(self, client: Client, expected: Mark | None) -> None:
        """Until the server has said all that it has to say. Raises Stuck.

        ``expected``: what came on the other side.
        """


class Straight:
    """Knows by itself when the server waits for its client."""

    name = STRAIGHT

    def __init__(self, path: str, monitor: psycopg.Connection) -> None:
        self._path = path
        self._monitor = monitor

    def log_in(self, user: str, parameters: Pairs) -> tuple[Client, list[Message]]:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(READ_SECONDS_MAX)
        made.connect(self._path)
        client = WireClient(made)
        given = (("user", user), ("database", STRAIGHT), *parameters)
        client.send(wire.startup(given))
        told = client.until(b"Z")
        return Client(made, client.key[0]), told

    def settle(self, client: Client, expected: Mark | None) -> None:
        """Exact: first all is taken, then the backend waits for more, so it has said all."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while not (client.is_taken and self._is_waiting(client)):
            if not client.move(LOOK_SECONDS) and client.has_ended:
                return
            if time.monotonic() > deadline:
                raise Stuck("straight")
        while client.move(0):
            pass

    def _is_waiting(self, client: Client) -> bool:
        try:
            cursor = self._monitor.execute(_IS_WAITING, (client.process_id,), prepare=True)
        except psycopg.OperationalError as error:
            raise PostgresDied from error
        found = cursor.fetchone()
        return found is not None and bool(found[0])


class Through:
    """Waits for as much as came on the straight side."""

    name = THROUGH

    def __init__(self, database: Database) -> None:
        self._database = database

    def log_in(self, user: str, parameters: Pairs) -> tuple[Client, list[Message]]:
        up, connection = self._database.up, self._database.connection(user)
        made = socket.create_connection((up.host, up.port), READ_SECONDS_MAX)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = WireClient(made)
        options = ("options", f"endpoint={self._database.name}")
        given = (("user", user), ("database", THROUGH), options, *parameters)
        client.send(wire.startup(given))
        client.until(b"R")
        client.prove(connection.password or "")
        told = client.until(b"Z")
        return Client(made, client.key[0]), told

    def settle(self, client: Client, expected: Mark | None) -> None:
        assert expected is not None
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while not expected.is_reached_by(client):
            client.move(deadline - time.monotonic())
            if time.monotonic() > deadline:
                raise Stuck(f"{client.answers} of {expected.answers} answers have come")


@dataclass(frozen=True, slots=True)
class World:
    """Both sides."""

    straight: Straight
    through: Through
    _owners: tuple[psycopg.Connection, ...]

    def begin_anew(self) -> None:
        """The same content for both, as if nothing had been."""
        for owner in self._owners:
            owner.execute(CONTENT)


@contextlib.contextmanager
def a_world(up: Up) -> Iterator[World]:
    """``up`` parks at every safe point."""
    database = up.database(**SPEC)
    folder = up.folder.compute_directory(database.status["compute"])

    def connect(dbname: str) -> psycopg.Connection:
        return psycopg.connect(host=str(folder), dbname=dbname, user=SUPERUSER, autocommit=True)

    with contextlib.ExitStack() as stack:
        monitor, *owners = (
            stack.enter_context(connect(name)) for name in ("postgres", STRAIGHT, THROUGH)
        )
        monitor.execute(ONCE)
        straight = Straight(str(folder / ".s.PGSQL.5432"), monitor)
        yield World(straight, Through(database), tuple(owners))
