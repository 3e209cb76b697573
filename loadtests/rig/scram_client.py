"""The client's part of SCRAM-SHA-256 (RFC 7677), without channel binding."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import secrets
import struct
from collections.abc import Iterator

MECHANISM = b"SCRAM-SHA-256"

OK, SASL, SASL_CONTINUE, SASL_FINAL = 0, 10, 11, 12


class ScramClient:
    """Answers the server's authentication messages."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._first = f"n=,r={secrets.token_urlsafe(18)}"

    def answer(self, body: bytes) -> bytes | None:
        """The answer to an AuthenticationXXX message; None where none is wanted."""
        code, rest = struct.unpack("!I", body[:4])[0], body[4:]
        if code in (OK, SASL_FINAL):
            return None
        if code == SASL:
            assert MECHANISM in rest.split(b"\0"), f"the server offers {rest!r}"
            first = f"n,,{self._first}".encode()
            return MECHANISM + b"\0" + struct.pack("!I", len(first)) + first
        assert code == SASL_CONTINUE, f"authentication {code} is not known here"
        return self._final(rest.decode())

    def _final(self, server_first: str) -> bytes:
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        key = salted(self._password, fields["s"], int(fields["i"]))
        client_key = hmac.digest(key, b"Client Key", "sha256")
        without_proof = f"c=biws,r={fields['r']}"
        signed = f"{self._first},{server_first},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


def salted(password: str, salt: str, iterations: int) -> bytes:
    """What makes a login slow on purpose: a millisecond or two, at each one."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), iterations)


@contextlib.contextmanager
def with_one_password() -> Iterator[None]:
    """Where many clients are one role, its password is hashed once and not a thousand times."""
    global salted
    before, salted = salted, functools.cache(salted)
    try:
        yield
    finally:
        salted = before
