"""An authority that somebody else makes and renews, as cert-manager does: with real keys, at any
time. Nobody of those who may still have a Secret as it was is distrusted by anybody."""

from __future__ import annotations

import base64
import datetime as dt
import ssl
import time
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from support.operating import SYSTEM, World, add_pool, operating, serving
from support.release_certificates import Release
from support.tls_clients import met
from torpor_channel.issuing import Pair, Span, make_authority
from torpor_kube import kinds
from torpor_kube.login import at
from torpor_kube.server import ApiServer
from torpor_operator.core.certificates import (
    AUTHORITY_SECRET,
    DAY_S,
    GIVEN_SECRET,
    SPREAD_S,
    component_leaves,
)
from torpor_operator.core.server_certificates import SERVER_SECRET

LOOK_S = DAY_S / 4

Version = tuple[float, dict[str, dict[str, str]]]
"""When it was seen, and each component's Secret."""

PARTS = component_leaves()

NAMES = {one.secret: one.names[0] for one in PARTS}


class Parts:
    """Whatever the pods of all components may have of their Secrets, while the keeper looks."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.versions: list[Version] = []
        self.pairs = 0

    async def live(self, days: float) -> None:
        until = self.release.time_s + days * DAY_S
        while self.release.time_s < until:
            await self.release.look(["team"])
            self.see()
            self.release.time_s += LOOK_S

    def see(self) -> None:
        now = self.release.time_s
        self.versions.append((now, {name: self.release.secret(name) or {} for name in NAMES}))
        self.versions = [one for one in self.versions if one[0] >= now - SPREAD_S]
        there = [part for _, secrets in self.versions for part in secrets.items()]
        shown = {(name, files["tls.crt"]) for name, files in there}
        bundles = {files["ca.crt"] for _, files in there}
        for (name, certificate), bundle in product(shown, bundles):
            verify(certificate, bundle, NAMES[name], now)
            self.pairs += 1

    @property
    def authority(self) -> dict[str, str]:
        return self.release.secret(AUTHORITY_SECRET) or {}

    def give(self, days: float = 90) -> dict[str, str]:
        """A new one under the same name, in place of the one that was there."""
        given = files_of(made_at(self.release.time_s, days))
        self.release.write(GIVEN_SECRET, given)
        return given

    def take(self) -> None:
        self.release.fake.objects.delete((kinds.SECRET, SYSTEM, GIVEN_SECRET), {}, None)


def verify(certificate: str, bundle: str, name: str, now: float) -> None:
    """Raises for a chain that is not good then, or is another name's."""
    store = Store(x509.load_pem_x509_certificates(bundle.encode()))
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    verifier = PolicyBuilder().store(store).time(moment).build_server_verifier(x509.DNSName(name))
    verifier.verify(x509.load_pem_x509_certificate(certificate.encode()), [])


def made_at(now: float, days: float) -> Pair:
    begins = dt.datetime.fromtimestamp(now, dt.UTC)
    return make_authority("theirs", Span(begins, begins + dt.timedelta(days=days)))


def files_of(made: Pair) -> dict[str, str]:
    return {"tls.crt": made.certificate, "tls.key": made.key}


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with serving() as fake:
        kube = ApiServer(at(fake.url))
        yield Parts(Release(fake, kube, tmp_path))
        await kube.close()


async def test_each_renewal_is_trusted_by_everybody_before_it_signs(parts: Parts) -> None:
    given = parts.give()
    await parts.live(2)
    assert parts.authority == given, "there was none to wait for"
    for _ in range(2):
        before, given = given, parts.give()
        await parts.live(1)
        assert parts.authority["tls.crt"] == before["tls.crt"], "it has yet to spread"
        assert parts.release.keeper.ca_certificate == before["tls.crt"] + given["tls.crt"]
        await parts.live(3)
        assert parts.authority == given
    assert parts.pairs > 300


async def test_of_two_renewals_within_a_day_the_first_never_signs(parts: Parts) -> None:
    first = parts.give()
    await parts.live(2)
    second = parts.give()
    await parts.live(0.75)
    third = parts.give()
    signing = []
    for _ in range(16):
        await parts.live(0.25)
        signing.append(parts.authority["tls.crt"])
    assert second["tls.crt"] not in signing and signing[0] == first["tls.crt"]
    assert parts.authority == third


