"""An API server over the network of the simulation: asked late or in vain, and told of late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from random import Random
from typing import Any, TypeVar

from simulation.network import Network
from support.fake_kube.errors import ApiError
from support.fake_kube.objects import Objects
from support.fake_kube.selecting import is_selected
from support.fake_kube.watches import Feed
from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_kube.answers import failure_of
from torpor_kube.documents import name_of, namespace_of
from torpor_kube.kinds import Kind
from torpor_kube.port import ALL_SENT, Change, ChangeType, Document, Page
from torpor_kube.transport import REQUEST_S_MAX, SILENCE_S_MAX

ValueT = TypeVar("ValueT")

BOOKMARK_EVERY_S = 60.0

LATE_S_MAX = 10.0
"""Of a watch cache that lags behind."""


class FailingKube:
    """A port of one life of the autoscaler."""

    def __init__(self, objects: Objects, network: Network, random: Random) -> None:
        self._objects = objects
        self._network = network
        self._random = random

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Document:
        return await self._ask(lambda: self._objects.get((kind, namespace, name)))

    async def page(
        self, kind: Kind, namespace: str = "", *, labels: str = "", rest: str = ""
    ) -> Page:
        def listed() -> Page:
            found = self._objects.all(kind, namespace)
            version = str(self._objects.version)
            return Page([one for one in found if is_selected(one, labels)], version)

        return await self._ask(listed)

    async def create(self, kind: Kind, document: Document) -> Document:
        return await self._ask(lambda: self._objects.create(kind, document))

    async def apply(
        self, kind: Kind, document: Document, *, manager: str, subresource: str = ""
    ) -> Document:
        key = (kind, namespace_of(document), name_of(document))
        return await self._ask(lambda: self._objects.apply(key, document, manager, subresource))

    async def patch(
        self, kind: Kind, name: str, namespace: str, patch: Document, **how: Any
    ) -> Document:
        key, subresource = (kind, namespace, name), how.get("subresource", "")
        return await self._ask(lambda: self._objects.patch(key, patch, subresource))

    async def delete(
        self, kind: Kind, name: str, namespace: str = "", *, uid: str = "", **how: Any
    ) -> None:
        conditions = {"uid": uid} if uid else {}
        key = (kind, namespace, name)
        await self._ask(lambda: self._objects.delete(key, conditions, how.get("grace_s")))

    async def _ask(self, do: Callable[[], ValueT]) -> ValueT:
        async def answer(_: object) -> ValueT:
            return do()

        try:
            done: ValueT = await self._network.ask(
                answer, m.ListResources(), timeout_s=REQUEST_S_MAX
            )
        except ApiError as error:
            raise failure_of(error.code, json.dumps(error.status()).encode(), "it") from None
        return done

    async def changes(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        since: str = "",
        with_all: bool = False,
    ) -> AsyncGenerator[Change, None]:
        feed = await self._ask(lambda: Feed(self._objects, kind, namespace, labels))
        bookmarks = asyncio.create_task(_mark(feed))
        try:
            for told in feed.begin(int(since) if since else None, with_all=with_all):
                yield Change(*told)
            if with_all:
                head = {"resourceVersion": str(feed.version), "annotations": {ALL_SENT: "true"}}
                yield Change(ChangeType.BOOKMARK, {"metadata": head})
            async with aclosing(aiter_of(feed)) as batches:
                async for batch in batches:
                    await self._delay()
                    for told in batch:
                        yield Change(*told)
        except ApiError as error:
            raise failure_of(error.code, json.dumps(error.status()).encode(), "a watch") from None
        finally:
            bookmarks.cancel()
            feed.close()

    async def _delay(self) -> None:
        await self._network.until_there()
        weather, dice = self._network.weather, self._random.random()
        if dice < weather.silent_watch:
            await asyncio.sleep(SILENCE_S_MAX)
            raise Unavailable("the watch was silent for too long")
        is_late = dice < weather.silent_watch + weather.late_watch
        await asyncio.sleep(self._random.uniform(0, LATE_S_MAX if is_late else 0.003))


async def _mark(feed: Feed) -> None:
    while True:
        await asyncio.sleep(BOOKMARK_EVERY_S)
        feed.bookmark()


async def aiter_of(feed: Feed) -> AsyncGenerator[list[tuple[ChangeType, Document]], None]:
    async for batch in feed:
        yield batch
