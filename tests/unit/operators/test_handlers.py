"""kopf watches both kinds of resource and tells of each change, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest

from support.fake_kube.server import FakeKube
from support.operating import SYSTEM, add_pool, serving
from torpor_kube import kinds
from torpor_kube.documents import name_of
from torpor_kube.kinds import Kind
from torpor_kube.port import Document
from torpor_operator.adapters.handlers import KopfThread, registry_for

TOLD_S_MAX = 30.0


class Told:
    """What it said, in order; from its thread."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, bool]] = []
        self.has_ended = False

    def changed(self, kind: Kind, document: Document, is_gone: bool) -> None:
        self.all.append((kind.kind, name_of(document), is_gone))

    def ended(self) -> None:
        self.has_ended = True

    async def hears(self, kind: Kind, name: str, is_gone: bool = False) -> None:
        async with asyncio.timeout(TOLD_S_MAX):
            while (kind.kind, name, is_gone) not in self.all:
                await asyncio.sleep(0.01)


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with serving() as fake:
        yield fake


@contextlib.asynccontextmanager
async def watching(fake: FakeKube, *namespaces: str) -> AsyncIterator[Told]:
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=fake.url)

    told = Told()
    thread = KopfThread(registry_for(told, login), namespaces, told.ended)
    thread.start()
    try:
        yield told
    finally:
        await thread.close()


def make(fake: FakeKube, name: str, namespace: str = "default") -> None:
    document = {"metadata": {"name": name, "namespace": namespace}, "spec": {}}
    fake.objects.create(kinds.SERVERLESS_DATABASE, document)


async def test_what_is_there_what_comes_and_what_goes_is_told(fake: FakeKube) -> None:
    add_pool(fake)
    make(fake, "before")
    async with watching(fake) as told:
        await told.hears(kinds.SERVERLESS_DATABASE, "before")
        await told.hears(kinds.WARM_POOL, "default")
        make(fake, "later")
        await told.hears(kinds.SERVERLESS_DATABASE, "later")
        fake.objects.delete((kinds.SERVERLESS_DATABASE, "default", "before"), {}, None)
        await told.hears(kinds.SERVERLESS_DATABASE, "before", is_gone=True)
        assert not told.has_ended
    assert told.has_ended


async def test_it_writes_nothing_into_a_resource(fake: FakeKube) -> None:
    make(fake, "shop")
    async with watching(fake) as told:
        await told.hears(kinds.SERVERLESS_DATABASE, "shop")
    key = (kinds.SERVERLESS_DATABASE, "default", "shop")
    metadata = fake.objects.stored[key].document["metadata"]
    assert "annotations" not in metadata and "finalizers" not in metadata
    assert [one for one in fake.requests if not one.startswith("GET")] == []


async def test_it_can_be_kept_to_some_namespaces(fake: FakeKube) -> None:
    fake.objects.create(kinds.NAMESPACE, {"metadata": {"name": "team"}})
    make(fake, "theirs")
    make(fake, "ours", "team")
    async with watching(fake, SYSTEM, "team") as told:
        await told.hears(kinds.SERVERLESS_DATABASE, "ours")
        make(fake, "next", "team")
        await told.hears(kinds.SERVERLESS_DATABASE, "next")
    assert (kinds.SERVERLESS_DATABASE.kind, "theirs", False) not in told.all
