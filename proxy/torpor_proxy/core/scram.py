"""The server's side of SCRAM-SHA-256 and -PLUS (RFC 5802 and 7677; RFC 5929 for the binding).

Two steps, each a function of bytes. The password is never seen and nothing of the client's is kept.
For a user or endpoint that does not exist :func:`mock_verifier` gives an exchange of the same shape
and the same cost, which always fails at its end.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from torpor_api.scram import ITERATIONS_DEFAULT, SALT_BYTES, Verifier

PLAIN = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"

MESSAGE_BYTES_MAX = 4096
"""Longer than any real client's message; an unauthenticated client gets no more room."""

END_POINT = "tls-server-end-point"


class ScramFault(Exception):
    """The client's message breaks the protocol (not: a wrong password)."""


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """What is left of client-first-message."""

    gs2_header: str
    bare: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """After server-first-message."""

    verifier: Verifier
    client: ClientFirst
    server_first: str
    nonce: str
    channel_binding: bytes


def mechanisms(*, has_channel_binding: bool) -> list[str]:
    """In the order of preference."""
    return [PLUS, PLAIN] if has_channel_binding else [PLAIN]


def mock_verifier(secret: bytes, endpoint: str, user: str) -> Verifier:
    """The same salt for the same name every time, as a real role would have."""
    name = f"{endpoint}\0{user}".encode()
    salt = hmac.digest(secret, b"salt" + name, "sha256")[:SALT_BYTES]
    nobody = hmac.digest(secret, b"key" + name, "sha256")
    return Verifier(ITERATIONS_DEFAULT, salt, nobody, nobody)


def parse_initial_response(body: bytes) -> tuple[str, bytes]:
    """Mechanism and client-first-message of a SASLInitialResponse. Raises ScramFault."""
    name, zero, rest = body.partition(b"\0")
    length = int.from_bytes(rest[:4], "big", signed=True)
    if not zero or len(rest) < 4 or length != len(rest) - 4:
        raise ScramFault("malformed SASLInitialResponse")
    return name.decode(errors="replace"), rest[4:]


def parse_client_first(message: bytes, mechanism: str, *, has_channel_binding: bool) -> ClientFirst:
    """Raises ScramFault for anything that RFC 5802 does not allow here."""
    words = _decode(message)
    flag, comma, rest = words.partition(",")
    authzid, comma, bare = rest.partition(",")
    if not comma or authzid:
        raise ScramFault("malformed client-first-message: no gs2 header, or an authorization id")
    _check_flag(flag, mechanism, has_channel_binding=has_channel_binding)
    attributes = bare.split(",")
    if len(attributes) < 2 or attributes[0][:2] != "n=" or attributes[1][:2] != "r=":
        raise ScramFault("malformed client-first-message: expected n= and r=")
    nonce = attributes[1][2:]
    if not nonce or not all("!" <= char <= "~" for char in nonce):
        raise ScramFault("malformed client-first-message: the nonce is not printable")
    return ClientFirst(f"{flag},,", bare, nonce)


def _check_flag(flag: str, mechanism: str, *, has_channel_binding: bool) -> None:
    if mechanism == PLUS:
        if flag != f"p={END_POINT}":
            raise ScramFault(f"unsupported channel binding {flag!r}: {END_POINT} is")
    elif mechanism != PLAIN:
        raise ScramFault(f"unsupported mechanism {mechanism!r}")
    elif flag == "y" and has_channel_binding:
        # The client supports it and believes that we don't: somebody has cut our offer.
        raise ScramFault("the client did not see the offer of channel binding")
    elif flag not in ("n", "y"):
        raise ScramFault(f"unexpected channel binding flag {flag!r}")


def begin(
    verifier: Verifier, client: ClientFirst, server_nonce: str, channel_binding: bytes
) -> Exchange:
    """``server_nonce``: fresh, printable, from a source that can't be guessed."""
    nonce = client.nonce + server_nonce
    salt = base64.b64encode(verifier.salt).decode()
    server_first = f"r={nonce},s={salt},i={verifier.iterations}"
    return Exchange(verifier, client, server_first, nonce, channel_binding)


def finish(exchange: Exchange, message: bytes) -> bytes | None:
    """server-final-message, or None for a wrong password. Raises ScramFault."""
    words = _decode(message)
    without_proof, comma, proof_text = words.rpartition(",p=")
    if not comma:
        raise ScramFault("malformed client-final-message: no proof")
    attributes = without_proof.split(",")
    is_plus = exchange.client.gs2_header[0] == "p"
    binding = exchange.client.gs2_header.encode() + exchange.channel_binding * is_plus
    if attributes[0] != "c=" + base64.b64encode(binding).decode():
        raise ScramFault("channel binding does not match")
    if len(attributes) < 2 or attributes[1] != f"r={exchange.nonce}":
        raise ScramFault("the nonce does not match")
    proof = _base64(proof_text)
    auth = f"{exchange.client.bare},{exchange.server_first},{without_proof}".encode()
    signature = hmac.digest(exchange.verifier.stored_key, auth, "sha256")
    client_key = bytes(a ^ b for a, b in zip(signature, proof, strict=False))
    stored = hashlib.sha256(client_key).digest()
    if len(proof) != 32 or not hmac.compare_digest(stored, exchange.verifier.stored_key):
        return None
    return b"v=" + base64.b64encode(hmac.digest(exchange.verifier.server_key, auth, "sha256"))


def _decode(message: bytes) -> str:
    if len(message) > MESSAGE_BYTES_MAX:
        raise ScramFault(f"message of {len(message)} bytes, allowed are {MESSAGE_BYTES_MAX}")
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise ScramFault("message is not UTF-8") from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ScramFault("the proof is not base64") from None
