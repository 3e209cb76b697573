"""An operator of some namespaces: in others it has no right to anything, and asks for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.fake_kube.server import FakeKube
from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds
from torpor_operator import leading

WATCHED = ("shop", "blog")

ONE = kinds.SERVERLESS_DATABASE


async def test_it_asks_of_no_other_namespace(tmp_path: Path) -> None:
    async with serving() as fake:
        add_pool(fake)
        async with operating(fake, tmp_path, WATCHED) as world:
            for namespace in (*WATCHED, "other"):
                create(fake, namespace)
            secrets = {(kinds.SECRET, namespace, "one-app") for namespace in WATCHED}
            await world.until("each has its Secret", lambda: secrets <= fake.objects.stored.keys())
            await world.settled()
        assert not [key for key in fake.objects.stored if key[1] == "other" and key[0] != ONE]
        places = tuple(f"/namespaces/{namespace}/" for namespace in (*WATCHED, SYSTEM))
        elsewhere = [asked for asked in fake.requests if not any(p in asked for p in places)]
        assert [asked for asked in elsewhere if "/nodes/" not in asked] == []


def create(fake: FakeKube, namespace: str) -> None:
    fake.objects.create(kinds.NAMESPACE, {"metadata": {"name": namespace}})
    fake.objects.create(ONE, {"metadata": {"name": "one", "namespace": namespace}, "spec": {}})


async def test_one_that_was_deleted_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Role has gone with it."""
    monkeypatch.setattr(leading, "REFUSED_S_MAX", 0.2)
    async with serving() as fake:
        add_pool(fake)
        fake.faults.refuses = lambda method, path: "/namespaces/blog/" in path
        async with operating(fake, tmp_path, WATCHED) as world:
            create(fake, "shop")
            await world.until("a compute is made", world.pods)
            await world.until("the other is provided", lambda: is_provided(world, "shop"))


async def test_where_only_the_rights_are_missing_its_databases_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "REFUSED_S_MAX", 0.2)
    async with serving() as fake:
        add_pool(fake)
        async with operating(fake, tmp_path / "first", WATCHED) as world:
            create(fake, "blog")
            await world.until("it is provided", lambda: is_provided(world, "blog"))
            await world.until("a compute is made", world.pods)
            serving_it = world.pods()[0]["metadata"]["name"]
            labels = {"torpor.dev/database": "one", "torpor.dev/database-namespace": "blog"}
            key = (kinds.POD, SYSTEM, serving_it)
            fake.objects.patch(key, {"metadata": {"labels": labels}}, "")
            world.say("one", "blog", phase="Active", compute=serving_it, epoch=1)
            await world.settled()
        taken = world.database("one", "blog")["status"]["storage"]["userId"]
        fake.faults.refuses = lambda method, path: "/namespaces/blog/" in path
        async with operating(fake, tmp_path / "second", WATCHED) as world:
            create(fake, "shop")
            await world.until("it is told", lambda: storage(world, "shop")[0] == "NoUserId")
            await world.settled()
            verifiers = world.get(kinds.SECRET, "verifiers-blog.one", SYSTEM)
            assert verifiers and world.get(kinds.POD, serving_it, SYSTEM)
            assert serving_it in world.operator.cache.named_computes()
            fake.faults.refuses = lambda method, path: False
            await world.until("it is provided", lambda: is_provided(world, "shop"))
            assert world.database("one", "shop")["status"]["storage"]["userId"] != taken


def is_provided(world: World, namespace: str) -> bool:
    return storage(world, namespace)[0] == "Assigned"


def storage(world: World, namespace: str) -> tuple[str, str]:
    status = world.database("one", namespace).get("status") or {}
    found = [one for one in status.get("conditions") or () if one["type"] == "StorageReady"]
    return (found[0]["reason"], found[0]["message"]) if found else ("", "")
