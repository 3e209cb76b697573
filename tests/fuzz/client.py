"""A client that writes and reads at once, so that neither side ever waits for the other."""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios

from torpor_proxy.core import wire

Message = tuple[bytes, bytes]

NOTIFICATION, PARAMETER, READY = b"A", b"S", b"Z"

READ_BYTES = 1 << 16


class Client:
    """One connection that is logged in."""

    def __init__(self, connection: socket.socket, process_id: int) -> None:
        connection.setblocking(False)
        self.process_id = process_id
        """Of its backend, as it was told at the login."""
        self.messages: list[Message] = []
        """All that came."""
        self.answers = 0
        """How many of them answer something, and can't come at any other time."""
        self.readies = 0
        """How many of them are ReadyForQuery."""
        self.has_ended = False
        """The server has hung up."""
        self._socket = connection
        self._unsent = b""
        self._unread = bytearray()

    def say(self, data: bytes) -> None:
        """Written as far as it is taken; the rest goes with later moves."""
        self._unsent += data
        self.move(0)

    def move(self, timeout_s: float) -> bool:
        """Write and read what can be; False where nothing could within the time."""
        if self.has_ended:
            return False
        wants = [self._socket] if self._unsent else []
        readable, writable, _ = select.select([self._socket], wants, [], timeout_s)
        if writable:
            self._write()
        if readable:
            self._read()
        return bool(readable or writable)

    @property
    def is_taken(self) -> bool:
        """Whether the other process has read all that was said. Only on a Unix socket."""
        if self._unsent:
            return False
        (unread,) = struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0" * 4))
        return bool(unread == 0)

    def hang_up(self) -> None:
        self._socket.close()
        self.has_ended = True

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except (BrokenPipeError, ConnectionResetError):
            self._unsent = b""  # The reader learns of the end, and of what came before it.
            return
        self._unsent = self._unsent[sent:]

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except ConnectionResetError:
            data = b""
        self.has_ended = not data
        self._unread += data
        if len(self._unread) >= wire.HEAD_BYTES + self._body_bytes():
            messages, rest = wire.split(bytes(self._unread))
            self.messages += messages
            self.answers += sum(kind != NOTIFICATION for kind, _ in messages)
            self.readies += sum(kind == READY for kind, _ in messages)
            self._unread = bytearray(rest)

    def _body_bytes(self) -> int:
        """Of the first message that was not read; a long one is not copied for each part."""
        return int.from_bytes(self._unread[1 : wire.HEAD_BYTES], "big") - 4
