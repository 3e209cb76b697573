"""What belongs to a database is believed; what only says so, by its labels, is not."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_api.scram import parse_verifier, verifier_of
from torpor_kube import kinds
from torpor_kube.kinds import Kind
from torpor_kube.login import at
from torpor_kube.port import Document
from torpor_kube.server import ApiServer
from torpor_operator.core.actions import Repair
from torpor_operator.core.cache import Cache
from torpor_operator.core.seen import see_child
from torpor_operator.executor import Executor, Stale
from torpor_operator.main import SystemClock
from torpor_operator.notes import Notes

LABELS = {
    "app.kubernetes.io/managed-by": "torpor-operator",
    "torpor.dev/database": "shop",
    "torpor.dev/database-namespace": "prod",
}
"""Those of the objects of the database shop in prod."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving() as fake:
        add_pool(fake)
        for name in ("prod", "evil"):
            fake.objects.create(kinds.NAMESPACE, {"metadata": {"name": name}})
        async with operating(fake, tmp_path) as world:
            yield world


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def password(world: World, name: str, namespace: str = "prod") -> str:
    secret = world.get(kinds.SECRET, name, namespace)
    return base64.b64decode(secret["data"]["password"]).decode() if secret else ""


def is_taken(world: World, word: str, role: str, name: str = "prod.shop") -> bool:
    """By the proxies, as the password of the database's role."""
    secret = world.get(kinds.SECRET, f"verifiers-{name}", SYSTEM)
    verifier = parse_verifier(base64.b64decode((secret or {})["data"][role]).decode())
    return verifier is not None and verifier_of(word, verifier.salt) == verifier


def condition(world: World, name: str, type: str, namespace: str = "prod") -> dict[str, Any]:
    status = world.database(name, namespace).get("status") or {}
    found = [one for one in status.get("conditions") or () if one["type"] == type]
    return found[0] if found else {}


async def provided(world: World, name: str, **spec: Any) -> None:
    world.make(name, "prod", **spec)
    await until_stored(world, name)


async def until_stored(world: World, name: str) -> None:
    def is_so() -> bool:
        return condition(world, name, "CredentialsReady").get("reason") == "Stored"

    await world.until(f"{name} is provided", is_so)
    await world.settled()


async def has_heard(world: World, marker: str) -> None:
    """All that was before: the news of another database come by the same watches."""
    await provided(world, marker)
    world.delete(kinds.SECRET, f"{marker}-app", "prod")
    await world.until("it is made anew", lambda: world.get(kinds.SECRET, f"{marker}-app", "prod"))
    await world.settled()


def secret(name: str, namespace: str, word: str, **whole: Any) -> Document:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": LABELS, **whole},
        "type": "servicebinding.io/postgresql",
        "data": {"password": b64(word)},
    }


async def test_a_secret_of_another_namespace_is_nobodys_whatever_its_labels_say(
    world: World,
) -> None:
    await provided(world, "shop")
    before = password(world, "shop-app")
    world.fake.objects.create(kinds.SECRET, secret("shop-app", "evil", "chosen by evil"))
    await has_heard(world, "marker")
    assert password(world, "shop-app") == before
    assert is_taken(world, before, "app") and not is_taken(world, "chosen by evil", "app")


async def test_nor_is_it_after_a_restart(world: World, tmp_path: Path) -> None:
    await provided(world, "shop")
    before = password(world, "shop-app")
    world.fake.objects.create(kinds.SECRET, secret("shop-app", "evil", "chosen by evil"))
    async with operating(world.fake, tmp_path / "second") as second:
        await has_heard(second, "marker")
    assert password(world, "shop-app") == before
    assert is_taken(world, before, "app")


