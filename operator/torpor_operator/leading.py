"""What runs while this process leads: watches in, looks out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from torpor_api.failures import Conflict, Failure
from torpor_kube.kinds import SERVERLESS_DATABASE, Kind
from torpor_kube.port import Document
from torpor_kube.watching import Watch
from torpor_operator.core.cache import Cache
from torpor_operator.core.naming import Key, key_of
from torpor_operator.core.targets import CERTIFICATES, Sort, Target
from torpor_operator.settings import Settings
from torpor_operator.work_queue import WorkQueue

log = logging.getLogger(__name__)

Look = Callable[[Key], Awaitable[float | None]]
"""Looks at one target; seconds after which to look again though nothing has changed."""


class Leading:
    """The dispatcher: a few workers, however many databases there are."""

    def __init__(
        self,
        cache: Cache,
        settings: Settings,
        looks: Mapping[Sort, Look],
        is_empty: Callable[[], Awaitable[bool]],
    ) -> None:
        self._cache = cache
        self._settings = settings
        self._is_empty = is_empty
        self._looks = looks
        self.queue = WorkQueue()
        self._watches: list[Watch[Any]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._held: dict[Target, None] = {}
        self._resources_listed = asyncio.Event()
        self.has_certificates = asyncio.Event()
        """They have been looked at: what databases hand out names whom to trust."""
        self.is_complete = asyncio.Event()
        """All that there is has been seen: nothing is decided before."""

    def report(self, targets: Iterable[Target]) -> None:
        """Whatever these are, they are to be looked at; once all that there is has been seen.

        Certificates need no list, and pods wait for them.
        """
        for target in targets:
            if self.is_complete.is_set() or target.sort is Sort.CERTIFICATES:
                self.queue.add([target])
            else:
                self._held[target] = None

    def start(self, watches: Iterable[Watch[Any]]) -> None:
        self._watches = list(watches)
        for watch in self._watches:
            watch.start()
        self.report([CERTIFICATES])
        self._tasks = [asyncio.create_task(self._await_all())]
        self._tasks += [asyncio.create_task(self._work()) for _ in range(self._settings.workers)]

    async def close(self) -> None:
        self.queue.close()
        for watch in self._watches:
            await watch.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- resources, as kopf tells them (on this loop) ----------------------------------------

    def seen(self, kind: Kind, document: Document) -> None:
        if not self._is_ours(kind, key_of(document)):
            return
        if kind == SERVERLESS_DATABASE:
            self.report(self._cache.database_seen(document))
        else:
            self.report(self._cache.pool_seen(document))

    def _is_ours(self, kind: Kind, key: Key) -> bool:
        """Databases of the watched namespaces, and pools of Torpor's own."""
        if kind == SERVERLESS_DATABASE:
            return not self._settings.watched or key.namespace in self._settings.watched
        return key.namespace == self._settings.namespace

    def changed(self, kind: Kind, document: Document, is_gone: bool) -> None:
        """kopf tells this only when all have been seen."""
        self._resources_listed.set()
        if not self._is_ours(kind, key_of(document)):
            return
        if is_gone and kind == SERVERLESS_DATABASE:
            self.report(self._cache.database_gone(key_of(document)))
        elif is_gone:
            self.report(self._cache.pool_gone(key_of(document).name))

    # --- work --------------------------------------------------------------------------------

    async def _await_all(self) -> None:
        for watch in self._watches:
            await watch.is_listed.wait()
        # Where there is no resource at all, kopf has nothing to tell.
        if not await self._is_empty():
            await self._resources_listed.wait()
        await self.has_certificates.wait()
        log.info("all_seen", extra={"databases": len(self._cache.databases)})
        self.is_complete.set()
        # Of clients' names as well, which follow from all databases.
        self.report([CERTIFICATES, *self._held])
        self._held.clear()

    async def _work(self) -> None:
        while True:
            await self._look(await self.queue.take())

    async def _look(self, target: Target) -> None:
        failed = True
        try:
            again_in_s = await self._looks[target.sort](target.key)
            if again_in_s is not None:
                self.queue.add_later(target, again_in_s)
            failed = False
        except Conflict as conflict:
            # Somebody wrote in between; the watch brings it, or has brought it.
            log.info("look_again", extra={"target": str(target), "reason": conflict.message})
        except Failure as failure:
            fields = {"target": str(target), "reason": failure.message, "hint": failure.hint}
            log.warning("look_failed", extra=fields)
        except Exception:
            log.exception("look_defect", extra={"target": str(target)})
        finally:
            self.queue.done(target, failed=failed)
