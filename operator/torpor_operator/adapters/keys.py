"""Keys and certificates, made and read: ECDSA on P-256."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from torpor_operator.core.certificates import AUTHORITY_S, LEAF_S, Authority, Leaf, LeafWanted

BACKDATED = dt.timedelta(minutes=10)
"""Clocks of two machines differ; a certificate must not be from the future for either."""

COMMON_NAME_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


def make_authority(now: float) -> Pair:
    """Signs others, and nothing below them that signs again."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own for each: a chain is looked for by name, and two are trusted at once.
    name = _name(f"Torpor {dt.datetime.fromtimestamp(now, dt.UTC):%Y-%m-%d %H:%M:%S}")
    builder = (
        _builder(name, name, key, now, AUTHORITY_S)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def make_leaf(authority: Pair, wanted: LeafWanted, now: float) -> Pair:
    """Signed by the authority."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = serialization.load_pem_private_key(authority.key.encode(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH]
    usages += [ExtendedKeyUsageOID.CLIENT_AUTH] if wanted.is_client else []
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in wanted.names])
    common_name = wanted.names[0][:COMMON_NAME_CHARACTERS_MAX]
    builder = (
        _builder(_name(common_name), issuer.subject, key, now, LEAF_S)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(names, critical=False)
    )
    return _pair(builder.sign(issuer_key, hashes.SHA256()), key)


def read_authority(certificate: str) -> Authority:
    """Raises ValueError for what is no certificate."""
    found = x509.load_pem_x509_certificate(certificate.encode())
    made = found.not_valid_before_utc + BACKDATED
    return Authority(_id(found), made.timestamp(), found.not_valid_after_utc.timestamp())


def read_leaf(certificate: str, trusted: str, authorities: Iterable[str]) -> Leaf:
    """``trusted``: the bundle beside it; ``authorities``: those that may have signed it.

    Raises ValueError for what is no certificate.
    """
    found = x509.load_pem_x509_certificate(certificate.encode())
    known = [x509.load_pem_x509_certificate(one.encode()) for one in authorities]
    bundle = x509.load_pem_x509_certificates(trusted.encode()) if trusted else []
    made = found.not_valid_before_utc + BACKDATED
    return Leaf(
        names=_names_of(found),
        signed_by=next((_id(one) for one in known if _has_signed(one, found)), ""),
        made_at=made.timestamp(),
        ends_at=found.not_valid_after_utc.timestamp(),
        trusts=frozenset(_id(one) for one in bundle),
    )


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _id(certificate: x509.Certificate) -> str:
    der = certificate.public_bytes(serialization.Encoding.DER)
    return hashlib.sha256(der).hexdigest()


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names: Sequence[str] = found.value.get_values_for_type(x509.DNSName)
    return tuple(names)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: float,
    lifetime_s: float,
) -> x509.CertificateBuilder:
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(at + dt.timedelta(seconds=lifetime_s))
        .add_extension(identifier, critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
