"""A client of the Postgres protocol that sends any bytes, right or wrong, and reads what comes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType

from scramp import ScramClient

from support.up import Database, Up
from torpor_proxy.core import wire

READ_SECONDS_MAX = 30.0

Message = tuple[bytes, bytes]


class HungUp(Exception):
    """The server has ended the connection."""


class WireClient:
    """One connection; a context manager."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.key: tuple[int, bytes] = (0, b"")
        """Process id and secret, as the server told them."""
        self.parameters: dict[str, str] = {}
        self._unread = b""

    def __enter__(self) -> WireClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    # --- bytes ------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def take(self, size: int) -> bytes:
        """So many bytes. Raises HungUp."""
        while len(self._unread) < size:
            self._read()
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    def rest(self) -> bytes:
        """Everything up to the end of the connection, which must come."""
        with contextlib.suppress(HungUp):
            while True:
                self._read()
        taken, self._unread = self._unread, b""
        return taken

    def _read(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            raise HungUp
        self._unread += data

    # --- messages ---------------------------------------------------------------------

    def message(self) -> Message:
        """The next message; what it says about the session is remembered."""
        kind = self.take(1)
        body = self.take(int.from_bytes(self.take(4), "big") - 4)
        if kind == b"K":
            self.key = wire.key_data(body)
        elif kind == b"S":
            name, value = wire.pair(body)
            self.parameters[name] = value
        return kind, body

    def until(self, kind: bytes) -> list[Message]:
        """Messages up to one of this kind, which comes last.

        Where the server hangs up instead: its error is raised, or HungUp without one.
        """
        found: list[Message] = []
        try:
            while not found or found[-1][0] != kind:
                found.append(self.message())
        except HungUp:
            rows_of(found)
            raise
        return found

    def ask(self, data: bytes) -> list[Message]:
        """The answer up to ReadyForQuery; why the server has hung up, where it did before."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            self.send(data)
        return self.until(b"Z")

    def query(self, sql: str) -> list[tuple[bytes | None, ...]]:
        """Rows of a simple query; an error is raised with its SQLSTATE and words."""
        return rows_of(self.ask(query(sql)))

    # --- login ------------------------------------------------------------------------

    def start(
        self, database: Database, /, *, user: str | None = None, minor: int = 0, **parameters: str
    ) -> None:
        """The startup packet."""
        connection = database.connection()
        given = {
            "user": user or connection.role,
            "database": connection.database,
            "options": f"endpoint={database.name}",
            **parameters,
        }
        self.send(wire.startup(given.items(), minor))

    def prove(self, password: str) -> None:
        """SCRAM, up to what the server says of it."""
        client = ScramClient(["SCRAM-SHA-256"], "ignored", password)
        first = client.get_client_first().encode()
        head = b"SCRAM-SHA-256\0" + len(first).to_bytes(4, "big")
        self.send(wire.message(b"p", head + first))
        client.set_server_first(self.message()[1][4:].decode())
        self.send(wire.message(b"p", client.get_client_final().encode()))

    def log_in(
        self, database: Database, /, *, user: str | None = None, minor: int = 0, **parameters: str
    ) -> list[Message]:
        """Up to the first ReadyForQuery; what the server said on the way."""
        self.start(database, user=user, minor=minor, **parameters)
        said = self.until(b"R")
        self.prove(database.connection(user).password or "")
        return said + self.until(b"Z")


@contextlib.contextmanager
def connected(up: Up) -> Iterator[WireClient]:
    """Nothing said yet."""
    with socket.create_connection((up.host, up.port), READ_SECONDS_MAX) as made:
        yield WireClient(made)


@contextlib.contextmanager
def logged_in(
    database: Database, /, *, user: str | None = None, minor: int = 0, **parameters: str
) -> Iterator[WireClient]:
    with connected(database.up) as client:
        client.log_in(database, user=user, minor=minor, **parameters)
        yield client


@contextlib.contextmanager
def backend(database: Database) -> Iterator[WireClient]:
    """A session on the compute itself, as the proxy makes it."""
    folder = database.up.folder.compute_directory(database.status["compute"])
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(READ_SECONDS_MAX)
        made.connect(str(folder / ".s.PGSQL.5432"))
        client = WireClient(made)
        client.ask(wire.startup((("user", "app"), ("database", "app"))))
        yield client


class Reported(Exception):
    """An ErrorResponse."""

    def __init__(self, body: bytes) -> None:
        self.fields = wire.report_fields(body)
        super().__init__(f"{self.fields['C']}: {self.fields['M']}")


def query(sql: str) -> bytes:
    return wire.message(b"Q", sql.encode() + b"\0")


def rows_of(messages: list[Message]) -> list[tuple[bytes | None, ...]]:
    for kind, body in messages:
        if kind == b"E":
            raise Reported(body)
    return [tuple(wire.row(body)) for kind, body in messages if kind == b"D"]


def error_of(messages: list[Message]) -> dict[str, str]:
    """The fields of the one error in there."""
    (fields,) = [wire.report_fields(body) for kind, body in messages if kind == b"E"]
    return fields
