"""A Postgres client over a bare socket, made to be timed: no driver's work is in the figures.

It knows what a benchmark needs: log in (trust or SCRAM, with or without TLS), ask one simple query,
copy in. It trusts its server, which the benchmark itself has started.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from dataclasses import dataclass

from rig.scram_client import ScramClient

READY = b"Z\0\0\0\x05I"
"""What ends every answer outside of a transaction."""

CHUNK_BYTES = 1 << 20
SECONDS_MAX = 120.0
"""For one answer; more means that it will never come."""

SSL_REQUEST = struct.pack("!II", 8, 80877103)


class ServerRefused(Exception):
    """The server's own error."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and as whom. ``host``: a path is the folder of a Unix socket."""

    host: str
    port: int
    user: str
    database: str
    password: str = ""
    options: str = ""
    tls: bool = False

    def environment(self) -> dict[str, str]:
        """For pgbench and psql."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGDATABASE": self.database,
            "PGPASSWORD": self.password,
            "PGOPTIONS": self.options,
            "PGSSLMODE": "require" if self.tls else "disable",
        }


def dialled(target: Target) -> socket.socket:
    """A connection, TLS included; nothing of Postgres's own has been said yet."""
    if target.host.startswith("/"):
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(SECONDS_MAX)
        try:
            plain.connect(f"{target.host}/.s.PGSQL.{target.port}")
        except OSError:
            plain.close()
            raise
        return plain
    plain = socket.create_connection((target.host, target.port), SECONDS_MAX)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _encrypted(plain) if target.tls else plain


def _encrypted(plain: socket.socket) -> socket.socket:
    plain.sendall(SSL_REQUEST)
    if plain.recv(1) != b"S":
        raise ServerRefused("the server speaks no TLS")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)


def startup_packet(target: Target) -> bytes:
    fields = {"user": target.user, "database": target.database, "options": target.options}
    body = b"".join(f"{key}\0{value}\0".encode() for key, value in fields.items() if value)
    return struct.pack("!II", len(body) + 9, 3 << 16) + body + b"\0"


def query_packet(sql: str) -> bytes:
    return message(b"Q", sql.encode() + b"\0")


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


class Client:
    """One connection that has logged in."""

    def __init__(self, target: Target) -> None:
        self._buffer = b""
        self.socket = dialled(target)
        try:
            self.socket.sendall(startup_packet(target))
            self._log_in(target)
        except BaseException:
            self.close()
            raise

    def first_row_s(self, sql: str) -> float:
        """Seconds from the first byte of the query sent to its first row received."""
        packet = query_packet(sql)
        began = time.perf_counter()
        self.socket.sendall(packet)
        while self._next()[0] != b"D":
            pass
        seconds = time.perf_counter() - began
        self._until_ready()
        return seconds

    def ask(self, sql: str) -> None:
        """Run a statement whose rows don't matter."""
        self.socket.sendall(query_packet(sql))
        self._until_ready()

    def answers(self, data: bytes, readies: int) -> list[tuple[bytes, bytes]]:
        """Send messages that are packed already; what is said until so many ReadyForQuery."""
        self.socket.sendall(data)
        found: list[tuple[bytes, bytes]] = []
        while readies:
            found.append(self._next())
            readies -= found[-1][0] == b"Z"
        return found

    def drain_s(self, sql: str) -> float:
        """Seconds until all of a large answer was received; what it says is not looked at."""
        assert not self._buffer
        buffer, tail = bytearray(CHUNK_BYTES), b""
        packet = query_packet(sql)
        began = time.perf_counter()
        self.socket.sendall(packet)
        while not tail.endswith(READY):
            count = self.socket.recv_into(buffer)
            if not count:
                raise ServerRefused("the connection was lost")
            tail = (tail + bytes(buffer[max(0, count - len(READY)) : count]))[-len(READY) :]
        return time.perf_counter() - began

    def copy_in_s(self, sql: str, chunks: list[bytes]) -> float:
        """Seconds for a COPY FROM STDIN of rows that are packed as CopyData already."""
        began = time.perf_counter()
        self.socket.sendall(query_packet(sql))
        while self._next()[0] != b"G":
            pass
        for chunk in chunks:
            self.socket.sendall(chunk)
        self.socket.sendall(message(b"c", b""))
        self._until_ready()
        return time.perf_counter() - began

    def close(self) -> None:
        """Politely, as drivers do."""
        with contextlib.suppress(OSError):
            self.socket.sendall(message(b"X", b""))
        self.socket.close()

    def _log_in(self, target: Target) -> None:
        scram = ScramClient(target.password)
        while True:
            kind, body = self._next()
            if kind == b"Z":
                return
            if kind == b"R" and (answer := scram.answer(body)) is not None:
                self.socket.sendall(message(b"p", answer))

    def _until_ready(self) -> None:
        while self._next()[0] != b"Z":
            pass

    def _next(self) -> tuple[bytes, bytes]:
        while len(self._buffer) < 5 or len(self._buffer) < (end := self._end()):
            received = self.socket.recv(CHUNK_BYTES)
            if not received:
                raise ServerRefused("the connection was lost")
            self._buffer += received
        kind, body, self._buffer = self._buffer[:1], self._buffer[5:end], self._buffer[end:]
        if kind == b"E":
            raise ServerRefused(_error_text(body))
        return kind, body

    def _end(self) -> int:
        return 1 + int.from_bytes(self._buffer[1:5], "big")


def _error_text(body: bytes) -> str:
    fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
    return f"{fields.get(b'C', '?')}: {fields.get(b'M', '?')}"
