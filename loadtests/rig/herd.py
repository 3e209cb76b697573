"""Many clients in one thread that all ask in the same moment; each is timed to its first row."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial

from rig.client import (
    CHUNK_BYTES,
    SECONDS_MAX,
    ServerRefused,
    Target,
    dialled,
    message,
    startup_packet,
)
from rig.scram_client import ScramClient


class Caller:
    """One of them: logs in where it has to, asks its question once, and hears the answer out."""

    def __init__(self, connection: socket.socket, question: bytes, password: str | None) -> None:
        self.socket = connection
        self.is_done = False
        self.row_at: float | None = None
        """Its first row, of ``time.perf_counter``."""
        self._question = question
        self._login = None if password is None else ScramClient(password)
        self._buffer = bytearray()

    def begins(self, startup: bytes) -> None:
        self.socket.sendall(startup if self._login else startup + self._question)

    def receives(self) -> None:
        """Whatever there is now."""
        data = self.socket.recv(CHUNK_BYTES)
        if not data:
            raise ServerRefused("the connection was lost")
        self._buffer += data
        while len(self._buffer) >= 5:
            end = 1 + int.from_bytes(self._buffer[1:5], "big")
            if len(self._buffer) < end:
                return
            kind, body = bytes(self._buffer[:1]), bytes(self._buffer[5:end])
            del self._buffer[:end]
            self._hears(kind, body)

    def _hears(self, kind: bytes, body: bytes) -> None:
        if kind == b"E":
            raise ServerRefused(repr(body))
        if kind == b"D" and self.row_at is None:
            self.row_at = time.perf_counter()
        elif kind == b"R" and self._login is not None:
            if (answer := self._login.answer(body)) is not None:
                self.socket.sendall(message(b"p", answer))
        elif kind == b"Z" and self._login is not None:
            self._login = None
            self.socket.sendall(self._question)
        elif kind == b"Z" and self.row_at is not None:
            self.is_done = True


def first_rows_s(
    sockets: Sequence[socket.socket],
    question: bytes,
    began: float,
    startup: bytes = b"",
    password: str | None = None,
) -> list[float]:
    """Ask on every socket; seconds from ``began`` to each one's first row.

    ``startup`` is sent before. Where there is a ``password``, each logs in with it and asks when
    it is let in, as drivers do; otherwise the question follows at once. The answers are read to
    their end, so that the sessions may ask again.
    """
    callers = [Caller(each, question, password) for each in sockets]
    with selectors.DefaultSelector() as selector:
        for caller in callers:
            selector.register(caller.socket, selectors.EVENT_READ, caller)
            caller.begins(startup)
        deadline = time.monotonic() + SECONDS_MAX
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ServerRefused(f"{len(selector.get_map())} clients got no answer")
            for key, _ in ready:
                key.data.receives()
                if key.data.is_done:
                    selector.unregister(key.fileobj)
    return [caller.row_at - began for caller in callers if caller.row_at is not None]


def strangers_s(
    target: Target, count: int, question: bytes, start: Callable[[], float]
) -> list[float]:
    """Fresh connections to a Postgres that ``start`` has brought up: they dial, then all log in.

    Over TCP with the target's password; over a Unix socket without one.
    """
    began = start()
    sockets = [dialled(target) for _ in range(count)]
    try:
        ask = partial(first_rows_s, sockets, question, began, startup_packet(target))
        return ask(target.password or None)
    finally:
        for each in sockets:
            each.close()
