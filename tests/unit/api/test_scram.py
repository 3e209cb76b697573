"""SCRAM verifiers against the published example of RFC 7677 and the table of RFC 4013."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramMechanism

from torpor_api.scram import Verifier, parse_verifier, prepare, verifier_of

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
AUTH_MESSAGE = (
    f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={NONCE}"
).encode()
PROOF = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SERVER_SIGNATURE = base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_the_example_of_rfc_7677() -> None:
    verifier = verifier_of("pencil", SALT, 4096)
    assert hmac.digest(verifier.server_key, AUTH_MESSAGE, "sha256") == SERVER_SIGNATURE
    signature = hmac.digest(verifier.stored_key, AUTH_MESSAGE, "sha256")
    client_key = bytes(a ^ b for a, b in zip(PROOF, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == verifier.stored_key


@given(st.text("aZ09 ä€ªⅨ\u00a0", min_size=1, max_size=20), st.binary(min_size=12, max_size=32))
def test_another_implementation_makes_the_same_of_it(password: str, salt: bytes) -> None:
    mechanism = ScramMechanism("SCRAM-SHA-256")
    _, stored_key, server_key, _ = mechanism.make_auth_info(password, 4096, salt)
    verifier = verifier_of(password, salt, 4096)
    assert (verifier.stored_key, verifier.server_key) == (stored_key, server_key)


def test_another_password_has_another_verifier() -> None:
    assert verifier_of("pencils", SALT).stored_key != verifier_of("pencil", SALT).stored_key
    assert verifier_of("pencil", b"x" * 16).stored_key != verifier_of("pencil", SALT).stored_key


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),  # the table of RFC 4013, section 3
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),  # a space that is not ASCII's
        ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),  # right to left, and whole
    ],
)
def test_passwords_are_prepared(password: str, prepared: str) -> None:
    assert prepare(password) == prepared.encode()


@pytest.mark.parametrize(
    "password", ["\u0007", "\u0627\u0031", "\u0627a\u0628", "\u0221", "\u00ad"]
)
def test_what_is_prohibited_is_used_as_it_is(password: str) -> None:
    """Control characters, mixed directions, unassigned code points, nothing left: as Postgres."""
    assert prepare(password) == password.encode()


@given(
    st.integers(1, 999_999_999),
    st.binary(min_size=1, max_size=64),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)
def test_a_verifier_survives_being_written_and_read(
    iterations: int, salt: bytes, stored_key: bytes, server_key: bytes
) -> None:
    verifier = Verifier(iterations, salt, stored_key, server_key)
    assert parse_verifier(str(verifier)) == verifier


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5a6343a68d964ca596d9752250d54bb8a",
        "SCRAM-SHA-256$4096:c2FsdA==$a2V5",
        "SCRAM-SHA-256$-1:c2FsdA==$a2V5$a2V5",
        "SCRAM-SHA-256$4096:=c2FsdA$a2V5:a2V5",
        "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5\n",
    ],
)
def test_what_is_no_verifier_is_none(text: str) -> None:
    assert parse_verifier(text) is None


@given(st.text())
def test_any_text_is_a_verifier_or_none(text: str) -> None:
    parse_verifier(f"SCRAM-SHA-256${text}")
    parse_verifier(text)
