"""What clients are shown: the proxy's certificate, read again when its files have changed; or that
of the namespace they ask for, where it has one of its own."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from torpor_api.failures import InvalidRequest
from torpor_proxy.adapters.namespace_certificates import NamespaceCertificates
from torpor_proxy.adapters.shown import Shown, load
from torpor_proxy.adapters.tls import NamedSslObject, TlsStream

log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamp: _Stamp
    shown: Shown


class Certificate:
    """A certificate with its chain, and the key that belongs to it."""

    def __init__(
        self, certificate: Path, key: Path, of_namespaces: NamespaceCertificates | None = None
    ) -> None:
        """Raises InvalidRequest where the files can't be used."""
        self._files = certificate, key
        self._of_namespaces = of_namespaces
        try:
            self._loaded = self._load(self._stamp())
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"TLS certificate {certificate}, key {key}: {error}") from None

    def new_stream(self) -> TlsStream:
        shown = self._present().shown
        return TlsStream(shown.context, end_point=shown.end_point)

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> None:
        """For ``SSLContext.sni_callback``."""
        assert isinstance(connection, NamedSslObject)
        connection.server_name = name
        chosen = self._of_namespaces.shown_to(name) if self._of_namespaces else None
        if chosen is not None:
            connection.show(chosen.context, chosen.end_point)

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
        shown = load(*self._files)
        shown.context.sni_callback = self._choose
        return _Loaded(stamp, shown)

    def _stamp(self) -> _Stamp:
        found = [path.stat() for path in self._files]
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)
