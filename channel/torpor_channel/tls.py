"""Who a component is and whom it trusts: mutual TLS 1.3 from one folder of files.

The folder has ``tls.crt``, ``tls.key`` and ``ca.crt``, as a mounted Secret has them. A rotation
replaces them while the component runs: every new connection is made with what is there by then.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torpor_api.failures import InvalidRequest

log = logging.getLogger(__name__)

AUTOSCALER = "autoscaler.torpor"
PROXY = "proxy.torpor"
COMPUTE = "compute.torpor"
OPERATOR = "operator.torpor"
CLIENT = "client.torpor"
"""What components are called in their certificates: as common name and as DNS name."""

ALPN = "torpor"
"""Whoever speaks another protocol at this port learns so in the handshake."""

HANDSHAKE_SECONDS_MAX = 5.0
"""It takes some milliseconds; whoever is slower than this is no component in good health."""

SHUTDOWN_SECONDS_MAX = 2.0
"""For the other side's last word when we hang up. Nothing depends on it."""

LOOK_EVERY_SECONDS = 0.1
"""For files that are not there yet: three looks are some microseconds."""

_FILES = ("tls.crt", "tls.key", "ca.crt")

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamp: _Stamp
    server: ssl.SSLContext
    client: ssl.SSLContext


class Identity:
    """A component's own certificate and key, and the CA that signed everybody's."""

    def __init__(self, folder: Path) -> None:
        """Raises InvalidRequest where the files can't be used."""
        self.folder = folder
        try:
            self._loaded = self._load(_stamp(folder))
        except (OSError, ValueError) as error:
            raise InvalidRequest(
                f"{folder} is no folder of TLS files: {error}: "
                f"it must have {', '.join(_FILES)}, in PEM, that fit each other"
            ) from None

    def for_server(self) -> ssl.SSLContext:
        """Lets in only whoever has a certificate of the CA."""
        return self._present().server

    def for_client(self) -> ssl.SSLContext:
        """Wants the other side's name (``server_hostname``) in a certificate of the CA."""
        return self._present().client

    def show(self, context: ssl.SSLContext) -> None:
        """Have another context show our certificate, as it is on disk now. Raises OSError."""
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")

    def _present(self) -> _Loaded:
        """A look at three files takes microseconds; a handshake takes a millisecond."""
        try:
            stamp = _stamp(self.folder)
            if stamp != self._loaded.stamp:
                self._loaded = self._load(stamp)
                log.info("identity_renewed", extra={"folder": str(self.folder)})
        except (OSError, ValueError) as error:
            # In the middle of a change. What we have is good until it expires.
            fields = {"folder": str(self.folder), "reason": str(error)}
            log.warning("identity_unreadable", extra=fields)
        return self._loaded

    def _load(self, stamp: _Stamp) -> _Loaded:
        server = self._context(ssl.PROTOCOL_TLS_SERVER)
        server.verify_mode = ssl.CERT_REQUIRED
        # Connections live for days and are not resumed: a ticket would be bytes for nothing.
        server.num_tickets = 0
        return _Loaded(stamp, server, self._context(ssl.PROTOCOL_TLS_CLIENT))

    def _context(self, side: int) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.show(context)
        context.load_verify_locations(self.folder / "ca.crt")
        context.set_alpn_protocols([ALPN])
        return context


def files_of(folder: Path) -> tuple[Path, ...]:
    """Those that an :class:`Identity` is made of."""
    return tuple(folder / name for name in _FILES)


async def are_there(files: Sequence[Path], unless: asyncio.Event) -> bool:
    """Waits for all of them: on a new cluster the operator makes them a moment after we start.

    False where ``unless`` is set before.
    """
    if missing := [str(file) for file in files if not file.exists()]:
        log.info("waits_for_files", extra={"missing": missing})
    while any(not file.exists() for file in files):
        try:
            async with asyncio.timeout(LOOK_EVERY_SECONDS):
                await unless.wait()
            return False
        except TimeoutError:
            continue
    return True


@dataclass(frozen=True, slots=True)
class Trust:
    """With whom a connection is wanted, and as whom."""

    identity: Identity
    name: str
    """As the other side must be called in its certificate."""


def common_name(certificate: Mapping[str, Any] | None) -> str:
    """Of a verified certificate, as :meth:`ssl.SSLSocket.getpeercert` says it."""
    parts = () if certificate is None else certificate.get("subject", ())
    names = [value for part in parts for key, value in part if key == "commonName"]
    return str(names[-1]) if names else ""


def _stamp(folder: Path) -> _Stamp:
    found = [file.stat() for file in files_of(folder)]
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)
