"""The answer to a write may come behind the watch's news of what was changed after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest

from support.operating import SYSTEM
from torpor_kube import kinds, names
from torpor_kube.documents import version_of
from torpor_kube.kinds import Kind
from torpor_kube.port import Document, Kube
from torpor_operator.core.actions import Patch
from torpor_operator.core.cache import Cache
from torpor_operator.core.naming import Key
from torpor_operator.core.seen import see_database
from torpor_operator.core.seen_pods import see_pod
from torpor_operator.core.targets import Target
from torpor_operator.executor import Executor

NAME = "shop"


def document(version: int) -> Document:
    labels = {names.POOL_LABEL: "default"}
    place = {"name": NAME, "namespace": SYSTEM, "labels": labels}
    return {"metadata": {**place, "resourceVersion": str(version)}, "spec": {}, "status": {}}


class Kept:
    """The cache, as one kind's watch fills it."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.cache = kind, Cache(SYSTEM)

    def tell(self, version: int) -> None:
        told = document(version)
        match self.kind:
            case kinds.SERVERLESS_DATABASE:
                self.cache.database_seen(see_database(told))
            case kinds.WARM_POOL:
                self.cache.pool_seen(told)
            case _:
                self.cache.pod_seen(see_pod(told))

    def tell_end(self) -> None:
        self.cache.database_gone(Key(SYSTEM, NAME))
        self.cache.pool_gone(NAME)
        self.cache.pod_gone(see_pod(document(10)))

    @property
    def version(self) -> str:
        seen = self.cache.databases.get(Key(SYSTEM, NAME)) or self.cache.pods.get(NAME)
        pool = self.cache.pools.get(NAME)
        return seen.version if seen else version_of(pool) if pool else "none"

    async def write(self, answer: int, meanwhile: Callable[[], None]) -> None:
        """``meanwhile``: before the answer comes."""

        async def patch(*_: Any, **__: Any) -> Document:
            meanwhile()
            return document(answer)

        reported: set[Target] = set()
        executor = Executor(
            cast(Kube, AsyncMock(patch=patch)),
            self.cache,
            AsyncMock(),
            AsyncMock(),
            AsyncMock(),
            reported.update,
        )
        await executor.carry_out(Patch(self.kind, Key(SYSTEM, NAME), {}))


@pytest.fixture(params=[kinds.SERVERLESS_DATABASE, kinds.WARM_POOL, kinds.POD], ids=str)
def kept(request: pytest.FixtureRequest) -> Kept:
    kept = Kept(request.param)
    kept.tell(9)
    return kept


@pytest.mark.parametrize(
    ("told", "known"), [(None, "100"), (99, "100"), (100, "100"), (101, "101"), (1000, "1000")]
)
async def test_the_newer_of_both_is_known(kept: Kept, told: int | None, known: str) -> None:
    """The watch tells it only once. Versions are no words: 99 is older than 100."""
    await kept.write(100, lambda: None if told is None else kept.tell(told))
    assert kept.version == known


async def test_what_has_gone_since_does_not_come_back(kept: Kept) -> None:
    await kept.write(100, kept.tell_end)
    assert kept.version == "none"
