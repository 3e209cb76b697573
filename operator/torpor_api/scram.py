"""SCRAM-SHA-256 verifiers as Postgres stores them (RFC 5802, RFC 7677).

``SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>``, the last three in base64. A verifier
lets a server check a password without knowing it. Salts come from the caller: this module is pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import stringprep
import unicodedata
from dataclasses import dataclass

ITERATIONS_DEFAULT = 4096
"""Postgres's own default (``scram_iterations``)."""

SALT_BYTES = 16
"""Postgres's own salt length."""

_VERIFIER = re.compile(
    r"SCRAM-SHA-256\$(\d{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)"
)


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps of a password."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __str__(self) -> str:
        def text(raw: bytes) -> str:
            return base64.b64encode(raw).decode()

        return (
            f"SCRAM-SHA-256${self.iterations}:{text(self.salt)}"
            f"${text(self.stored_key)}:{text(self.server_key)}"
        )


def parse_verifier(text: str) -> Verifier | None:
    """The verifier in ``pg_authid.rolpassword``, or None where it is of another kind (md5)."""
    found = _VERIFIER.fullmatch(text)
    if found is None:
        return None
    try:
        salt, stored_key, server_key = (
            base64.b64decode(part, validate=True) for part in found.groups()[1:]
        )
    except ValueError:
        return None
    return Verifier(int(found[1]), salt, stored_key, server_key)


def verifier_of(password: str, salt: bytes, iterations: int = ITERATIONS_DEFAULT) -> Verifier:
    """The verifier of a password, as ``CREATE ROLE … PASSWORD`` would have made it."""
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return Verifier(
        iterations,
        salt,
        hashlib.sha256(client_key).digest(),
        hmac.digest(salted, b"Server Key", "sha256"),
    )


def prepare(password: str) -> bytes:
    """SASLprep (RFC 4013); what it refuses is used as it is, which is what Postgres does."""
    prepared = _saslprep(password)
    return (password if prepared is None else prepared).encode()


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def _saslprep(text: str) -> str | None:
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if not stringprep.in_table_b1(char)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not normal or any(prohibits(char) for char in normal for prohibits in _PROHIBITED):
        return None
    if any(stringprep.in_table_d1(char) for char in normal):
        is_mixed = any(stringprep.in_table_d2(char) for char in normal)
        if is_mixed or not (
            stringprep.in_table_d1(normal[0]) and stringprep.in_table_d1(normal[-1])
        ):
            return None
    return normal
