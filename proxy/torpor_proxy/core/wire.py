"""Messages of the Postgres protocol as bytes: the few that the proxy itself writes or reads.

Pure and stateless. What only passes through is never decoded: see
:mod:`torpor_proxy.core.exchange`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import StrEnum

PROTOCOL_MAJOR = 3
PROTOCOL_MINOR_MAX = 2
"""3.2 (Postgres 18) brought cancel keys of variable length; 3.1 was never used."""

HEAD_BYTES = 5
"""Of a message: its kind and its length, which counts itself and the body."""

MESSAGE_BYTES_MAX = (1 << 30) - 2
"""Postgres's own bound (``PQ_LARGE_MESSAGE_LIMIT``): a longer one is garbage."""

CLIENT_KINDS = frozenset(b"QSFPBDECHXdcf")
"""Of messages that a client sends once it has logged in."""

_length = struct.Struct(">I")
_head = struct.Struct(">cI")


class Malformed(Exception):
    """The bytes are no messages of the protocol; the session is of no more use."""


class Severity(StrEnum):
    """Of an ErrorResponse or NoticeResponse."""

    ERROR = "ERROR"
    FATAL = "FATAL"
    NOTICE = "NOTICE"
    WARNING = "WARNING"


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One message: its kind, its length, its body."""
    return _head.pack(kind, len(body) + 4) + body


def is_message_head(data: bytes | bytearray) -> bool:
    """Whether a client's message can begin with these bytes, five at least."""
    kind, length = _head.unpack_from(data)
    return kind[0] in CLIENT_KINDS and 4 <= length <= MESSAGE_BYTES_MAX


def text(value: str) -> bytes:
    """A string of the protocol. A zero byte can't be sent: what follows it is left out."""
    return value.split("\0", 1)[0].encode(errors="replace") + b"\0"


# --- server to client -----------------------------------------------------------------

SSL_ACCEPTED = b"S"
REFUSED = b"N"
"""The answer to GSSENCRequest, and to SSLRequest where there is no certificate."""

AUTHENTICATION_OK = message(b"R", _length.pack(0))
_SASL, _SASL_CONTINUE, _SASL_FINAL = 10, 11, 12


