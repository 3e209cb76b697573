"""A kind of object kept in view: all that there is, and then every change, for ever.

Level-triggered users need three things of it: that ``listed`` is told all there is whenever
changes may have been missed, that nothing they said is older than what they said before, and that
it never ends silently. What is told is what ``keep`` makes of an object, at once: so 10,000 objects
take the room of what is kept of them and not of what the server sent.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

from torpor_api.failures import Failure, InvalidRequest, Refused, Unavailable
from torpor_kube.documents import annotations_of, name_of, namespace_of, version_of
from torpor_kube.kinds import Kind
from torpor_kube.port import ALL_SENT, Change, ChangeType, Document, Expired, Kube

log = logging.getLogger(__name__)

KeptT = TypeVar("KeptT")
KeptT_contra = TypeVar("KeptT_contra", contravariant=True)

RETRY_S_MIN = 0.1
RETRY_S_MAX = 5.0
"""Between attempts at a server that is away: doubled each time, and scattered, so that a hundred
watchers don't all come back in the moment in which it does."""

IN_TOUCH_S_MAX = 180.0
"""A watch hears a bookmark a minute, is given up after a silence of 75 s, and hears the next one a
minute after it has begun anew."""


class Sink(Protocol[KeptT_contra]):
    """Whom the watch tells; from its task, one after the other."""

    def listed(self, all: Iterable[KeptT_contra]) -> None:
        """All there are: first, and again whenever changes may have been missed."""

    def changed(self, one: KeptT_contra) -> None:
        """It is new, or it is now like this."""

    def deleted(self, one: KeptT_contra) -> None:
        """It is gone; this was its last state."""


class Watch(Generic[KeptT]):
    """One kind, in one namespace or all, with some labels or any, or the one of a name."""

    def __init__(
        self,
        kube: Kube,
        kind: Kind,
        keep: Callable[[Document], KeptT],
        sink: Sink[KeptT],
        *,
        namespace: str = "",
        labels: str = "",
        name: str = "",
    ) -> None:
        self._kube = kube
        self._kind = kind
        self._keep = keep
        self._sink = sink
        self._namespace = namespace
        self._chosen = {"labels": labels, "name": name}
        self.since = ""
        """The version up to which everything was told; empty: all must be listed."""
        self._can_stream = True
        self._pause_s = RETRY_S_MIN
        self._task: asyncio.Task[None] | None = None
        self.is_listed = asyncio.Event()
        """Set once all were told for the first time."""
        self.is_refused = asyncio.Event()
        """Set while the server does not let us see any of them."""
        self._heard_at = float("-inf")

    @property
    def namespace(self) -> str:
        """Empty: all of them."""
        return self._namespace

    @property
    def is_in_touch(self) -> bool:
        """What was told is not older than :data:`IN_TOUCH_S_MAX`, however quiet it is."""
        return asyncio.get_running_loop().time() - self._heard_at < IN_TOUCH_S_MAX

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_watching())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_watching(self) -> None:
        while True:
            try:
                await self._watch_once()
                self._pause_s = RETRY_S_MIN
            except Failure as failure:
                self._judge(failure)
            except Exception:
                # Of whoever is told. What it missed by that, a new list brings.
                log.exception("watch_defect", extra={"kind": self._kind.kind})
                self.since = ""
                self._pause_s = min(self._pause_s * 2, RETRY_S_MAX)
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))

    def _judge(self, failure: Failure) -> None:
        if isinstance(failure, Expired):
            self.since = ""
        if isinstance(failure, InvalidRequest) and self._can_stream and not self.since:
            self._can_stream = False  # A server that can't send the list as a part of the watch.
            return
        if isinstance(failure, Refused):
            self.is_refused.set()
        self._pause_s = min(self._pause_s * 2, RETRY_S_MAX)
        fields = {
            "kind": self._kind.kind,
            "namespace": self._namespace,
            "reason": failure.message,
        }
        log.warning("watch_interrupted", extra=fields)

    async def _watch_once(self) -> None:
        if not self.since and not self._can_stream:
            await self._list()
        changes = self._kube.changes(
            self._kind,
            self._namespace,
            since=self.since,
            with_all=not self.since,
            **self._chosen,
        )
        async with aclosing(changes):
            if not self.since:
                await self._hear_all(changes)
            async for change in changes:
                self._tell(change)

    async def _hear_all(self, changes: AsyncIterator[Change]) -> None:
        """The list at the head of a watch; what changes meanwhile may come in the middle of it."""
        kept: dict[tuple[str, str], KeptT] = {}
        async for change in changes:
            key = namespace_of(change.document), name_of(change.document)
            if change.type is ChangeType.DELETED:
                kept.pop(key, None)
            elif change.type is not ChangeType.BOOKMARK:
                for one in self._read(change.document):
                    kept[key] = one
            elif annotations_of(change.document).get(ALL_SENT) == "true":
                self._tell_all(kept.values(), version_of(change.document))
                return
        raise Unavailable(f"the list of {self._kind.plural} ended before its end")

    async def _list(self) -> None:
        kept: list[KeptT] = []
        page = await self._kube.page(self._kind, self._namespace, **self._chosen)
        while True:
            for document in page.items:
                kept += self._read(document)
            if not page.rest:
                break
            page = await self._kube.page(
                self._kind, self._namespace, rest=page.rest, **self._chosen
            )
        self._tell_all(kept, page.resource_version)

    def _tell_all(self, kept: Iterable[KeptT], version: str) -> None:
        self._sink.listed(kept)
        self._heard(version)
        self.is_refused.clear()
        self.is_listed.set()

    def _tell(self, change: Change) -> None:
        match change.type:
            case ChangeType.ADDED | ChangeType.MODIFIED:
                for one in self._read(change.document):
                    self._sink.changed(one)
            case ChangeType.DELETED:
                for one in self._read(change.document):
                    self._sink.deleted(one)
            case ChangeType.BOOKMARK:
                pass
        self._heard(version_of(change.document))

    def _read(self, document: Document) -> list[KeptT]:
        """What is kept of it; nothing of one that ``keep`` can't read: the others go on."""
        try:
            return [self._keep(document)]
        except Exception:
            place = f"{namespace_of(document)}/{name_of(document)}"
            log.exception("object_not_read", extra={"kind": self._kind.kind, "object": place})
            return []

    def _heard(self, version: str) -> None:
        self.since, self._pause_s = version or self.since, RETRY_S_MIN
        self._heard_at = asyncio.get_running_loop().time()
