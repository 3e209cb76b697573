"""Who listens where, and whether an address is free. Blocks for no longer than the kernel does."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from torpor_api.failures import InvalidRequest, Refused

CONNECT_SECONDS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where clients connect."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def for_clients(self) -> Address:
        """An address that listens everywhere, as a client on this machine would name it."""
        return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port)


def parse_address(text: str, option: str = "--listen") -> Address:
    """``HOST:PORT``, an IPv6 host in brackets. Raises InvalidRequest, naming the option."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidRequest(f"{option} {text!r} is not an address: write one like 127.0.0.1:6432")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def free_address(wanted: Address, advice: str = "") -> Address:
    """The address, its port chosen where it was 0. Raises Refused where it can't be used, with an
    advice: another ``--listen`` where none is given."""
    like = f"--listen 127.0.0.1:{_another(wanted)}"
    advice = advice or f"choose another with --listen HOST:PORT, like {like}"
    try:
        found = socket.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(found[0], socket.SOCK_STREAM) as probe:
            # As the proxy will: connections of an earlier one that linger are no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[4])
            return Address(wanted.host, probe.getsockname()[1])
    except OSError as error:
        raise Refused(f"can't listen on {wanted}: {error.strerror}: {advice}") from None


def is_listening(place: Path | Address) -> bool:
    """Whether a connection is accepted there now."""
    try:
        if isinstance(place, Address):
            target = place.for_clients
            socket.create_connection((target.host, target.port), CONNECT_SECONDS_MAX).close()
        else:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(CONNECT_SECONDS_MAX)
                probe.connect(str(place))
    except OSError:
        return False
    return True


def _another(wanted: Address) -> int:
    return wanted.port + 1 if wanted.port < 65535 else 6432
