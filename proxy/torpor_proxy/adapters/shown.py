"""One certificate as clients are shown it, read from files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from torpor_proxy.adapters.tls import NamedSslObject
from torpor_proxy.core.startup import ALPN

READS_MAX = 3
"""Of files that are replaced while they are read; twice in a row they never are."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate with its key."""

    context: ssl.SSLContext
    """Some 20 KiB, and half a millisecond to make."""
    end_point: bytes
    """The certificate's hash, that binds a login to the channel."""


def load(certificate: Path, key: Path) -> Shown:
    """Both may be in one file. Raises OSError or ValueError where they can't be used."""
    for _ in range(READS_MAX):
        pem = certificate.read_bytes()
        context = _context_of(certificate, key)
        # OpenSSL reads the file by itself: the hash must be of the certificate that it has read.
        if certificate.read_bytes() == pem:
            return Shown(context, _end_point_of(pem))
    raise ValueError("it changes all the time")


def _context_of(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols([ALPN])
    # Postgres clients don't resume TLS sessions; a ticket would be memory and bytes for nothing.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    context.sslobject_class = NamedSslObject
    return context


def _end_point_of(pem: bytes) -> bytes:
    found = x509.load_pem_x509_certificate(pem)
    algorithm = found.signature_hash_algorithm
    if algorithm is None or isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(found.public_bytes(Encoding.DER))
    return digest.finalize()
