"""What runs while this process leads: watches in, looks out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from enum import StrEnum
from typing import Any

from torpor_api.failures import Conflict, Failure
from torpor_kube.documents import name_of, namespace_of
from torpor_kube.port import Document
from torpor_kube.watching import Watch
from torpor_operator.core.cache import Cache
from torpor_operator.core.deletion import is_deleting
from torpor_operator.core.naming import Key
from torpor_operator.core.targets import CERTIFICATES, Sort, Target
from torpor_operator.settings import Settings
from torpor_operator.work_queue import WorkQueue

log = logging.getLogger(__name__)

LIST_AGAIN_S = 1.0
"""Where the API server did not answer."""

TOLD_S_MAX = 10.0
"""For kopf to tell of a pool that a list has; it may have gone before kopf listed any."""

REFUSED_S_MAX = 10.0
"""How long a list may be refused before its namespace counts as one that can't be seen: a server
that has just started refuses for a second or so what it has not read the roles for."""

UNSEEN_HINT = "take it out of watchNamespaces; or make it again, and `helm upgrade` brings its Role"

ENDINGS_MAX = 16
"""Deletions at once. Each may wait a minute for sessions, and minutes for an erase; nothing but
other deletions waits for one."""

MANY_LOOKS = 100
"""What so many took for a moment is worth giving back; a wake is one or two."""


class Ended(StrEnum):
    """What became of a look."""

    DONE = "done"
    CONFLICT = "conflict"
    """Somebody wrote in between; it is looked at again."""
    FAILED = "failed"
    """What it needed was refused, or not answered; it is looked at again."""
    DEFECT = "defect"
    """Of the operator itself."""


Look = Callable[[Key], Awaitable[float | None]]
"""Looks at one target; seconds after which to look again though nothing has changed."""


class Leading:
    """The dispatcher: a few workers, however many databases there are."""

    def __init__(
        self,
        cache: Cache,
        settings: Settings,
        looks: Mapping[Sort, Look],
        all_pools: Callable[[], AsyncGenerator[Document, None]],
        is_through: Callable[[], None],
    ) -> None:
        """``is_through`` is called when nothing waits any more after :data:`MANY_LOOKS`."""
        self._cache = cache
        self._settings = settings
        self._all_pools = all_pools
        self._looks = looks
        self._is_through = is_through
        self._looked = 0
        """So many times since that was last called."""
        self.after_look: Callable[[Sort, Ended, float], None] = lambda *_: None
        """Told of each look: at what, what became of it, and the seconds that it took."""
        self.queue = WorkQueue()
        self._watches: list[Watch[Any]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._may_end = asyncio.Semaphore(ENDINGS_MAX)
        self._held: dict[Target, None] = {}
        self._is_told = asyncio.Event()
        """kopf has told of a pool."""
        self._gone: set[str] = set()
        """Pools that went while all were being listed."""
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
        tasks = [*self._tasks, *self._endings]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for watch in self._watches:
            await watch.close()

    # --- pools, as kopf tells them (on this loop) --------------------------------------------

    def pool_changed(self, document: Document, is_gone: bool) -> None:
        self._is_told.set()
        if namespace_of(document) != self._settings.namespace:
            return
        if is_gone:
            if not self.is_complete.is_set():
                self._gone.add(name_of(document))
            self.report(self._cache.pool_gone(name_of(document)))
        else:
            self.report(self._cache.pool_seen(document))

    # --- work --------------------------------------------------------------------------------

    async def _await_all(self) -> None:
        await self._await_lists()
        await self._see_pools()
        await self.has_certificates.wait()
        log.info("all_seen", extra={"databases": len(self._cache.databases)})
        self.is_complete.set()
        # Of clients' names as well, which follow from all databases.
        self.report([CERTIFICATES, *self._held])
        self._held.clear()
        self._gone.clear()

    async def _await_lists(self) -> None:
        """All but those of namespaces in which we have no rights: that one of them was deleted, and
        its Role with it, is no reason to do nothing for all others."""
        try:
            async with asyncio.timeout(REFUSED_S_MAX):
                for watch in self._watches:
                    await watch.is_listed.wait()
                return
        except TimeoutError:
            pass
        while True:
            waiting = [watch for watch in self._watches if not watch.is_listed.is_set()]
            refused = {watch.namespace for watch in waiting if watch.is_refused.is_set()}
            unseen = refused - {"", self._settings.namespace}
            if {watch.namespace for watch in waiting} <= unseen:
                break
            await asyncio.sleep(LIST_AGAIN_S)
        for namespace in sorted(unseen):
            log.error("namespace_not_seen", extra={"namespace": namespace, "hint": UNSEEN_HINT})
            self._cache.unseen(namespace)
            self._tasks.append(asyncio.create_task(self._see_later(namespace)))

    async def _see_later(self, namespace: str) -> None:
        """Somebody has given us the rights."""
        for watch in self._watches:
            if watch.namespace == namespace:
                await watch.is_listed.wait()
        log.info("namespace_seen", extra={"namespace": namespace})
        self.report(self._cache.seen_again(namespace))

    async def _see_pools(self) -> None:
        """kopf does not say when it has told all, so they are listed once more beside it.

        Once it has told of one, it tells the end of every one that such a list has.
        """
        while True:
            try:
                if await self._has_pools():
                    async with asyncio.timeout(TOLD_S_MAX):
                        await self._is_told.wait()
                    self._gone.clear()
                    async for document in self._all_pools():
                        if name_of(document) not in self._gone:
                            self.report(self._cache.pool_seen(document))
                return
            except TimeoutError:
                log.warning("pools_not_told", extra={"waited_s": TOLD_S_MAX})
            except Failure as failure:
                log.warning("pools_not_listed", extra={"reason": failure.message})
                await asyncio.sleep(LIST_AGAIN_S)

    async def _has_pools(self) -> bool:
        async with aclosing(self._all_pools()) as documents:
            async for _ in documents:
                return True
        return False

    async def _work(self) -> None:
        while True:
            target = await self.queue.take()
            if self._is_ending(target):
                ending = asyncio.create_task(self._end(target))
                self._endings.add(ending)
                ending.add_done_callback(self._endings.discard)
            else:
                await self._look(target)
            # A look at what is settled waits for nothing: others come to their turn here, the
            # renewal of the Lease above all.
            await asyncio.sleep(0)

    def _count(self) -> None:
        self._looked += 1
        if self._looked >= MANY_LOOKS and not self.queue:
            self._looked = 0
            self._is_through()

    def _is_ending(self, target: Target) -> bool:
        seen = self._cache.databases.get(target.key) if target.sort is Sort.DATABASE else None
        return seen is not None and is_deleting(seen.document())

    async def _end(self, target: Target) -> None:
        """Beside the workers: they have others to look at."""
        async with self._may_end:
            await self._look(target)

    async def _look(self, target: Target) -> None:
        clock = asyncio.get_running_loop().time
        begun_s, ended = clock(), Ended.DEFECT
        try:
            again_in_s = await self._looks[target.sort](target.key)
            if again_in_s is not None:
                self.queue.add_later(target, again_in_s)
            ended = Ended.DONE
        except Conflict as conflict:
            # The watch brings what somebody wrote, or has brought it.
            ended = Ended.CONFLICT
            log.info("look_again", extra={**target.log_keys, "reason": conflict.message})
        except Failure as failure:
            ended = Ended.FAILED
            fields = {**target.log_keys, "reason": failure.message, "hint": failure.hint}
            log.warning("look_failed", extra=fields)
        except Exception:
            log.exception("look_defect", extra=target.log_keys)
        finally:
            self.queue.done(target, failed=ended is not Ended.DONE)
            self.after_look(target.sort, ended, clock() - begun_s)
            self._count()
