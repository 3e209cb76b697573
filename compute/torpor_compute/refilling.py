"""What was in shared buffers is there again after a sleep, and nobody waits for it.

Before a sleep, with the gate open, the agent notes on the volume which pages are in shared buffers;
every five minutes as well, for whoever starts after a crash. Behind every start it loads them in
the background, in short batches with pauses between, over a connection of its own: into buffers
that nobody uses, so nothing is lost that a client has read meanwhile. It is no use of the database,
and ends where a stop begins.

Nothing of it can fail a start or a stop: what goes wrong is a line in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque

from torpor_api.failures import Failure, NotFound
from torpor_compute.core.claim import Claim
from torpor_compute.core.kept_pages import (
    PAGES_MIN,
    Batch,
    Found,
    Pace,
    Run,
    aged,
    by_database,
    next_batch,
    packed,
    page_count,
    put_back,
    unpacked,
)
from torpor_compute.core.lifecycle import State
from torpor_compute.ports import Loader, Serving, Sql, Volume
from torpor_compute.tasks import Tasks

log = logging.getLogger(__name__)

BEGIN_AFTER_SECONDS = 0.25
"""The first clients have the processor until then, and of databases that wake together those of the
last: to fill at once made a group of six wait a fifth longer."""

NOTE_EVERY_SECONDS = 300.0
"""As often as Postgres's own autoprewarm does it."""

CONNECTED_SECONDS_MAX = 2.0
"""Whoever drops or renames a database waits 5 s for all others to leave it."""

PAUSE_SECONDS_MAX = 0.25
"""Between two batches: it is connected meanwhile."""

APART_SECONDS = 0.25
"""Between two connections to one database: such a one looks ten times a second."""


