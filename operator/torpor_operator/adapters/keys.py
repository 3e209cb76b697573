"""Certificates, made for as long as they are wanted, and read."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from torpor_channel import issuing
from torpor_channel.issuing import Pair, Span
from torpor_operator.core.certificates import AUTHORITY_S, LEAF_S, Authority, Leaf, LeafWanted

BACKDATED = dt.timedelta(minutes=10)
"""Clocks of two machines differ; a certificate must not be from the future for either."""

COMMON_NAME_CHARACTERS_MAX = 64


def make_authority(now: float) -> Pair:
    # A name of its own for each: a chain is looked for by name, and two are trusted at once.
    name = f"Torpor {dt.datetime.fromtimestamp(now, dt.UTC):%Y-%m-%d %H:%M:%S}"
    return issuing.make_authority(name, _span(now, AUTHORITY_S))


def make_leaf(authority: Pair, wanted: LeafWanted, now: float) -> Pair:
    """Signed by the authority."""
    common_name = wanted.names[0][:COMMON_NAME_CHARACTERS_MAX]
    return issuing.make_leaf(
        authority, common_name, wanted.names, _span(now, LEAF_S), is_client=wanted.is_client
    )


def _span(now: float, lifetime_s: float) -> Span:
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    return Span(at - BACKDATED, at + dt.timedelta(seconds=lifetime_s))


def read_authority(certificate: str) -> Authority:
    """Raises ValueError for what is no certificate."""
    return _authority(x509.load_pem_x509_certificate(certificate.encode()))


def read_own_authority(certificate: str) -> tuple[str, Authority]:
    """Of one that has signed itself: it alone in PEM, without what may be behind it.

    Another one is trusted by whoever trusts all that its own authority signs, and by no other, as
    Postgres reads certificates. Names like ``autoscaler.torpor`` would be that one's to give.

    Raises ValueError for what is no certificate, or can't be trusted or sign.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        raise ValueError("is no certificate") from None
    if not _has_signed(found, found):
        raise ValueError("is signed by another authority: use one that signs itself")
    if not _may_sign(found):
        raise ValueError("may sign no certificates: isCA is missing")
    if not _has(found, x509.SubjectKeyIdentifier):
        # While two are trusted, OpenSSL chooses by name where it knows no identifier.
        raise ValueError("has no subject key identifier: another of its name looks the same")
    return found.public_bytes(serialization.Encoding.PEM).decode(), _authority(found)


def _authority(found: x509.Certificate) -> Authority:
    return Authority(_id(found), found.not_valid_after_utc.timestamp())


def _has(found: x509.Certificate, kind: type[x509.ExtensionType]) -> bool:
    return any(isinstance(one.value, kind) for one in found.extensions)


def _may_sign(found: x509.Certificate) -> bool:
    try:
        if not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return found.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid  # Without it all is allowed.


def refuse_other_key(certificate: str, key: str) -> None:
    """Raises ValueError for what is no key that signs here, or that of another certificate."""
    found = x509.load_pem_x509_certificate(certificate.encode())
    own = issuing.load_signing_key(key)
    if own.public_key() != found.public_key():
        raise ValueError("is that of another certificate")


def read_leaf(certificate: str, trusted: str | None, authorities: Iterable[str]) -> Leaf:
    """``trusted``: the bundle beside it, where there is to be one; ``authorities``: those that may
    have signed it.

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
        trusts=None if trusted is None else frozenset(_id(one) for one in bundle),
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
