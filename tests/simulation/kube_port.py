"""An API server over the network of the simulation: asked late or in vain, and told of late.

Nothing that the adapter asks may be answered by a server from an old cache: it names no version,
and then a read or list is of the moment in which it is asked, and a list at the head of a watch has
caught up with that moment when it ends. What it says may be old all the same: an answer takes its
time, the later parts of a list are of the moment of its first, and the head of a watch begins with
whatever the server's cache holds. Meanwhile the autoscaler hears newer things, and writes them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from random import Random
from typing import Any, TypeVar

from simulation.network import Network
from support.fake_kube.errors import ApiError
from support.fake_kube.objects import Objects
from support.fake_kube.selecting import is_selected
from support.fake_kube.watches import Feed
from torpor_api import messages as m
from torpor_api.failures import InvalidRequest, Unavailable
from torpor_kube.answers import failure_of
from torpor_kube.documents import name_of, namespace_of
from torpor_kube.kinds import Kind
from torpor_kube.port import ALL_SENT, Change, ChangeType, Document, Page
from torpor_kube.transport import REQUEST_S_MAX, SILENCE_S_MAX

ValueT = TypeVar("ValueT")

BOOKMARK_EVERY_S = 60.0

LATE_S_MAX = 10.0
"""Of a watch cache that lags behind."""

LATE_ANSWER_S_MAX = 5.0
"""For which an answer is under way, of the time that a question may take."""

PAGE_ITEMS = 2
"""Of a list: few, so that several parts make one."""


@dataclass
class Stale:
    """How often what the autoscaler was told was older than what there was."""

    answers: int = 0
    lists: int = 0
    writes: int = 0
    """That were made of something older, and refused for it."""


class FailingKube:
    """A port of one life of the autoscaler."""

    def __init__(self, objects: Objects, network: Network, random: Random, stale: Stale) -> None:
        self._objects = objects
        self._stale = stale
        self._network = network
        self._random = random
        self._can_stream = random.random() < 0.5
        """Else it is a server that knows no list at the head of a watch."""

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Document:
        return await self._ask(lambda: self._objects.get((kind, namespace, name)))

    async def page(
        self, kind: Kind, namespace: str = "", *, labels: str = "", name: str = "", rest: str = ""
    ) -> Page:
        def listed() -> Page:
            version, _, begin = rest.partition("/")
            at, first = int(version or self._objects.version), int(begin or 0)
            found = [
                one
                for one in self._objects.as_of(at, kind, namespace)
                if is_selected(one, labels, name)
            ]
            end = first + PAGE_ITEMS
            return Page(found[first:end], str(at), f"{at}/{end}" if found[end:] else "")

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
        async def answer(_: object) -> tuple[ValueT, int]:
            return do(), self._objects.version

        try:
            done: ValueT
            done, version = await self._network.ask(
                answer, m.ListResources(), timeout_s=REQUEST_S_MAX
            )
        except ApiError as error:
            self._stale.writes += error.code == HTTPStatus.CONFLICT
            raise failure_of(error.code, json.dumps(error.status()).encode(), "it") from None
        if self._random.random() < self._network.weather.late_answer:
            await asyncio.sleep(self._random.uniform(0, LATE_ANSWER_S_MAX))
            self._stale.answers += version < self._objects.version
        return done

    async def changes(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        name: str = "",
        since: str = "",
        with_all: bool = False,
    ) -> AsyncGenerator[Change, None]:
        if with_all and not self._can_stream:
            raise InvalidRequest("sendInitialEvents is forbidden")
        feed = await self._ask(lambda: Feed(self._objects, kind, namespace, labels, name))
        bookmarks = asyncio.create_task(_mark(feed))
        try:
            begin = self._cached() if with_all else int(since)
            self._stale.lists += with_all and begin < self._objects.version
            head = self._objects.as_of(begin, kind, namespace) if with_all else []
            feed.begin(begin, with_all=False)
            for one in head:
                if is_selected(one, labels, name):
                    yield Change(ChangeType.ADDED, one)
            is_in_head = with_all
            if is_in_head:
                feed.bookmark()
            async with aclosing(aiter_of(feed)) as batches:
                async for batch in batches:
                    await self._delay()
                    for type, document in batch:
                        if type is ChangeType.BOOKMARK and is_in_head:
                            document["metadata"]["annotations"] = {ALL_SENT: "true"}
                            is_in_head = False
                        yield Change(type, document)
        except ApiError as error:
            raise failure_of(error.code, json.dumps(error.status()).encode(), "a watch") from None
        finally:
            bookmarks.cancel()
            feed.close()

    def _cached(self) -> int:
        """Up to which version a server's cache has heard of its store."""
        newest = self._objects.version
        if self._random.random() < self._network.weather.old_cache:
            return self._random.randint(self._objects.forgotten, newest)
        return newest

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