class Refilling:
    """Hears of each state of the agent. ``is_on``: False notes and loads nothing."""

    def __init__(
        self,
        *,
        is_on: bool = True,
        begin_after_s: float = BEGIN_AFTER_SECONDS,
        note_every_s: float = NOTE_EVERY_SECONDS,
    ) -> None:
        self._is_on = is_on
        self._begin_after_s = begin_after_s
        self._note_every_s = note_every_s
        self._tasks = Tasks()
        self._rounds: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._volume: Volume | None = None
        self._sql: Sql | None = None
        """Of the Postgres that runs."""
        self._filled: Sql | None = None
        """The one whose buffers have been filled again."""
        self._brought_back = b""
        """The list by which they were."""
        self._unread: frozenset[int] = frozenset()
        """Databases of whose pages on it some could not be read just then."""

    @property
    def is_under_way(self) -> bool:
        """Whether buffers are being filled, or will be in a moment."""
        return self._is_on and self._sql is not None and self._sql is not self._filled

    def became(self, state: State, _: Claim | None, serving: Serving | None) -> None:
        self._sql = None
        if serving is not None and state is State.RUNNING:
            self._sql, self._volume = serving.sql, serving.volume
        self._changed.set()
        if self.is_under_way and (self._rounds is None or self._rounds.done()):
            self._rounds = self._tasks.run(self._go_on())

    async def note(self) -> None:
        """What is in shared buffers now. Not while they are being filled: the list would be
        shorter for it."""
        sql, volume = self._sql, self._volume
        if not self._is_on or sql is None or volume is None or self.is_under_way:
            return
        try:
            async with self._one_at_a_time:
                found = await sql.pages.found()
                if found is None or self._sql is not sql:
                    return
                before, unread = self._brought_back, self._unread
                content = await asyncio.to_thread(_next_list, found, before, unread)
                await volume.pages.write(content)
        except Failure as failure:
            log.warning("pages_not_noted", extra={"reason": failure.message})

    async def end(self) -> None:
        """A batch under way is the last."""
        self._sql = None
        self._changed.set()
        await self._tasks.end(CONNECTED_SECONDS_MAX)

    async def _go_on(self) -> None:
        while (sql := self._sql) is not None and self._volume is not None:
            self._changed.clear()
            if self._filled is not sql:
                await self._fill(sql, self._volume)
            await self._pause(self._note_every_s)
            if self._sql is sql:
                await self.note()

    async def _fill(self, sql: Sql, volume: Volume) -> None:
        clock = asyncio.get_running_loop().time
        await self._pause(self._begin_after_s)
        self._brought_back, self._unread = await volume.pages.read(), frozenset()
        plan = await asyncio.to_thread(_plan_of, self._brought_back)
        began_s, pace, loaded = clock(), Pace(), 0
        listed = sum(page_count(waiting) for _, waiting in plan)
        for database, waiting in plan:
            loaded += await self._fill_from(sql, database, waiting, pace)
        if plan:
            fields = {"pages": loaded, "listed": listed, "seconds": round(clock() - began_s, 3)}
            log.info("refilled", extra=fields)
        if self._sql is sql:  # Else it was cut: where this one goes on all the same, once more.
            self._filled = sql

    async def _fill_from(self, sql: Sql, database: int, waiting: deque[Run], pace: Pace) -> int:
        """Until nothing waits any more or there is no room; how many pages were asked for."""
        loaded = 0
        try:
            while waiting and self._sql is sql:
                async with sql.pages.loading(database) as loader:
                    loaded += await self._load(sql, loader, waiting, pace)
                if waiting and self._sql is sql:
                    await self._pause(APART_SECONDS)
        except NotFound as failure:
            log.info("not_refilled", extra={"reason": failure.message})
        except Failure as failure:
            log.warning("not_refilled", extra={"reason": failure.message})
            self._unread |= {run.file.database for run in waiting}
        return loaded

    async def _load(self, sql: Sql, loader: Loader, waiting: deque[Run], pace: Pace) -> int:
        """Over one connection, for as long as it may last."""
        clock = asyncio.get_running_loop().time
        loaded, leave_s = 0, clock() + CONNECTED_SECONDS_MAX
        while waiting and self._sql is sql and clock() < leave_s:
            room = await sql.pages.room()
            if room is None or not room.unused_buffers:
                waiting.clear()
                break
            began_s = clock()
            batch = next_batch(waiting, min(pace.pages, room.unused_buffers))
            if await loader.load(batch):
                loaded += batch.pages
            else:
                loaded += await self._load_each(sql, loader, batch, waiting, leave_s)
            pause_s = pace.took(clock() - began_s, beside_clients=room.is_used)
            await self._pause(min(pause_s, PAUSE_SECONDS_MAX))
        return loaded

    async def _load_each(
        self, sql: Sql, loader: Loader, batch: Batch, waiting: deque[Run], leave_s: float
    ) -> int:
        """One of its files keeps the others from being loaded, and is left out. At least one is
        tried, so that no batch comes back for ever; those that were not wait again."""
        loaded = 0
        for tried, each in enumerate(batch.by_file(), start=1):
            loaded += each.pages if await loader.load(each) else 0
            if self._sql is not sql or asyncio.get_running_loop().time() > leave_s:
                put_back(waiting, Batch(batch.parts[tried:]))
                break
        return loaded

    async def _pause(self, seconds: float) -> None:
        """Shorter where the agent's state changes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()


def _plan_of(content: bytes) -> list[tuple[int, deque[Run]]]:
    """By database. Up to a tenth of a second of a processor, for a list of many single pages."""
    runs = _list_in(content)
    return by_database(runs) if page_count(runs) >= PAGES_MIN else []


def _next_list(found: tuple[Found, ...], brought_back: bytes, unread: frozenset[int]) -> bytes:
    return packed(aged(found, _list_in(brought_back), unread))


def _list_in(content: bytes) -> tuple[Run, ...]:
    try:
        return unpacked(content) if content else ()
    except ValueError as error:
        log.warning("pages_ignored", extra={"reason": str(error)})
        return ()
