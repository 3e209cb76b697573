"""Certificates of components for tests: a CA, and folders as components read them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BOTH_SIDES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class Authority:
    """One CA; each makes its own key, so that nothing of two of them fits."""

    def __init__(self, name: str = "Torpor of a test") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        basic = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(self._name, self._name, self._key.public_key(), days=1)
        self._certificate = builder.add_extension(basic, critical=True).sign(
            self._key, hashes.SHA256()
        )

    @property
    def certificate(self) -> str:
        """By which others trust it, in PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def folder(self, folder: Path, name: str, *, days: int = 1) -> Path:
        """``tls.crt``, ``tls.key`` and ``ca.crt`` of the component ``name``; replaced, if there."""
        certificate, key = self._leaf((name,), days)
        folder.mkdir(exist_ok=True)
        _replace(folder / "tls.key", key)
        _replace(folder / "tls.crt", certificate)
        _replace(folder / "ca.crt", self.certificate.encode())
        return folder

    def one_file(self, path: Path, *names: str) -> None:
        """A certificate with these names and its key; replaced, if there."""
        _replace(path, b"".join(self._leaf(names, days=1)))

    def _leaf(self, names: Sequence[str], days: int) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = (
            _builder(_named(names[0]), self._name, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(BOTH_SIDES), critical=False)
            .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return leaf.public_bytes(serialization.Encoding.PEM), _pem_of_key(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _replace(path: Path, content: bytes) -> None:
    """By rename, as a mounted Secret changes: no half of a file is ever seen."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.chmod(0o600)
    partial.rename(path)