async def test_clients_tell_two_of_the_same_name_apart(parts: Parts) -> None:
    release = parts.release
    release.time_s = time.time() - 3 * DAY_S  # It is to end before the clients' own.
    first = parts.give()["tls.crt"]
    await parts.live(0.5)
    second = parts.give()["tls.crt"]
    await parts.live(1.5)
    assert parts.authority["tls.crt"] == second
    for bundle in (first + second, second + first):
        client = ssl.create_default_context(cadata=bundle)
        await met(release.proxy(), client, "shop.team.svc")


async def test_one_of_our_own_gives_way_to_it_and_comes_back(parts: Parts) -> None:
    await parts.live(2)
    own = parts.authority
    given = parts.give()
    await parts.live(4)
    assert parts.authority == given
    assert await parts.release.look(["team"]) == DAY_S / 2, "to renew it is somebody else's"
    parts.take()
    await parts.live(4)
    assert sorted(parts.authority) == ["tls.crt", "tls.key"]
    assert parts.authority["tls.crt"] not in (own["tls.crt"], given["tls.crt"])


async def test_one_that_is_spoilt_later_holds_up_nothing(parts: Parts) -> None:
    given = parts.give()
    await parts.live(1)
    parts.release.write(GIVEN_SECRET, {"tls.crt": "oops"})
    assert await parts.release.look(["team", "other"]) > 60
    assert "other" in parts.release.shown(), "it is signed by the one that is in use"
    (note,) = parts.release.notes("CertificateUnusable")
    assert f"Secret {GIVEN_SECRET}: its tls.crt is no certificate" in note
    assert parts.authority == given


async def test_one_that_nobody_renews_is_replaced_when_it_has_ended(parts: Parts) -> None:
    given = parts.give(days=2)
    await parts.live(2)
    await parts.release.look(["team"])
    (note,) = parts.release.notes("CertificateUnusable")
    assert "its tls.crt has ended at 20" in note
    parts.versions.clear()  # Of these nobody trusts anybody any more.
    await parts.live(1)
    assert parts.authority["tls.crt"] != given["tls.crt"]


async def test_what_is_issued_into_a_secret_of_ours_is_somebody_elses(parts: Parts) -> None:
    """cert-manager leaves our label in a Secret that it finds, and our ca.crt where it has none."""
    await parts.live(0.25)
    assert parts.release.keeper.ca_certificate
    theirs = files_of(made_at(parts.release.time_s, 90))
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in theirs.items()}
    document = {
        "metadata": {"annotations": {"cert-manager.io/certificate-name": "torpor-server"}},
        "type": "kubernetes.io/tls",
        "data": encoded,
    }
    key = (kinds.SECRET, SYSTEM, SERVER_SECRET)
    parts.release.fake.objects.apply(key, document, "cert-manager", "")
    for _ in range(2):
        await parts.live(0.25)
        assert parts.release.secret(SERVER_SECRET) == theirs, "ca.crt was of the one before"
        assert parts.release.keeper.ca_certificate == "", "whom clients trust anyway"


async def test_a_renewal_is_noticed_at_once(parts: Parts, tmp_path: Path) -> None:
    """In Secrets that have no label of ours."""
    release, given = parts.release, files_of(made_at(time.time(), 90))
    release.write(SERVER_SECRET, {**given, "ca.crt": "theirs"})
    add_pool(release.fake)
    async with operating(release.fake, tmp_path) as world:
        world.make("shop")
        await world.until("clients hear of it", lambda: told(world) == "theirs")
        await world.settled()
        release.write(GIVEN_SECRET, given)
        await world.until("it is to sign", lambda: parts.authority.get("next.crt"))
        release.write(SERVER_SECRET, {"ca.crt": "others"})
        await world.until("clients hear of the next one", lambda: told(world) == "others")


def told(world: World) -> str:
    """Whom clients are to trust, by a database's Secret."""
    secret = world.get(kinds.SECRET, "shop-app") or {"data": {}}
    return base64.b64decode(secret["data"].get("ca.crt", "")).decode()