@pytest.mark.parametrize("kind", [kinds.SECRET, kinds.SERVICE], ids=lambda kind: kind.kind)
@pytest.mark.parametrize("namespace", ["evil", "prod"])
async def test_what_only_says_that_it_belongs_to_it_is_not_deleted(
    world: World, kind: Kind, namespace: str
) -> None:
    await provided(world, "shop")
    theirs = {"metadata": {"name": "shop-old", "namespace": namespace, "labels": LABELS}}
    world.fake.objects.create(kind, theirs)
    await has_heard(world, "marker")
    world.delete(kinds.SERVERLESS_DATABASE, "shop", "prod")
    await world.until(
        "it is gone", lambda: world.get(kinds.SERVERLESS_DATABASE, "shop", "prod") is None
    )
    assert world.get(kind, "shop-old", namespace) is not None
    assert world.get(kinds.SECRET, "shop-app", "prod") is None


async def test_a_secret_with_the_labels_and_another_owner_is_told_and_left_alone(
    world: World,
) -> None:
    """It may be that of an earlier resource of this name, which the cluster has yet to collect."""
    owner = {"kind": "ServerlessDatabase", "name": "shop", "uid": "earlier", "controller": True}
    theirs = secret("shop-app", "prod", "of yore", ownerReferences=[owner])
    world.fake.objects.create(kinds.SECRET, theirs)
    world.make("shop", "prod")
    await world.until(
        "it is told",
        lambda: condition(world, "shop", "CredentialsReady").get("reason") == "NameTaken",
    )
    await world.settled()
    assert password(world, "shop-app") == "of yore"
    world.delete(kinds.SECRET, "shop-app", "prod")
    await until_stored(world, "shop")
    assert password(world, "shop-app") not in ("", "of yore")


OF_SHOP = {"roles": [{"name": "a-b"}], "databases": [{"name": "app", "owner": "a-b"}]}
OF_SHOP_A = {"roles": [{"name": "b"}], "databases": [{"name": "app", "owner": "b"}]}
"""Two that want one Secret: NAME-ROLE is shop-a-b for both."""


async def test_of_two_that_want_one_secret_the_second_says_whose_it_is(world: World) -> None:
    await provided(world, "shop-a", **OF_SHOP_A)
    before = password(world, "shop-a-b")
    world.make("shop", "prod", **OF_SHOP)
    await world.until(
        "it is told",
        lambda: condition(world, "shop", "CredentialsReady").get("reason") == "NameTaken",
    )
    message = condition(world, "shop", "CredentialsReady")["message"]
    assert "Secret shop-a-b belongs to ServerlessDatabase shop-a" in message
    await world.settled()
    assert password(world, "shop-a-b") == before


async def test_where_both_are_made_together_one_of_them_has_it(world: World) -> None:
    for name, spec in (("shop", OF_SHOP), ("shop-a", OF_SHOP_A)):
        world.make(name, "prod", **spec)

    def reasons() -> list[str]:
        both = [condition(world, name, "CredentialsReady") for name in ("shop", "shop-a")]
        return sorted(one.get("reason", "") for one in both)

    await world.until("both are told", lambda: reasons() == ["NameTaken", "Stored"])
    await world.settled()
    owner = (world.get(kinds.SECRET, "shop-a-b", "prod") or {})["metadata"]["ownerReferences"][0]
    role = "b" if owner["name"] == "shop-a" else "a-b"
    assert is_taken(world, password(world, "shop-a-b"), role, f"prod.{owner['name']}")


async def test_one_made_anew_with_another_type_has_the_password_that_it_says(
    world: World,
) -> None:
    """As backup tools do: its type can't be changed any more, which is told."""
    await provided(world, "shop")
    made = world.get(kinds.SECRET, "shop-app", "prod") or {}
    with world.fake.faults.away():
        world.fake.cut_watches()
        world.delete(kinds.SECRET, "shop-app", "prod")
        kept = {field: made["metadata"][field] for field in ("labels", "ownerReferences")}
        whole = {"name": "shop-app", "namespace": "prod", **kept}
        again = {"metadata": whole, "type": "Opaque", "data": {"password": b64("mine")}}
        world.fake.objects.create(kinds.SECRET, again)
    await world.until("it counts", lambda: is_taken(world, "mine", "app"))
    await world.until(
        "it is told",
        lambda: condition(world, "shop", "CredentialsReady").get("reason") == "Refused",
    )
    assert "type" in condition(world, "shop", "CredentialsReady")["message"]
    await world.settled()
    assert password(world, "shop-app") == "mine" and is_taken(world, "mine", "app")