def authentication_sasl(mechanisms: Iterable[str]) -> bytes:
    names = b"".join(text(mechanism) for mechanism in mechanisms)
    return message(b"R", _length.pack(_SASL) + names + b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    return message(b"R", _length.pack(_SASL_CONTINUE) + data)


def authentication_sasl_final(data: bytes) -> bytes:
    return message(b"R", _length.pack(_SASL_FINAL) + data)


def negotiate_protocol_version(minor: int, unknown_options: Iterable[str]) -> bytes:
    """The newest minor version there is here, and the ``_pq_.`` options that nobody knows."""
    options = list(unknown_options)
    body = struct.pack(">II", (PROTOCOL_MAJOR << 16) | minor, len(options))
    return message(b"v", body + b"".join(text(option) for option in options))


def backend_key_data(process_id: int, secret: bytes) -> bytes:
    return message(b"K", _length.pack(process_id) + secret)


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", text(name) + text(value))


def ready_for_query(status: bytes = b"I") -> bytes:
    return message(b"Z", status)


def report(
    severity: Severity, sqlstate: str, words: str, *, hint: str = "", detail: str = ""
) -> bytes:
    """An ErrorResponse, or a NoticeResponse for NOTICE and WARNING."""
    fields = [(b"S", severity), (b"V", severity), (b"C", sqlstate), (b"M", words)]
    fields += [(b"D", detail)] * bool(detail) + [(b"H", hint)] * bool(hint)
    body = b"".join(code + text(value) for code, value in fields) + b"\0"
    is_notice = severity in (Severity.NOTICE, Severity.WARNING)
    return message(b"N" if is_notice else b"E", body)


# --- client to server (the proxy is the client of a compute) --------------------------

TERMINATE = message(b"X")
SYNC = message(b"S")


def startup(parameters: Iterable[tuple[str, str]], minor: int = 0) -> bytes:
    """A startup packet; parameters in their order."""
    pairs = b"".join(text(name) + text(value) for name, value in parameters)
    body = struct.pack(">HH", PROTOCOL_MAJOR, minor) + pairs + b"\0"
    return _length.pack(len(body) + 4) + body


def cancel_request(process_id: int, secret: bytes) -> bytes:
    body = struct.pack(">HHI", 1234, 5678, process_id) + secret
    return _length.pack(len(body) + 4) + body


def parse(name: str, sql: str) -> bytes:
    return message(b"P", text(name) + text(sql) + b"\0\0")


def bind(
    statement: str,
    parameters: Iterable[bytes | None] = (),
    *,
    is_binary: bool = False,
    portal: str = "",
) -> bytes:
    """Parameters and results all as text, or all in their binary form."""
    values = list(parameters)
    formats = b"\0\1\0\1" if is_binary else b"\0\0"
    parts = [text(portal), text(statement), formats, struct.pack(">H", len(values))]
    for value in values:
        parts += [b"\xff\xff\xff\xff"] if value is None else [_length.pack(len(value)), value]
    return message(b"B", b"".join(parts) + formats)


def bytea_array(values: Iterable[bytes]) -> bytes:
    """A one-dimensional ``bytea[]`` in its binary form."""
    items = list(values)
    head = struct.pack(">IIIII", 1 if items else 0, 0, _BYTEA, len(items), 1)
    body = b"".join(_length.pack(len(item)) + item for item in items)
    return head + body if items else head[:12]


_BYTEA = 17


def function_call(oid: int, arguments: Iterable[bytes]) -> bytes:
    """Arguments and result in their binary form. The answer ends with a ReadyForQuery."""
    values = list(arguments)
    parts = [_length.pack(len(value)) + value for value in values]
    head = struct.pack(">IHHH", oid, 1, 1, len(values))
    return message(b"F", head + b"".join(parts) + b"\0\1")


def execute(portal: str = "") -> bytes:
    """All rows of a portal."""
    return message(b"E", text(portal) + _length.pack(0))


def query(sql: str | bytes) -> bytes:
    """A simple query; ``bytes``: in the encoding that the server expects."""
    return message(b"Q", sql + b"\0") if isinstance(sql, bytes) else message(b"Q", text(sql))


def describe_statement(name: str) -> bytes:
    return message(b"D", b"S" + text(name))


def close_statement(name: str) -> bytes:
    return message(b"C", b"S" + text(name))


# --- reading --------------------------------------------------------------------------


def split(buffer: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The whole messages in the buffer as (kind, body), and what is left over.

    Raises ValueError for a length that can't be.
    """
    found, position = [], 0
    while len(buffer) - position >= 5:
        kind, length = _head.unpack_from(buffer, position)
        if length < 4:
            raise ValueError(f"message {kind!r} with length {length}")
        end = position + 1 + length
        if end > len(buffer):
            break
        found.append((kind, buffer[position + 5 : end]))
        position = end
    return found, buffer[position:]


def report_fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse by their letter."""
    fields = (part for part in body.split(b"\0") if part)
    return {chr(part[0]): part[1:].decode(errors="replace") for part in fields}


def pair(body: bytes) -> tuple[str, str]:
    """The two strings of a ParameterStatus."""
    name, value, _ = body.split(b"\0", 2)
    return name.decode(errors="replace"), value.decode(errors="replace")


def key_data(body: bytes) -> tuple[int, bytes]:
    """Process id and secret of a BackendKeyData."""
    return _length.unpack_from(body)[0], body[4:]


def row(body: bytes) -> Iterator[bytes | None]:
    """The columns of a DataRow."""
    position = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        (length,) = _length.unpack_from(body, position)
        position += 4
        if length == 0xFFFFFFFF:
            yield None
        else:
            yield body[position : position + length]
            position += length


_ARRAY_HEAD_BYTES, _DIMENSION_BYTES = 12, 8


def array(value: bytes) -> Iterator[bytes]:
    """The elements of an array in its binary form, of one dimension and without NULL."""
    position = _ARRAY_HEAD_BYTES + _DIMENSION_BYTES
    while position < len(value):
        (length,) = _length.unpack_from(value, position)
        yield value[position + 4 : position + 4 + length]
        position += 4 + length
