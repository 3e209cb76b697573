"""Makes keys and certificates: ECDSA on P-256, wherever they are kept. An authority that somebody
else has made may have an RSA key, as cert-manager makes it where nobody says otherwise.

Needs the package ``cryptography``, which the extras of those who issue bring.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SigningKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Span:
    """When a certificate is good."""

    begins: dt.datetime
    ends: dt.datetime


def make_authority(name: str, span: Span) -> Pair:
    """Signs others, and nothing below them that signs again."""
    key, subject = _new_key(), _name(name)
    builder = (
        _builder(subject, subject, key, span)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return _pair(builder, key, key)


def make_leaf(
    authority: Pair, common_name: str, names: Iterable[str], span: Span, *, is_client: bool = False
) -> Pair:
    """Of a server; ``is_client``: it may also be shown by who calls. ``names``: of hosts, or
    addresses. Raises ValueError where the authority's key can't be used."""
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    issuer_key = load_signing_key(authority.key)
    identifier = _identifier_of(issuer)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH]
    usages += [ExtendedKeyUsageOID.CLIENT_AUTH] if is_client else []
    key = _new_key()
    builder = (
        _builder(_name(common_name), issuer.subject, key, span)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
    )
    return _pair(builder, key, issuer_key)


def load_signing_key(pem: str) -> SigningKey:
    """Raises ValueError for what is no key, or one that signs nothing here."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is no private key that can be read") from None
    if not isinstance(key, SigningKey):
        raise ValueError("is neither an ECDSA nor an RSA key")
    return key


def make_self_signed(name: str, span: Span) -> Pair:
    """Known by its hash to those who are to trust it."""
    key, subject = _new_key(), _name(name)
    return _pair(_builder(subject, subject, key, span), key, key)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, span: Span
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(span.begins)
        .not_valid_after(span.ends)
        .add_extension(identifier, critical=False)
    )


def _identifier_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As it calls its key itself, where it does: the ways to make such a name differ, and OpenSSL
    takes a certificate with another one for somebody else's."""
    try:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        key = issuer.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey), "it has signed"
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


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


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pair(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signs: SigningKey,
) -> Pair:
    certificate = builder.sign(signs, hashes.SHA256())
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )
