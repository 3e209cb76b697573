"""What clients are shown: the proxy's certificate, read again when its files have changed."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from torpor_api.failures import InvalidRequest
from torpor_proxy.adapters.tls import NamedSslObject, TlsStream, remember_server_name
from torpor_proxy.core.startup import ALPN

log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamp: _Stamp
    context: ssl.SSLContext
    end_point: bytes


class Certificate:
    """A certificate with its chain, and the key that belongs to it."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises InvalidRequest where the files can't be used."""
        self._files = certificate, key
        try:
            self._loaded = self._load(self._stamp())
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"TLS certificate {certificate}, key {key}: {error}") from None

    def new_stream(self) -> TlsStream:
        loaded = self._present()
        return TlsStream(loaded.context, end_point=loaded.end_point)

    def _present(self) -> _Loaded:
        try:
            stamp = self._stamp()
            if stamp != self._loaded.stamp:
                self._loaded = self._load(stamp)
                log.info("certificate_renewed", extra={"certificate": str(self._files[0])})
        except (OSError, ValueError) as error:
            # In the middle of a change. What we have is good until it expires.
            log.warning("certificate_unreadable", extra={"reason": str(error)})
        return self._loaded

    def _load(self, stamp: _Stamp) -> _Loaded:
        return _Loaded(stamp, _context_of(*self._files), _end_point_of(self._files[0].read_bytes()))

    def _stamp(self) -> _Stamp:
        found = [path.stat() for path in self._files]
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


def _context_of(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols([ALPN])
    # Postgres clients don't resume TLS sessions; a ticket would be memory and bytes for nothing.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    context.sslobject_class = NamedSslObject
    context.sni_callback = remember_server_name
    return context


def _end_point_of(pem: bytes) -> bytes:
    found = x509.load_pem_x509_certificate(pem)
    algorithm = found.signature_hash_algorithm
    if algorithm is None or isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(found.public_bytes(Encoding.DER))
    return digest.finalize()
