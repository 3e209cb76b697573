"""An operator of some namespaces: in others it has no right to anything, and asks for nothing."""

from __future__ import annotations

from pathlib import Path

from support.fake_kube.server import FakeKube
from support.operating import SYSTEM, add_pool, operating, serving
from torpor_kube import kinds

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
