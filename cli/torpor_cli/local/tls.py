"""The proxy's certificate, signed by a CA made on this machine.

A client that wants ``sslmode=verify-full`` takes ``tls/ca.crt`` as its root. The private keys never
leave the folder, which is its owner's only.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from torpor_channel.issuing import Pair, Span, make_authority, make_leaf

CA_DAYS = 3650
SERVER_DAYS = 397
"""The longest that strict clients accept."""

RENEW_DAYS = 30
"""With less than this left a certificate is made anew at the next start."""

NAMES = ("localhost", "*.localhost", "127.0.0.1", "::1")
"""``NAME.localhost`` is the host name of a database's endpoint, for routing by SNI."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files that the proxy and its clients read."""

    ca: Path
    certificate: Path
    key: Path


def ensure(directory: Path, host: str, now: dt.datetime) -> Certificates:
    """The certificates, made or renewed where they are missing, old, or for other names."""
    ca, ca_key = directory / "ca.crt", directory / "ca.key"
    certificate, key = directory / "server.crt", directory / "server.key"
    names = [*NAMES, *([host] if host not in (*NAMES, "0.0.0.0", "::", "") else [])]
    if not _is_good(ca, (), now):
        _write_pair(ca, ca_key, make_authority("Torpor on this machine", _span(now, CA_DAYS)))
        certificate.unlink(missing_ok=True)
    if not _is_good(certificate, names, now):
        authority = Pair(ca.read_text(), ca_key.read_text())
        _write_pair(
            certificate, key, make_leaf(authority, "localhost", names, _span(now, SERVER_DAYS))
        )
    return Certificates(ca, certificate, key)


def _span(now: dt.datetime, days: int) -> Span:
    return Span(now - dt.timedelta(days=1), now + dt.timedelta(days=days))


def _is_good(path: Path, names: Iterable[str], now: dt.datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    if found.not_valid_after_utc - now < dt.timedelta(days=RENEW_DAYS):
        return False
    return not names or list(_names_of(found)) == list(names)


def _names_of(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [str(name.value) for name in found.value]


def _write_pair(certificate: Path, key: Path, pair: Pair) -> None:
    _replace(key, pair.key.encode(), 0o600)
    _replace(certificate, pair.certificate.encode(), 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)
