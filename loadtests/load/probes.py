"""Ways in which strangers knock. Each says what it did, or that it was let in."""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from load.judge import LET_IN

SECONDS_MAX = 15
"""For an answer. A proxy hangs up on who does not log in after ten."""

SSL_REQUEST = struct.pack("!II", 8, 80877103)
CANCEL_CODE = 80877102


def wrong_password(uri: str) -> str:
    return _refused("wrong password", uri, password=secrets.token_hex(8))


def unknown_role(uri: str) -> str:
    return _refused("unknown role", uri, user="nobody_knows", password="guessed")


def superuser(uri: str) -> str:
    return _refused("superuser", uri, user="postgres", password="postgres")


def port_scan(uri: str) -> str:
    with _dialled(uri):
        return "port scan"


def http(uri: str) -> str:
    return _said("http", uri, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


def tls_and_gone(uri: str) -> str:
    return _said("tls and gone", uri, SSL_REQUEST)


def cancel(uri: str) -> str:
    body = struct.pack("!III", CANCEL_CODE, secrets.randbits(31), secrets.randbits(32))
    return _said("cancel request", uri, struct.pack("!I", len(body) + 4) + body)


PROBES: tuple[Callable[[str], str], ...] = (
    wrong_password,
    unknown_role,
    superuser,
    port_scan,
    http,
    tls_and_gone,
    cancel,
)


def _refused(what: str, uri: str, **instead: str) -> str:
    try:
        psycopg.connect(make_conninfo(uri, **instead), connect_timeout=SECONDS_MAX).close()
    except psycopg.OperationalError:
        return what
    return LET_IN


def _said(what: str, uri: str, data: bytes) -> str:
    """Say it, hear something or the end, and go. To hang up is a good answer."""
    with _dialled(uri) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(data)
        connection.recv(1024)
    return what


def _dialled(uri: str) -> socket.socket:
    given: dict[str, Any] = conninfo_to_dict(uri)
    address = given.get("host", "localhost"), int(given.get("port", 5432))
    return socket.create_connection(address, timeout=SECONDS_MAX)
