"""What one watcher is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from support.fake_kube.objects import Happened, Objects
from support.fake_kube.selecting import is_selected
from torpor_kube.kinds import Kind
from torpor_kube.port import ChangeType, Document

Told = tuple[ChangeType, Document]


class Feed:
    """The changes of one kind, from a version on; with a selector as if nothing else existed."""

    def __init__(
        self, objects: Objects, kind: Kind, namespace: str, labels: str, name: str = ""
    ) -> None:
        self._objects = objects
        self._kind = kind
        self._namespace = namespace
        self._chosen = labels, name
        self._seen: set[tuple[str, str]] = set()
        self._news = asyncio.Event()
        self._is_ended = False
        self._wants_bookmark = False
        self.version = objects.version
        objects.listeners.add(self._news.set)

    def begin(self, since: int | None, *, with_all: bool) -> list[Told]:
        """Raises Expired for a version that is no longer known."""
        matching = [
            one
            for one in self._objects.all(self._kind, self._namespace)
            if is_selected(one, *self._chosen)
        ]
        if with_all or since in (None, 0):
            self._seen = {_key(one) for one in matching}
            return [(ChangeType.ADDED, one) for one in matching]
        assert since is not None
        self._seen = {_key(one) for one in matching}
        for one in reversed(self._objects.since(since)):
            if one.key[0] is self._kind:
                known = one.before is not None and is_selected(one.before, *self._chosen)
                (self._seen.add if known else self._seen.discard)(_key(one.document))
        self.version = since
        return []

    def bookmark(self) -> None:
        self._wants_bookmark = True
        self._news.set()

    def end(self) -> None:
        self._is_ended = True
        self._news.set()

    def close(self) -> None:
        self._objects.listeners.discard(self._news.set)

    async def __aiter__(self) -> AsyncIterator[list[Told]]:
        self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._is_ended:
                return
            told = [change for one in self._objects.since(self.version) for change in self._of(one)]
            self.version = max(self.version, self._objects.version)
            if self._wants_bookmark:
                self._wants_bookmark = False
                metadata = {"resourceVersion": str(self.version)}
                told.append((ChangeType.BOOKMARK, {"metadata": metadata}))
            if told:
                yield told

    def _of(self, one: Happened) -> list[Told]:
        kind, namespace, _ = one.key
        if kind is not self._kind or self._namespace not in ("", namespace):
            return []
        key, was_seen = _key(one.document), _key(one.document) in self._seen
        is_seen = one.type is not ChangeType.DELETED and is_selected(one.document, *self._chosen)
        (self._seen.add if is_seen else self._seen.discard)(key)
        if is_seen:
            return [(ChangeType.MODIFIED if was_seen else ChangeType.ADDED, one.document)]
        return [(ChangeType.DELETED, one.document)] if was_seen else []


def _key(document: Document) -> tuple[str, str]:
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
