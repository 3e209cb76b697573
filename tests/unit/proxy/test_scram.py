"""The server's side of SCRAM against another project's client, RFC 7677, and broken clients."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient, ScramException

from torpor_api.scram import Verifier, verifier_of
from torpor_proxy.core import scram
from torpor_proxy.core.scram import PLAIN, PLUS, ScramFault

SALT = b"0123456789abcdef"

VERIFIER = verifier_of("secret", SALT, 4096)

END_POINT = b"\x01" * 32

FIRST = b"n,,n=,r=nonce"


def talk(password: str, verifier: Verifier, *, binding: bytes | None = None) -> bytes | None:
    """A whole exchange with scramp's client; the server's last word, which the client checked."""
    offered = scram.mechanisms(has_channel_binding=binding is not None)
    bound = None if binding is None else ("tls-server-end-point", binding)
    client = ScramClient(offered, "ignored", password, channel_binding=bound)
    first = scram.parse_client_first(
        client.get_client_first().encode(),
        client.mechanism_name,
        has_channel_binding=binding is not None,
    )
    exchange = scram.begin(verifier, first, "server", binding or b"")
    client.set_server_first(exchange.server_first)
    last = scram.finish(exchange, client.get_client_final().encode())
    if last is not None:
        client.set_server_final(last.decode())
    return last


def test_the_right_password() -> None:
    assert talk("secret", VERIFIER) is not None


def test_a_wrong_password() -> None:
    assert talk("Secret", VERIFIER) is None


def test_the_right_password_bound_to_the_channel() -> None:
    assert scram.mechanisms(has_channel_binding=True)[0] == PLUS
    assert talk("secret", VERIFIER, binding=END_POINT) is not None


def test_a_login_through_somebody_in_between_is_refused() -> None:
    client = ScramClient([PLUS], "x", "secret", channel_binding=("tls-server-end-point", END_POINT))
    first = scram.parse_client_first(
        client.get_client_first().encode(), PLUS, has_channel_binding=True
    )
    exchange = scram.begin(VERIFIER, first, "server", b"\x02" * 32)
    client.set_server_first(exchange.server_first)
    with pytest.raises(ScramFault, match="channel binding does not match"):
        scram.finish(exchange, client.get_client_final().encode())


def test_a_server_that_does_not_know_the_verifier_is_found_out_by_the_client() -> None:
    liar = Verifier(4096, SALT, VERIFIER.stored_key, b"\0" * 32)
    with pytest.raises(ScramException):
        talk("secret", liar)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20))
def test_any_password_that_scramp_accepts(password: str) -> None:
    verifier = verifier_of(password, SALT, 1)
    try:
        last = talk(password, verifier)
    except ScramException:
        return  # SASLprep refuses it there; Postgres takes such a password as it is.
    assert last is not None


def test_the_exchange_of_rfc_7677() -> None:
    verifier = verifier_of("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    first = scram.parse_client_first(
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", PLAIN, has_channel_binding=False
    )
    exchange = scram.begin(verifier, first, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", b"")
    assert exchange.server_first == (
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    final = (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert scram.finish(exchange, final) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


# --- faults ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        PLAIN.encode(),
        b"SCRAM-SHA-256\0",
        b"SCRAM-SHA-256\0\0\0\0",
        b"SCRAM-SHA-256\0\0\0\0\5abc",
        b"SCRAM-SHA-256\0\0\0\0\2abc",
        b"SCRAM-SHA-256\0\xff\xff\xff\xff",
    ],
)
def test_initial_responses_that_are_none(body: bytes) -> None:
    with pytest.raises(ScramFault, match="SASLInitialResponse"):
        scram.parse_initial_response(body)


def test_an_initial_response() -> None:
    assert scram.parse_initial_response(b"X\0\0\0\0\3abc") == ("X", b"abc")


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n",
        b"n,",
        b"n,,",
        b"n,,n=",
        b"n,,r=nonce,n=",
        b"n,,n=,r=",
        b"n,,n=,r=no nce",
        b"n,,n=,r=n\xc3\xa9",
        b"n,a=other,n=,r=nonce",
        b"n,,m=ext,n=,r=nonce",
        b"x,,n=,r=nonce",
        b"p=tls-unique,,n=,r=nonce",
        b"\xff",
        FIRST + b"x" * scram.MESSAGE_BYTES_MAX,
    ],
)
def test_first_messages_that_are_none(first: bytes) -> None:
    with pytest.raises(ScramFault):
        scram.parse_client_first(first, PLAIN, has_channel_binding=False)


def test_an_offer_that_was_cut_by_somebody_in_between() -> None:
    message = b"y,,n=,r=nonce"
    assert scram.parse_client_first(message, PLAIN, has_channel_binding=False).nonce == "nonce"
    with pytest.raises(ScramFault, match="did not see the offer"):
        scram.parse_client_first(message, PLAIN, has_channel_binding=True)


@pytest.mark.parametrize("flag", ["n", "y", "p=tls-unique", "p="])
def test_plus_without_its_binding(flag: str) -> None:
    with pytest.raises(ScramFault, match="unsupported channel binding"):
        scram.parse_client_first(f"{flag},,n=,r=nonce".encode(), PLUS, has_channel_binding=True)


def test_a_mechanism_that_nobody_offered() -> None:
    with pytest.raises(ScramFault, match="unsupported mechanism"):
        scram.parse_client_first(FIRST, "SCRAM-SHA-1", has_channel_binding=False)


PROOF = base64.b64encode(b"\0" * 32)


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws,r=nonceserver",
        b"c=biws,r=nonce,p=" + PROOF,
        b"c=biws,r=nonceserverx,p=" + PROOF,
        b"c=biws,p=" + PROOF,
        b"c=eSws,r=nonceserver,p=" + PROOF,
        b"r=nonceserver,c=biws,p=" + PROOF,
        b"c=biws,r=nonceserver,p=???",
        b"\xff",
        b"c=biws,r=nonceserver,p=" + b"A" * scram.MESSAGE_BYTES_MAX,
    ],
)
def test_final_messages_that_are_none(final: bytes) -> None:
    first = scram.parse_client_first(FIRST, PLAIN, has_channel_binding=False)
    with pytest.raises(ScramFault):
        scram.finish(scram.begin(VERIFIER, first, "server", b""), final)


@pytest.mark.parametrize("proof", [b"", b"\0", b"\0" * 31, b"\0" * 32, b"\0" * 33])
def test_proofs_of_any_length_prove_nothing(proof: bytes) -> None:
    first = scram.parse_client_first(FIRST, PLAIN, has_channel_binding=False)
    exchange = scram.begin(VERIFIER, first, "server", b"")
    final = b"c=biws,r=nonceserver,p=" + base64.b64encode(proof)
    assert scram.finish(exchange, final) is None


# --- strangers ---------------------------------------------------------------------------


def test_a_stranger_gets_the_same_salt_each_time_and_always_fails() -> None:
    secret = b"s" * 32
    mock = scram.mock_verifier(secret, "shop", "nobody")
    assert mock == scram.mock_verifier(secret, "shop", "nobody")
    others = [("shop", "other"), ("other", "nobody"), ("shopn", "obody")]
    salts = {scram.mock_verifier(secret, *name).salt for name in others}
    assert len(salts | {mock.salt}) == 4
    assert scram.mock_verifier(b"t" * 32, "shop", "nobody").salt != mock.salt
    assert (mock.iterations, len(mock.salt)) == (VERIFIER.iterations, len(VERIFIER.salt))
    assert talk("", mock) is None and talk("secret", mock) is None