async def test_a_label_that_somebody_changes_is_put_right(world: World) -> None:
    await provided(world, "shop")
    key = (kinds.SECRET, "prod", "shop-app")
    world.fake.objects.patch(key, {"metadata": {"labels": {"torpor.dev/database": "x"}}}, "")

    def label() -> str:
        found = world.get(kinds.SECRET, "shop-app", "prod") or {}
        return str(found["metadata"]["labels"]["torpor.dev/database"])

    await world.until("it is as it was", lambda: label() == "shop")


async def test_a_password_that_no_watch_has_told_yet_is_not_written_over(world: World) -> None:
    await provided(world, "shop")
    seen = see_child(kinds.SECRET, world.get(kinds.SECRET, "shop-app", "prod") or {})
    key = (kinds.SECRET, "prod", "shop-app")
    world.fake.objects.patch(key, {"data": {"password": b64("mine")}}, "")
    kube = ApiServer(at(world.fake.url))
    notes = Notes(kube, SystemClock(), "op-2")
    cache = Cache(SYSTEM)
    executor = Executor(kube, cache, world.others, world.others, notes, lambda targets: None)
    anew = secret("shop-app", "prod", "the former one")
    with pytest.raises(Stale):
        await executor.carry_out(Repair(kinds.SECRET, anew, seen))
    await kube.close()
    assert password(world, "shop-app") == "mine"


async def test_a_secret_of_a_person_that_is_made_anew_is_in_force_anew(world: World) -> None:
    """As a GitOps tool does it: the running compute has the former password."""
    labels = {"torpor.dev/database": "shop"}

    def mine(word: str) -> Document:
        place = {"name": "mine", "namespace": "prod", "labels": labels}
        return {"metadata": place, "data": {"password": b64(word)}}

    def offset() -> int:
        return int(world.database("shop", "prod")["status"]["storage"]["generationOffset"])

    world.fake.objects.create(kinds.SECRET, mine("first"))
    await provided(world, "shop", roles=[{"name": "app", "passwordSecret": {"name": "mine"}}])
    assert offset() == 0
    world.delete(kinds.SECRET, "mine", "prod")
    await world.until(
        "it is missed",
        lambda: condition(world, "shop", "CredentialsReady")["reason"] == "PasswordSecretMissing",
    )
    await world.settled()
    assert is_taken(world, "first", "app")  # Until there is another one.
    world.fake.objects.create(kinds.SECRET, mine("second"))
    await until_stored(world, "shop")
    assert is_taken(world, "second", "app")
    assert offset() == 1


async def test_a_first_password_that_comes_later_is_told_to_a_compute_that_runs(
    world: World,
) -> None:
    roles = [{"name": "app"}, {"name": "late", "passwordSecret": {"name": "mine"}}]
    world.make("shop", "prod", roles=roles)
    await world.until(
        "it is missed",
        lambda: (
            condition(world, "shop", "CredentialsReady").get("reason") == "PasswordSecretMissing"
        ),
    )
    await world.settled()
    labels = {"torpor.dev/database": "shop"}
    place = {"name": "mine", "namespace": "prod", "labels": labels}
    world.fake.objects.create(kinds.SECRET, {"metadata": place, "data": {"password": b64("x")}})
    await until_stored(world, "shop")
    assert world.database("shop", "prod")["status"]["storage"]["generationOffset"] == 1
    assert is_taken(world, "x", "late")


async def test_an_entry_that_somebody_adds_to_a_secret_is_his_own(world: World) -> None:
    await provided(world, "shop")
    key = (kinds.SECRET, "prod", "shop-app")
    world.fake.objects.patch(key, {"data": {"theirs": b64("x")}}, "")
    await has_heard(world, "marker")
    found = world.get(kinds.SECRET, "shop-app", "prod") or {}
    assert found["data"]["theirs"] == b64("x")
    asked = [one for one in world.fake.requests if one.endswith("/secrets/shop-app")]
    assert len(asked) < 20
