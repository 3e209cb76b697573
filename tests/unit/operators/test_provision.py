"""A database gets what it needs, keeps it, and has it again when somebody takes it away."""

from __future__ import annotations

import base64
from functools import partial

import pytest

from support.operating import SYSTEM, World
from torpor_api.scram import ITERATIONS_DEFAULT, Verifier, parse_verifier, verifier_of
from torpor_kube import kinds
from torpor_kube.port import Document
from torpor_operator.adapters.keys import read_leaf
from torpor_operator.core import credentials
from torpor_operator.core.naming import Key
from torpor_operator.core.server_certificates import part_of


def data(secret: Document | None) -> dict[str, str]:
    assert secret is not None
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def verifies(world: World, password: str) -> bool:
    """Whether the proxy would take it."""
    text = data(world.get(kinds.SECRET, "verifiers-default.shop", SYSTEM))["app"]
    verifier = parse_verifier(text)
    return verifier is not None and verifier_of(password, verifier.salt) == verifier


def condition(document: Document, type: str) -> tuple[str, str]:
    conditions = (document.get("status") or {}).get("conditions") or ()
    found = [one for one in conditions if one["type"] == type]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


async def provided(world: World, name: str = "shop", namespace: str = "default") -> Document:
    def is_so() -> bool:
        document = world.database(name, namespace)
        return condition(document, "CredentialsReady") == ("True", "Stored")

    await world.until(f"{name} is provided", is_so)
    await world.settled()
    return world.database(name, namespace)


async def test_a_new_database_gets_storage_credentials_and_a_name(world: World) -> None:
    world.make("shop")
    shop = await provided(world)
    assert shop["status"]["storage"] == {
        "userId": 100000,
        "directory": "/volumes/default.shop",
        "isMade": False,
        "claim": "torpor-pool-default",
        "namespace": SYSTEM,
        "generationOffset": 0,
    }
    assert shop["status"]["binding"] == {"name": "shop-app"}
    assert shop["metadata"]["finalizers"] == ["torpor.dev/storage"]
    secret = data(world.get(kinds.SECRET, "shop-app"))
    assert secret["host"] == "shop.default.svc"
    assert secret["uri"] == (
        f"postgresql://app:{secret['password']}@shop.default.svc:5432/app?sslmode=require"
    )
    assert verifies(world, secret["password"])
    service = world.get(kinds.SERVICE, "shop")
    assert service and service["spec"] == {
        "type": "ExternalName",
        "externalName": "torpor-proxy.torpor-system.svc.cluster.local",
    }


async def test_two_databases_never_share_a_user_id(world: World) -> None:
    for number in range(12):
        world.make(f"db-{number}")
    found = [await provided(world, f"db-{number}") for number in range(12)]
    assert len({one["status"]["storage"]["userId"] for one in found}) == 12


async def test_what_is_taken_away_or_changed_comes_back_with_the_same_password(
    world: World,
) -> None:
    world.make("shop")
    await provided(world)
    before = data(world.get(kinds.SECRET, "shop-app"))
    world.delete(kinds.SERVICE, "shop")
    world.fake.objects.patch(
        (kinds.SECRET, "default", "shop-app"), {"data": {"host": "eHg=", "uri": None}}, ""
    )
    await world.until("the Service is back", lambda: world.get(kinds.SERVICE, "shop"))
    await world.until(
        "the Secret is as it was", lambda: data(world.get(kinds.SECRET, "shop-app")) == before
    )


async def test_a_lost_secret_means_a_new_password_that_a_running_compute_hears_of(
    world: World,
) -> None:
    world.make("shop")
    await provided(world)
    before = data(world.get(kinds.SECRET, "shop-app"))["password"]
    world.delete(kinds.SECRET, "shop-app")
    await world.until(
        "the generation goes on",
        lambda: world.database("shop")["status"]["storage"]["generationOffset"] == 1,
    )
    assert data(world.get(kinds.SECRET, "shop-app"))["password"] != before


async def test_a_password_that_a_person_writes_into_the_secret_is_the_password(
    world: World,
) -> None:
    world.make("shop")
    await provided(world)
    patch = {"data": {"password": base64.b64encode(b"mine").decode()}}
    world.fake.objects.patch((kinds.SECRET, "default", "shop-app"), patch, "")
    await world.until(
        "all of the Secret follows",
        lambda: "app:mine@" in data(world.get(kinds.SECRET, "shop-app"))["uri"],
    )
    await world.until("the proxy's verifier follows", lambda: verifies(world, "mine"))


async def test_a_name_of_somebody_else_is_left_alone_and_told(world: World) -> None:
    theirs = {"metadata": {"name": "shop", "namespace": "default"}, "spec": {"clusterIP": "None"}}
    world.fake.objects.create(kinds.SERVICE, theirs)
    world.make("shop")
    await world.until(
        "it is told",
        lambda: condition(world.database("shop"), "EndpointReady") == ("False", "NameTaken"),
    )
    service = world.get(kinds.SERVICE, "shop")
    assert service and service["spec"] == {"clusterIP": "None"}
    assert condition(world.database("shop"), "CredentialsReady") == ("True", "Stored")


async def test_a_secret_of_somebody_else_is_left_alone_and_no_password_is_made_for_it(
    world: World,
) -> None:
    theirs = {"metadata": {"name": "shop-app", "namespace": "default"}, "data": {"x": "eHg="}}
    world.fake.objects.create(kinds.SECRET, theirs)
    world.make("shop", roles=[{"name": "app"}, {"name": "other"}])
    await world.until(
        "it is told",
        lambda: condition(world.database("shop"), "CredentialsReady") == ("False", "NameTaken"),
    )
    await world.settled()
    secret = world.get(kinds.SECRET, "shop-app")
    assert secret and secret["data"] == {"x": "eHg="}
    assert world.database("shop")["status"]["storage"]["generationOffset"] == 0
    assert data(world.get(kinds.SECRET, "verifiers-default.shop", SYSTEM)).keys() == {"other"}


