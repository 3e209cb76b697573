"""Certificates of hundreds of namespaces, in Secrets: made, renewed, and shown by a real proxy."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from support.certificates import Authority
from support.operating import SYSTEM, serving
from support.release_certificates import BEGINS, Release
from support.tls_clients import met
from torpor_kube import kinds
from torpor_kube.login import at
from torpor_kube.server import ApiServer
from torpor_operator.adapters.keys import make_authority, read_leaf
from torpor_operator.core import server_certificates
from torpor_operator.core.certificates import (
    AUTHORITY_RENEW_S,
    AUTHORITY_S,
    DAY_S,
    GIVEN_SECRET,
    LEAF_RENEW_S,
    LEAF_S,
)
from torpor_operator.core.server_certificates import (
    NAMESPACES_SECRET,
    SERVER_SECRET,
    part_of,
)


@pytest.fixture
async def release(tmp_path: Path) -> AsyncIterator[Release]:
    async with serving() as fake:
        kube = ApiServer(at(fake.url))
        yield Release(fake, kube, tmp_path)
        await kube.close()


def teams(count: int) -> list[str]:
    return [f"team-{number}" for number in range(count)]


async def test_clients_of_hundreds_of_namespaces_verify_their_names(
    release: Release, caplog: pytest.LogCaptureFixture
) -> None:
    release.time_s = time.time()  # Which is theirs.
    await release.look([*teams(300), "default"])
    assert "namespaces_without_certificate" not in caplog.messages
    proxy = release.proxy()
    client = ssl.create_default_context(cadata=release.keeper.ca_certificate)
    for host in (
        "shop.team-0.svc",
        "shop.team-299.svc.cluster.local",
        "shop.team-150.db.example",
        "shop.default.svc",
        "shop.db.example",
        "db.example",
        "proxy.system.svc",
    ):
        found = await met(proxy, client, host)
        assert found.end_point == found.sha256


async def test_clients_verify_what_an_authority_of_somebody_else_has_signed(
    release: Release,
) -> None:
    """Which calls its key in its own way."""
    release.time_s = time.time()
    foreign = Authority("theirs", rsa.generate_private_key(65537, 2048))
    release.write(GIVEN_SECRET, {"tls.crt": foreign.certificate, "tls.key": foreign.key})
    await release.look(["team"])
    client = ssl.create_default_context(cadata=foreign.certificate)
    for host in ("shop.team.svc", "proxy.system.svc"):
        await met(release.proxy(), client, host)


async def test_an_old_namespace_keeps_its_certificate_whoever_comes_and_goes(
    release: Release,
) -> None:
    await release.look(teams(250))
    first = release.shown()
    assert sorted(first) == sorted(teams(250))
    await release.look([*teams(400), "a-first-one", "default"])
    second = release.shown()
    assert {name: second[name] for name in first} == first
    assert {"a-first-one", "default", "team-399"} < set(second)
    requests = len(release.fake.requests)
    await release.look([*teams(400), "a-first-one", "default"])
    assert all(one.startswith("GET") for one in release.fake.requests[requests:])
    await release.look(teams(100))
    assert {name: release.shown()[name] for name in teams(100)} == {
        name: first[name] for name in teams(100)
    }


async def test_all_are_renewed_in_time(release: Release) -> None:
    await release.look(teams(40))
    first = release.shown()
    release.time_s += LEAF_S - LEAF_RENEW_S - 60
    assert await release.look(teams(50)) == 60
    assert {name: release.shown()[name] for name in first} == first
    release.time_s += 61
    await release.look(teams(50))
    second = release.shown()
    assert all(second[name] != text for name, text in first.items())
    assert await release.look(teams(50)) == DAY_S / 2


async def test_the_authority_is_replaced_while_clients_trust_both(release: Release) -> None:
    await release.look(teams(20))
    release.time_s += AUTHORITY_S - AUTHORITY_RENEW_S + 1
    for _ in range(8):  # Two steps, each a day after everybody has been told of the last one.
        trusted = release.keeper.ca_certificate
        await release.look(teams(20))
        for text in release.shown().values():
            signers = trusted.split("-----END CERTIFICATE-----\n")[:-1]
            whole = [f"{one}-----END CERTIFICATE-----\n" for one in signers]
            assert read_leaf(text, None, whole).signed_by, "clients trust who has signed it"
        release.time_s += DAY_S / 2 + 1
    authority = release.secret("torpor-ca") or {}
    assert sorted(authority) == ["tls.crt", "tls.key"], "the first one is dropped"
    assert all(
        read_leaf(text, None, [authority["tls.crt"]]).signed_by for text in release.shown().values()
    )


async def test_what_somebody_deletes_or_spoils_comes_back(release: Release) -> None:
    await release.look(teams(20))
    first = release.shown()
    key = (kinds.SECRET, SYSTEM, part_of("team-3"))
    swapped = first["team-3"].partition("-----BEGIN PRIVATE")[0] + first["team-4"]
    for spoiled in (None, "nothing", swapped):
        value = None if spoiled is None else base64.b64encode(spoiled.encode()).decode()
        release.fake.objects.patch(key, {"data": {"team-3.pem": value}}, "")
        await release.look(teams(20))
        assert read_leaf(release.shown()["team-3"], None, []).names[0] == "*.team-3.svc"
        assert release.shown()["team-3"] not in (spoiled, first["team-3"])
    release.fake.objects.delete(key, {}, None)
    await release.look(teams(20))
    assert sorted(release.shown()) == sorted(first)


async def test_who_comes_when_all_is_full_is_told_and_takes_nothing_from_others(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_certificates, "PARTS", 1)
    monkeypatch.setattr(server_certificates, "PART_BYTES_MAX", 20_000)
    old = teams(15)
    await release.look(old)
    first = release.shown()
    assert sorted(first) == sorted(old) and release.notes() == []
    everybody = ["a-first-one", *teams(40)]
    await release.look(everybody)
    second = release.shown()
    assert {name: second[name] for name in first} == first
    left_out = set(everybody) - set(second)
    (note,) = release.notes()
    assert len(left_out) > 10 and f"{len(left_out)} namespaces" in note and "verify-full" in note
    assert await release.look(everybody) > 60, "nothing is gained by looking again at once"
    release.time_s += LEAF_S - LEAF_RENEW_S + 1
    await release.look(everybody)
    assert set(release.shown()) == set(second), "they are renewed where they are"
    assert release.shown()["team-0"] != first["team-0"]
    await release.look([name for name in everybody if name not in old])
    assert left_out & set(release.shown()), "there is room where others have gone"


async def test_one_that_grows_beyond_what_a_secret_may_have_stays_as_it_is(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_certificates, "PARTS", 1)
    await release.look(teams(10))
    first = release.shown()
    monkeypatch.setattr(server_certificates, "PART_BYTES_RENEWED_MAX", 10_500)
    release.domains = ("db.example", f"{'long' * 15}.{'name' * 15}.example")
    assert await release.look(teams(10)) > 60
    second = release.shown()
    kept = [name for name in first if second[name] == first[name]]
    assert sorted(second) == sorted(first) and 0 < len(kept) < len(first)
    (note,) = release.notes()
    assert all(name in note for name in kept)


async def test_a_certificate_of_somebody_else_is_all_that_clients_are_shown(
    release: Release,
) -> None:
    await release.look(teams(20))
    assert release.shown()
    release.fake.objects.delete((kinds.SECRET, SYSTEM, SERVER_SECRET), {}, None)
    pair = make_authority(BEGINS)
    theirs = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": "theirs"}
    release.write(SERVER_SECRET, theirs)
    for _ in range(2):
        await release.look(teams(20))
        assert release.shown() == {}
        assert release.secret(SERVER_SECRET) == theirs
        assert release.keeper.ca_certificate == "theirs"


async def test_a_part_of_somebody_else_is_left_alone(release: Release) -> None:
    release.write(part_of("team-1"), {"team-1.pem": "theirs"})
    await release.look(["team-1"])
    assert release.secret(part_of("team-1")) == {"team-1.pem": "theirs"}


async def test_the_one_certificate_of_a_former_release_stays_until_it_is_renewed(
    release: Release,
) -> None:
    """Proxies of that release, and those that the new ones are yet to be mounted for, show it."""
    await release.look(teams(30))
    held = release.secret(SERVER_SECRET)
    assert held is not None and "*.team-29.svc" in read_leaf(held["tls.crt"], None, []).names
    for part in range(server_certificates.PARTS):
        key = (kinds.SECRET, SYSTEM, f"{NAMESPACES_SECRET}{part}")
        if key in release.fake.objects.stored:
            release.fake.objects.delete(key, {}, None)
    await release.look(teams(30))
    assert release.secret(SERVER_SECRET) == held
    assert sorted(release.shown()) == sorted(teams(30))
