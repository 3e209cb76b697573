"""Secrets of certificates as somebody has written them, and two operators that make the first."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.certificates import Authority, Key
from support.fake_kube.server import FakeKube
from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_channel import issuing
from torpor_channel.issuing import Pair, Span
from torpor_kube import kinds
from torpor_operator.adapters.keys import make_authority
from torpor_operator.core.certificates import AUTHORITY_S, GIVEN_SECRET

OURS = {"app.kubernetes.io/managed-by": "torpor-operator", "app.kubernetes.io/name": "torpor"}

MADE_AT = 1_700_000_000.0


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with serving() as fake:
        add_pool(fake)
        yield fake


def write(fake: FakeKube, name: str, data: dict[str, bytes], labels: dict[str, str]) -> None:
    metadata = {"name": name, "namespace": SYSTEM, "labels": labels}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    fake.objects.create(kinds.SECRET, {"metadata": metadata, "data": encoded})


def notes(world: World) -> list[str]:
    told = world.fake.objects.all(kinds.EVENT, SYSTEM)
    return [one["note"] for one in told if one["reason"] == "CertificateUnusable"]


def is_provided(world: World, name: str = "shop") -> bool:
    return "binding" in (world.database(name).get("status") or {})


def pair(made_at: float = MADE_AT) -> dict[str, bytes]:
    return encoded(make_authority(made_at))


def span(days: float = 90) -> Span:
    begins = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    return Span(begins, begins + dt.timedelta(days=days))


def encoded(made: Pair) -> dict[str, bytes]:
    return {"tls.crt": made.certificate.encode(), "tls.key": made.key.encode()}


def signed_by_another() -> dict[str, bytes]:
    root = issuing.make_authority("root", span())
    return encoded(issuing.make_leaf(root, "below", ["below"], span()))


def that_may_not_sign() -> dict[str, bytes]:
    return encoded(issuing.make_self_signed("somebody", span()))


def without_identifier() -> dict[str, bytes]:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(span().begins)
        .not_valid_after(span().ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"tls.crt": made.public_bytes(Encoding.PEM), "tls.key": pem}


def of_key(key: Key) -> dict[str, bytes]:
    made = Authority(key=key)
    return {"tls.crt": made.certificate.encode(), "tls.key": made.key.encode()}


SIGNED_BY_ANOTHER = "its tls.crt is signed by another authority: use one that signs itself"


@pytest.mark.parametrize(
    ("secret", "labels", "data", "why"),
    [
        ("torpor-ca", {}, pair(), "somebody else has made it: yours is torpor-ca-given"),
        ("torpor-ca", OURS, {**pair(), "tls.crt": b"oops"}, "its tls.crt is no certificate"),
        ("torpor-ca", OURS, {**pair(), "tls.crt": b"\xff\xfe"}, "its tls.crt is no text"),
        ("torpor-ca", OURS, {**pair(), "next.spread-at": b"?"}, "its next.spread-at is no time"),
        (GIVEN_SECRET, {}, {"ca.crt": b"x"}, "Secret torpor-ca-given: it has no tls.crt"),
        (GIVEN_SECRET, {}, {}, "Secret torpor-ca-given: it has no tls.crt"),
        (GIVEN_SECRET, {}, {**pair(), "tls.crt": b"oops"}, "its tls.crt is no certificate"),
        (GIVEN_SECRET, {}, {**pair(), "tls.key": b"oops"}, "its tls.key is no private key"),
        (GIVEN_SECRET, {}, {**pair(), "tls.key": pair()["tls.key"]}, "of another certificate"),
        (GIVEN_SECRET, {}, pair(MADE_AT - AUTHORITY_S), "its tls.crt has ended at 20"),
        (GIVEN_SECRET, {}, signed_by_another(), SIGNED_BY_ANOTHER),
        (GIVEN_SECRET, {}, that_may_not_sign(), "its tls.crt may sign no certificates"),
        (GIVEN_SECRET, {}, without_identifier(), "its tls.crt has no subject key identifier"),
        (
            GIVEN_SECRET,
            {},
            of_key(Ed25519PrivateKey.generate()),
            "is neither an ECDSA nor an RSA key",
        ),
    ],
    ids=[
        "somebody else's",
        "edited",
        "binary",
        "no time",
        "given without",
        "given empty",
        "given edited",
        "given no key",
        "given other key",
        "given long ago",
        "given below another",
        "given no authority",
        "given nameless",
        "given other sort",
    ],
)
async def test_an_authority_that_can_not_be_used_is_told_and_the_rest_goes_on(
    fake: FakeKube,
    tmp_path: Path,
    secret: str,
    labels: dict[str, str],
    data: dict[str, bytes],
    why: str,
) -> None:
    write(fake, secret, data, labels)
    async with operating(fake, tmp_path) as world:
        await world.until("it is told", lambda: any(why in note for note in notes(world)))
        world.make("shop")
        await world.until("a database is provided", lambda: is_provided(world))
        await world.until("a compute is started", world.pods)


@pytest.mark.parametrize(
    "broken",
    [["torpor-ca"], ["torpor-proxy-server-tls"], ["torpor-ca", "torpor-proxy-server-tls"]],
    ids=["authority", "shown", "both"],
)
async def test_whom_clients_trust_stays_while_a_certificate_can_not_be_used(
    fake: FakeKube, tmp_path: Path, broken: list[str]
) -> None:
    def trusted() -> str:
        secret = world.get(kinds.SECRET, "shop-app") or {"data": {}}
        return str(secret["data"].get("ca.crt", ""))

    async with operating(fake, tmp_path / "first") as world:
        world.make("shop")
        await world.until("it is provided", lambda: is_provided(world))
        await world.settled()
        before = trusted()
        assert before
    for secret in broken:
        no_text = {"data": {"tls.crt": base64.b64encode(b"\xff\xfe").decode()}}
        fake.objects.patch((kinds.SECRET, SYSTEM, secret), no_text, "")
    async with operating(fake, tmp_path / "second") as world:
        await world.until("it is told", lambda: notes(world))
        world.make("other")
        await world.until("another is provided", lambda: is_provided(world, "other"))
        await world.settled()
        assert trusted() == before


async def test_the_operators_own_certificate_of_somebody_else_lacks_an_authority(
    fake: FakeKube, tmp_path: Path
) -> None:
    write(fake, "torpor-operator-tls", pair(), {})
    async with operating(fake, tmp_path) as world:
        why = "Secret torpor-operator-tls: it has no ca.crt"
        await world.until("it is told", lambda: any(why in note for note in notes(world)))
        world.make("shop")
        await world.until("a database is provided", lambda: is_provided(world))
        assert (world.get(kinds.SECRET, "shop-app") or {})["data"].get("ca.crt")


async def test_of_two_operators_at_the_first_start_one_makes_the_authority(
    fake: FakeKube, tmp_path: Path
) -> None:
    async with operating(fake, tmp_path / "a") as world, operating(fake, tmp_path / "b"):
        await world.until(
            "both have certificates",
            lambda: all((tmp_path / one / "tls" / "ca.crt").exists() for one in "ab"),
        )
    made = [
        one.document["data"]["tls.crt"]
        for one in fake.objects.history
        if one.key == (kinds.SECRET, SYSTEM, "torpor-ca")
    ]
    assert len(set(made)) == 1


@pytest.mark.parametrize("is_readable", [True, False], ids=["sound", "no text"])
async def test_whom_clients_trust_stands_in_their_secrets_while_an_operator_starts(
    fake: FakeKube, tmp_path: Path, is_readable: bool
) -> None:
    """The proxy's certificate is somebody else's, as cert-manager makes it."""
    root = issuing.make_authority("theirs", span())
    leaf = issuing.make_leaf(root, "db.example.com", ["db.example.com"], span())
    shown = encoded(leaf) | {"ca.crt": root.certificate.encode()}
    write(fake, "torpor-proxy-server-tls", shown, {})
    shops = [f"shop{number}" for number in range(10)]
    async with operating(fake, tmp_path / "first") as world:
        for shop in shops:
            world.make(shop)
        await world.until("all are provided", lambda: all(is_provided(world, s) for s in shops))
        await world.settled()
        before = [secret(world, shop) for shop in shops]
    assert {base64.b64decode(one["data"]["ca.crt"]).decode() for one in before} == {
        root.certificate
    }
    if not is_readable:
        broken = {"data": {"tls.crt": base64.b64encode(b"\xff\xfe").decode()}}
        fake.objects.patch((kinds.SECRET, SYSTEM, "torpor-proxy-server-tls"), broken, "")
    async with operating(fake, tmp_path / "second") as world:
        await world.until("it has begun", world.operator.leading.is_complete.is_set)
        await world.settled()
        assert [secret(world, shop) for shop in shops] == before


def secret(world: World, name: str) -> dict[str, Any]:
    found = world.get(kinds.SECRET, f"{name}-app", "default")
    assert found is not None
    return found
