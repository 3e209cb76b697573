"""Where a component listens: a Unix socket's path on one machine, host and port on a network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from torpor_api.brief import brief
from torpor_api.failures import InvalidRequest

SOCKET_PATH_BYTES_MAX = 107
"""``sun_path`` of Linux less its terminating zero."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Reached over mutual TLS only."""

    host: str
    """A name or a number; an IPv6 address without its brackets."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Address = Path | TcpAddress


def parse_address(text: str) -> Address:
    """With a ``/`` a socket's path, else ``host:port``. Raises InvalidRequest."""
    return Path(text) if "/" in text else parse_tcp(text)


def parse_tcp(text: str) -> TcpAddress:
    """``host:port``, an IPv6 address in brackets. Raises InvalidRequest."""
    host, _, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not is_port or _HOST.fullmatch(host) is None:
        raise InvalidRequest(
            f"{brief(text)} is no address: write a socket's path, with a slash in it, "
            "or HOST:PORT, like 10.0.0.7:7433 or [fd00::7]:7433"
        )
    return TcpAddress(host.strip("[]"), int(port))