async def test_a_child_that_somebody_makes_his_own_is_told_at_once(world: World) -> None:
    world.make("shop")
    await provided(world)
    labels = {"app.kubernetes.io/managed-by": "somebody"}
    key = (kinds.SERVICE, "default", "shop")
    world.fake.objects.patch(key, {"metadata": {"labels": labels}}, "")
    await world.until(
        "it is told",
        lambda: condition(world.database("shop"), "EndpointReady") == ("False", "NameTaken"),
    )


async def test_a_password_of_a_person_is_used_once_its_secret_is_there(world: World) -> None:
    roles = [{"name": "app", "passwordSecret": {"name": "mine", "key": "pw"}}]
    world.make("shop", roles=roles)
    await world.until(
        "it is missed",
        lambda: (
            condition(world.database("shop"), "CredentialsReady")
            == ("False", "PasswordSecretMissing")
        ),
    )
    labels = {"torpor.dev/database": "shop"}
    secret = {
        "metadata": {"name": "mine", "namespace": "default", "labels": labels},
        "data": {"pw": base64.b64encode(b"of my own").decode()},
    }
    world.fake.objects.create(kinds.SECRET, secret)
    await provided(world)
    assert data(world.get(kinds.SECRET, "shop-app"))["password"] == "of my own"


async def test_without_its_pool_it_waits_and_says_for_what(world: World) -> None:
    world.make("shop", pool="large")
    await world.until(
        "it is told",
        lambda: condition(world.database("shop"), "StorageReady") == ("False", "NoWarmPool"),
    )
    assert "storage" not in world.database("shop")["status"]
    large = {"metadata": {"name": "large", "namespace": SYSTEM}, "spec": {"size": {"min": 0}}}
    world.fake.objects.create(kinds.WARM_POOL, large)
    await world.until(
        "it is assigned",
        lambda: condition(world.database("shop"), "StorageReady") == ("True", "Assigned"),
    )
    assert world.database("shop")["status"]["storage"]["claim"] == "torpor-pool-large"


async def test_what_is_settled_costs_no_request(world: World) -> None:
    world.make("shop")
    await provided(world)
    world.fake.requests.clear()
    world.say("shop", phase="Active", epoch=1, whyAwake=["session 1 is busy"])
    await world.until(
        "its data counts as made",
        lambda: world.database("shop")["status"]["storage"]["isMade"] is True,
    )
    await world.settled()
    world.fake.requests.clear()
    world.say("shop", whyAwake=["session 2 is busy"], lastResume={"at": "now"})
    world.make("other")  # Whose provision proves that the news before it has been heard.
    await provided(world, "other")
    assert [one for one in world.fake.requests if "/shop" in one] == []


async def test_a_look_at_what_is_settled_derives_no_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes a millisecond for each role, and a wake and a sleep are four looks."""
    derived: list[str] = []

    def counted(password: str, salt: bytes, iterations: int = ITERATIONS_DEFAULT) -> Verifier:
        derived.append(password)
        return verifier_of(password, salt, iterations)

    world.make("shop")
    await provided(world)
    await world.settled()
    monkeypatch.setattr(credentials, "verifier_of", counted)
    for sessions in range(3):
        world.say("shop", sessions=sessions)
        await world.until("it is heard", partial(has_heard, world, sessions))
        await world.settled()
    assert derived == []
    patch = {"data": {"password": base64.b64encode(b"another").decode()}}
    world.fake.objects.patch((kinds.SECRET, "default", "shop-app"), patch, "")
    await world.until("a changed one is in force", lambda: verifies(world, "another"))
    assert set(derived) == {"another"}


def has_heard(world: World, sessions: int) -> bool:
    seen = world.operator.cache.databases[Key("default", "shop")]
    return bool(seen.document()["status"].get("sessions") == sessions)


async def test_proxies_get_a_new_namespaces_names_without_waiting(world: World) -> None:
    whole = {"name": "torpor", "instance": "torpor", "component": "proxy"}
    labels = {f"app.kubernetes.io/{key}": value for key, value in whole.items()}
    proxy = {"metadata": {"name": "proxy-1", "namespace": SYSTEM, "labels": labels}, "spec": {}}
    world.fake.objects.create(kinds.POD, proxy)
    world.fake.objects.create(kinds.NAMESPACE, {"metadata": {"name": "team"}})
    world.make("shop", namespace="team")
    await provided(world, "shop", "team")

    def is_told() -> bool:
        pod = world.get(kinds.POD, "proxy-1", SYSTEM)
        assert pod is not None
        return "torpor.dev/certificate-written" in (pod["metadata"].get("annotations") or {})

    await world.until("the proxy's pod is touched", is_told)
    shown = data(world.get(kinds.SECRET, part_of("team"), SYSTEM))["team.pem"]
    assert "*.team.svc" in read_leaf(shown, None, []).names


async def test_one_that_can_not_be_read_is_told_and_holds_up_nobody(world: World) -> None:
    world.make("bad", idleTimeout="soon")
    world.make("newer", fromTheFuture=True)
    world.make("shop")
    await provided(world, "shop")
    await provided(world, "newer")

    def notes() -> list[str]:
        found = world.fake.objects.all(kinds.EVENT, "default")
        return [one["note"] for one in found if one["regarding"]["name"] == "bad"]

    await world.until("it is told", lambda: any("idleTimeout" in note for note in notes()))
    assert "finalizers" not in world.database("bad")["metadata"]
