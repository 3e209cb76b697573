"""What a Postgres on a network shows and trusts: a key of its own, made for this agent's life.

The certificate is signed by nobody: the agent tells its hash over the control channel, and the
proxy accepts that one and no other. The key never leaves the folder, where only the agent and the
database's Postgres can read it, and dies with the compute.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

log = logging.getLogger(__name__)

_DAYS = 3650
"""Longer than any compute lives: it is known by its hash, and nobody looks at its dates."""


class ServerTls:
    """The files that the options ``ssl_*`` name."""

    def __init__(self, folder: Path, ca: Path) -> None:
        """``ca``: of those who may come in. Raises OSError."""
        self.certificate = folder / "server.crt"
        self.key = folder / "server.key"
        self.ca = folder / "ca.crt"
        self._ca_source = ca
        key = ec.generate_private_key(ec.SECP256R1())
        made = _self_signed(key)
        self.sha256 = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()
        _write(self.key, _pem_of(key), 0o600)
        _write(self.certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)
        self._copied = b""
        self.renew_ca()

    def give_to(self, user_id: int) -> None:
        """Postgres takes a key only from its own user, or from root."""
        os.chown(self.key, user_id, user_id)

    def renew_ca(self) -> bool:
        """Whether the CA's certificate has changed since the last copy; Postgres reads the new one
        at its next start or reload."""
        present = self._ca_source.read_bytes()
        if present == self._copied:
            return False
        _write(self.ca, present, 0o644)
        self._copied = present
        return True


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postgres.torpor")])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """By rename, and never readable for more than ``mode`` says, whatever the umask is."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    partial.chmod(mode)
    partial.rename(path)
