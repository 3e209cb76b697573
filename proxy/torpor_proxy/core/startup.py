"""The first bytes of a client: what it asks for, decoded and bounded. Pure.

A connection begins with a packet that has no kind: SSLRequest, GSSENCRequest, CancelRequest or
StartupMessage; or with a TLS record (direct TLS); or with something that is not Postgres at all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from torpor_proxy.core import wire

PACKET_BYTES_MAX = 10_000
"""Postgres's own bound (``MAX_STARTUP_PACKET_LENGTH``)."""

CANCEL_KEY_BYTES_MAX = 256
"""Protocol 3.2's own bound."""

ALPN = "postgresql"
"""The application protocol that direct TLS has to agree on."""

TLS_RECORD = 0x16
"""The first byte of a TLS handshake; a startup packet of that first byte would be far too long."""

PROTOCOL_OPTION = "_pq_."
"""Parameters of this prefix speak to the protocol, not to the server."""

_SPACES = " \t\n\v\f\r"
"""Those of C's ``isspace``, by which Postgres splits; others are part of a word."""

_HTTP_VERBS = (b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"CONN", b"PATC", b"PRI ")

_CANCEL, _SSL, _GSSENC = 5678, 5679, 5680
_SPECIAL_MAJOR = 1234

SSL_REQUEST = struct.pack(">iHH", 8, _SPECIAL_MAJOR, _SSL)
"""Asks a server for TLS."""


class Garbage(Exception):
    """The bytes can't be the begin of a Postgres connection; ``words`` say what is wrong."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True)
class SslRequest:
    pass


@dataclass(frozen=True, slots=True)
class GssEncRequest:
    pass


@dataclass(frozen=True, slots=True)
class CancelRequest:
    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class Startup:
    """A StartupMessage. ``parameters`` in their order, each name once (the last one counts)."""

    minor: int
    parameters: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        return dict(self.parameters).get(name)

    @property
    def unknown_options(self) -> tuple[str, ...]:
        """Protocol options that the proxy does not know: all, so far."""
        return tuple(name for name, _ in self.parameters if name.startswith(PROTOCOL_OPTION))

    @property
    def negotiation(self) -> bytes:
        """NegotiateProtocolVersion where the client asked for more than there is, else nothing.

        Never a higher version than the client's own, which libpq takes for a fault.
        """
        if self.minor <= wire.PROTOCOL_MINOR_MAX and not self.unknown_options:
            return b""
        minor = min(self.minor, wire.PROTOCOL_MINOR_MAX)
        return wire.negotiate_protocol_version(minor, self.unknown_options)

    @property
    def has_long_keys(self) -> bool:
        """Whether the client takes cancel keys of more than four bytes (protocol 3.2)."""
        return self.minor >= 2


Packet = SslRequest | GssEncRequest | CancelRequest | Startup


def is_http(first_bytes: bytes) -> bool:
    return first_bytes[:4] in _HTTP_VERBS


def packet_length(first_bytes: bytes) -> int:
    """The length that the first four bytes announce. Raises Garbage."""
    length: int = struct.unpack(">I", first_bytes[:4])[0]
    if not 8 <= length <= PACKET_BYTES_MAX:
        raise Garbage(
            f"invalid length of startup packet: {length}, allowed are 8 to {PACKET_BYTES_MAX}"
        )
    return length


def parse_packet(packet: bytes) -> Packet:
    """A whole packet, its length included. Raises Garbage."""
    major, minor = struct.unpack_from(">HH", packet, 4)
    if major == _SPECIAL_MAJOR:
        return _parse_special(minor, packet)
    if major != wire.PROTOCOL_MAJOR:
        raise Garbage(
            f"unsupported frontend protocol {major}.{minor}: server supports "
            f"3.0 to 3.{wire.PROTOCOL_MINOR_MAX}"
        )
    return Startup(minor, _parse_parameters(packet[8:]))


def _parse_special(code: int, packet: bytes) -> Packet:
    if code == _SSL and len(packet) == 8:
        return SslRequest()
    if code == _GSSENC and len(packet) == 8:
        return GssEncRequest()
    if code == _CANCEL and 12 < len(packet) <= 12 + CANCEL_KEY_BYTES_MAX:
        return CancelRequest(int.from_bytes(packet[8:12], "big"), packet[12:])
    raise Garbage(f"request 1234.{code} of {len(packet)} bytes is unknown")


def _parse_parameters(body: bytes) -> tuple[tuple[str, str], ...]:
    if not body.endswith(b"\0"):
        raise Garbage("invalid startup packet layout: expected terminator as last byte")
    if body == b"\0":
        return ()
    parts = body[:-1].split(b"\0")
    if parts[-1] or len(parts) % 2 == 0 or b"" in parts[:-1:2]:
        raise Garbage("invalid startup packet layout: a parameter has no name or no value")
    try:
        words = [part.decode() for part in parts[:-1]]
    except UnicodeDecodeError:
        raise Garbage("invalid startup packet: names and values must be UTF-8") from None
    return tuple(dict(zip(words[::2], words[1::2], strict=True)).items())


def split_options(options: str) -> list[str]:
    """The words of the ``options`` parameter: separated by spaces, a backslash keeps the next."""
    words: list[str] = []
    word, is_escaped, is_open = "", False, False
    for char in options:
        if is_escaped:
            word, is_escaped = word + char, False
        elif char == "\\":
            is_escaped = is_open = True
        elif char in _SPACES:
            if is_open:
                words.append(word)
            word, is_open = "", False
        else:
            word, is_open = word + char, True
    return [*words, word] if is_open else words


def join_options(words: list[str]) -> str:
    """What :func:`split_options` reads back."""
    return " ".join(
        "".join("\\" + char if char == "\\" or char in _SPACES else char for char in word)
        for word in words
    )
