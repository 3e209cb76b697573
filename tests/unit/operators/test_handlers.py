"""kopf watches the pools and tells of each change, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest

from support.fake_kube.server import FakeKube
from support.operating import SYSTEM, serving
from torpor_kube import kinds
from torpor_kube.documents import name_of
from torpor_kube.port import Document
from torpor_operator.adapters.handlers import RETRY_S_MAX, KopfThread, registry_for

TOLD_S_MAX = 30.0


class Told:
    """What it said, in order; from its thread."""

    def __init__(self) -> None:
        self.all: list[tuple[str, bool]] = []
        self.has_ended = False

    def pool_changed(self, document: Document, is_gone: bool) -> None:
        self.all.append((name_of(document), is_gone))

    def ended(self) -> None:
        self.has_ended = True

    async def hears(self, name: str, is_gone: bool = False) -> None:
        async with asyncio.timeout(TOLD_S_MAX):
            while (name, is_gone) not in self.all:
                await asyncio.sleep(0.01)


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with serving() as fake:
        yield fake


@contextlib.asynccontextmanager
async def watching(fake: FakeKube) -> AsyncIterator[Told]:
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=fake.url)

    told = Told()
    thread = KopfThread(registry_for(told, login), SYSTEM, told.ended)
    thread.start()
    try:
        yield told
    finally:
        await thread.close()


def make(fake: FakeKube, name: str, namespace: str = SYSTEM) -> None:
    document = {"metadata": {"name": name, "namespace": namespace}, "spec": {}}
    fake.objects.create(kinds.WARM_POOL, document)


async def test_what_is_there_what_comes_and_what_goes_is_told(fake: FakeKube) -> None:
    make(fake, "before")
    async with watching(fake) as told:
        await told.hears("before")
        make(fake, "later")
        await told.hears("later")
        fake.objects.delete((kinds.WARM_POOL, SYSTEM, "before"), {}, None)
        await told.hears("before", is_gone=True)
        assert not told.has_ended
    assert told.has_ended


async def test_it_writes_nothing_into_a_resource(fake: FakeKube) -> None:
    make(fake, "large")
    async with watching(fake) as told:
        await told.hears("large")
    metadata = fake.objects.stored[(kinds.WARM_POOL, SYSTEM, "large")].document["metadata"]
    assert "annotations" not in metadata and "finalizers" not in metadata
    assert [one for one in fake.requests if not one.startswith("GET")] == []


async def test_pools_elsewhere_are_none_of_ours(fake: FakeKube) -> None:
    make(fake, "theirs", "default")
    make(fake, "ours")
    async with watching(fake) as told:
        await told.hears("ours")
        make(fake, "next")
        await told.hears("next")
    assert ("theirs", False) not in told.all


async def test_a_server_that_is_away_is_asked_every_two_seconds_and_for_ever() -> None:
    """With pauses as kopf has them pools were heard of 20 s later than everything else."""
    found = kopf.OperatorSettings()
    registry = registry_for(Told(), no_login)
    for handler in registry._activities.get_all_handlers():
        if handler.id == "_configure":
            await handler.fn(settings=found)
    pauses = found.networking.error_backoffs
    assert not isinstance(pauses, float)
    assert max(itertools.islice(pauses, 1000)) == RETRY_S_MAX


async def no_login(**_: Any) -> kopf.ConnectionInfo:
    raise kopf.LoginError("nowhere")
