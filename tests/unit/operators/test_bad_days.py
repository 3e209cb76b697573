"""An API server that is away, watches that end, an operator that is started anew."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.certificates import Authority, Key
from support.fake_kube.server import FakeKube
from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds
from torpor_operator.adapters.keys import make_authority, read_leaf
from torpor_operator.core.certificates import GIVEN_SECRET

SOON_S = 0.01
"""Before what has failed is tried again: the lost replies of one look add up to many seconds."""


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with serving() as fake:
        add_pool(fake)
        yield fake


def is_provided(world: World, name: str) -> bool:
    return "binding" in (world.database(name).get("status") or {})


def password(world: World, name: str) -> str:
    secret = world.get(kinds.SECRET, f"{name}-app")
    assert secret is not None
    return base64.b64decode(secret["data"]["password"]).decode()


async def test_while_the_server_is_away_nothing_is_lost(fake: FakeKube, tmp_path: Path) -> None:
    async with operating(fake, tmp_path) as world:
        world.make("before")
        await world.until("it is provided", lambda: is_provided(world, "before"))
        with fake.faults.away():
            fake.cut_watches()
            world.make("meanwhile")
            world.delete(kinds.SERVICE, "before")
            await asyncio.sleep(0.3)
            assert world.get(kinds.SERVICE, "before") is None
        await world.until("the new one is provided", lambda: is_provided(world, "meanwhile"))
        await world.until("what was lost is back", lambda: world.get(kinds.SERVICE, "before"))


async def test_what_happened_while_a_watch_was_interrupted_is_made_good(
    fake: FakeKube, tmp_path: Path
) -> None:
    async with operating(fake, tmp_path) as world:
        world.make("shop")
        await world.until("it is provided", lambda: is_provided(world, "shop"))
        fake.cut_watches()
        world.delete(kinds.SERVICE, "shop")
        fake.objects.compact()  # The deletion is told to nobody any more: only a list shows it.
        await world.until("the Service is back", lambda: world.get(kinds.SERVICE, "shop"))


async def test_lost_replies_make_no_second_password(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torpor_operator.work_queue.PAUSE_S_MIN", SOON_S)
    async with operating(fake, tmp_path) as world:
        with fake.faults.lose_replies():
            world.make("shop")
            await world.until("its Secret is there", lambda: world.get(kinds.SECRET, "shop-app"))
            first = password(world, "shop")
        await world.until("it is provided", lambda: is_provided(world, "shop"))
        await world.settled()
        assert password(world, "shop") == first


async def test_another_operator_finds_all_as_it_is(fake: FakeKube, tmp_path: Path) -> None:
    async with operating(fake, tmp_path / "first") as world:
        for number in range(5):
            world.make(f"db-{number}")
        for number in range(5):
            await world.until("provided", partial(is_provided, world, f"db-{number}"))
        await world.settled()
    before = {key: stored.document for key, stored in fake.objects.stored.items()}
    async with operating(fake, tmp_path / "second") as world:
        world.make("next")
        await world.until("the next one is provided", lambda: is_provided(world, "next"))
        await world.settled()
        for key, document in before.items():
            if key[0] in (kinds.SECRET, kinds.SERVICE, kinds.SERVERLESS_DATABASE):
                assert fake.objects.stored[key].document == document
        taken = [
            world.database(f"db-{number}")["status"]["storage"]["userId"] for number in range(5)
        ]
        assert world.database("next")["status"]["storage"]["userId"] not in taken


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["ECDSA", "RSA"],
)
async def test_a_foreign_authority_is_used_and_left_alone(
    fake: FakeKube, tmp_path: Path, key: Key
) -> None:
    """As cert-manager would write it, whose keys are of RSA where nobody says otherwise."""
    foreign = Authority("theirs", key)
    data = {"tls.crt": foreign.certificate, "tls.key": foreign.key}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    theirs = {"metadata": {"name": GIVEN_SECRET, "namespace": SYSTEM}, "data": encoded}
    fake.objects.create(kinds.SECRET, theirs)
    async with operating(fake, tmp_path) as world:
        await world.until(
            "there are certificates", lambda: world.get(kinds.SECRET, "torpor-proxy-tls", SYSTEM)
        )
        authority = world.get(kinds.SECRET, GIVEN_SECRET, SYSTEM)
        leaf = world.get(kinds.SECRET, "torpor-proxy-tls", SYSTEM)
        assert authority and leaf and authority["data"] == encoded
        assert base64.b64decode(leaf["data"]["ca.crt"]).decode() == foreign.certificate
        certificate = base64.b64decode(leaf["data"]["tls.crt"]).decode()
        assert read_leaf(certificate, None, [foreign.certificate]).signed_by


async def test_whose_certificate_the_proxy_shows_clients_are_told(
    fake: FakeKube, tmp_path: Path
) -> None:
    """As cert-manager would write it: with the certificate of another authority beside it."""
    pair = make_authority(1_700_000_000.0)
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": "theirs"}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    encoded["keystore.p12"] = base64.b64encode(b"\xff\xfe").decode()
    head = {"name": "torpor-proxy-server-tls", "namespace": SYSTEM}
    fake.objects.create(kinds.SECRET, {"metadata": head, "data": encoded})
    async with operating(fake, tmp_path) as world:
        world.make("shop")
        await world.until("its Secret is there", lambda: world.get(kinds.SECRET, "shop-app"))
        await world.settled()
        binding = world.get(kinds.SECRET, "shop-app")
        assert binding and base64.b64decode(binding["data"]["ca.crt"]) == b"theirs"
        shown = world.get(kinds.SECRET, "torpor-proxy-server-tls", SYSTEM)
        assert shown and shown["data"] == encoded


async def test_a_database_that_went_while_a_watch_was_interrupted_is_forgotten(
    fake: FakeKube, tmp_path: Path
) -> None:
    async with operating(fake, tmp_path) as world:
        for name in ("shop", "other"):
            world.make(name)
        await world.until("it is provided", lambda: is_provided(world, "shop"))
        with fake.faults.away():
            fake.cut_watches()
            # Its finalizer is taken away as well: the operator has no part in its end.
            key = (kinds.SERVERLESS_DATABASE, "default", "shop")
            fake.objects.patch(key, {"metadata": {"finalizers": []}}, "")
            world.delete(kinds.SERVERLESS_DATABASE, "shop")
            fake.objects.compact()
        databases = world.operator.cache.databases
        await world.until("it is forgotten", lambda: [key.name for key in databases] == ["other"])
        await world.until(
            "nothing of it is left",
            lambda: world.get(kinds.SECRET, "verifiers-default.shop", SYSTEM) is None,
        )


async def test_no_compute_is_started_for_a_pool_that_went_unheard(
    fake: FakeKube, tmp_path: Path
) -> None:
    async with operating(fake, tmp_path) as world:
        await world.until("a compute waits", lambda: len(world.pods()) == 1)
        ghost = world.operator.cache.pools["default"]
        world.delete(kinds.WARM_POOL, "default", SYSTEM)
        for pod in world.pods():
            key = (kinds.POD, SYSTEM, pod["metadata"]["name"])
            fake.objects.patch(key, {"metadata": {"finalizers": []}}, "")
        await world.until("it is gone", lambda: not world.get(kinds.WARM_POOL, "default", SYSTEM))
        leading, cache = world.operator.leading, world.operator.cache
        leading.pool_changed(ghost, is_gone=False)  # And nothing tells of its end.
        await world.until("it is forgotten", lambda: "default" not in cache.pools)
        assert world.pods() == []


async def test_pods_that_wait_for_their_certificates_are_touched_when_these_are_made(
    fake: FakeKube, tmp_path: Path
) -> None:
    """A kubelet looks at once where a pod changes, and else within a minute or two."""
    whole = {"name": "torpor", "instance": "torpor", "component": "proxy"}
    for name, other in {
        "proxy-1": {},
        "autoscaler-1": {"component": "autoscaler"},
        "operator-1": {"component": "operator"},
        "proxy-of-another-release": {"instance": "other"},
        "proxy-of-somebody-else": {"name": "envoy"},
    }.items():
        labels = {f"app.kubernetes.io/{key}": value for key, value in (whole | other).items()}
        metadata = {"name": name, "namespace": SYSTEM, "labels": labels}
        fake.objects.create(kinds.POD, {"metadata": metadata, "spec": {}})
    async with operating(fake, tmp_path) as world:

        def touched() -> set[str]:
            return {
                pod["metadata"]["name"]
                for pod in world.pods()
                if "torpor.dev/certificate-written" in pod["metadata"].get("annotations", {})
            }

        await world.until("both are touched", lambda: touched() == {"proxy-1", "autoscaler-1"})
        assert world.get(kinds.SECRET, "torpor-autoscaler-tls", SYSTEM) is not None
