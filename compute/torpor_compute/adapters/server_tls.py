"""What a Postgres on a network shows and trusts: a key of its own, made for this agent's life.

The certificate is signed by nobody: the agent tells its hash over the control channel, and the
proxy accepts that one and no other. The key lies in the folder, where only the agent and the
database's Postgres can read it, and dies with the compute.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from pathlib import Path

from torpor_channel.issuing import Pair, Span, make_self_signed
from torpor_compute.adapters import own_files

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
        made = _self_signed()
        self._key = made.key.encode()
        der = ssl.PEM_cert_to_DER_cert(made.certificate)
        self.sha256 = hashlib.sha256(der).hexdigest()
        own_files.replace(self.certificate, made.certificate.encode(), 0o644)
        self._copied = b""
        self.renew_ca()

    def write_key(self, user_id: int | None) -> None:
        """Anew for each start, while the folder is shut: the last Postgres owned what lies there.

        Postgres takes a key only from its own user, or from root. Raises OSError.
        """
        own_files.replace(self.key, self._key, 0o600, user_id)

    def renew_ca(self) -> bool:
        """Whether the CA's certificate has changed since the last copy; Postgres reads the new one
        at its next start or reload."""
        present = self._ca_source.read_bytes()
        if present == self._copied:
            return False
        own_files.replace(self.ca, present, 0o644)
        self._copied = present
        return True


def _self_signed() -> Pair:
    now = dt.datetime.now(dt.UTC)
    span = Span(now - dt.timedelta(days=1), now + dt.timedelta(days=_DAYS))
    return make_self_signed("postgres.torpor", span)
