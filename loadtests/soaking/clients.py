"""Clients that live for ever, each with a session that has something to lose and a job of its own.

A session that hears an error and is still there goes on, and must have kept everything; one that is
gone is replaced. What each client was told is kept for the checker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from soaking.checker import Event, Life, Sent
from soaking.links import DRIVERS, ERRORS, Link, sqlstate_of

CHANNEL = "news"
ROWS = 2
"""Of one transaction."""

THINK_SECONDS_MAX = 2.0


@dataclass(slots=True)
class Seen:
    """By all clients together."""

    asked: int = 0
    connects: int = 0
    events: list[Event] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """State that a session had and has not any more."""
    commits: dict[str, list[int]] = field(default_factory=dict)
    """Acknowledged transactions by client."""
    sent: dict[str, dict[int, Sent]] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)


class Rhythm:
    """All clients pause at the same time now and then, so that their database may sleep."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.has_ended = asyncio.Event()

    async def beat(self, busy_s: float, quiet_s: float) -> None:
        while not self.has_ended.is_set():
            self.goes_on.set()
            await asyncio.sleep(busy_s)
            self.goes_on.clear()
            await asyncio.sleep(quiet_s)


class Client:
    """One of many. ``uri`` is where it connects."""

    def __init__(self, number: int, uri: str, seen: Seen, rhythm: Rhythm, random: Random) -> None:
        self.driver = list(DRIVERS)[number % len(DRIVERS)]
        self.kind = KINDS[number // len(DRIVERS) % len(KINDS)]
        self.name = f"{self.kind} {number} of {self.driver}"
        self._number = number
        self._uri = uri
        self._seen = seen
        self._rhythm = rhythm
        self._random = random
        self._job = JOBS[self.kind](self.name, seen)
        self._last_error: Event | None = None

    async def live(self) -> None:
        while not self._rhythm.has_ended.is_set():
            await self._rhythm.goes_on.wait()
            link = await self._begin()
            if link is not None:
                await self._go_on(link)
                await link.close()
                self._job.ended()

    async def _begin(self) -> Link | None:
        """A session with all its state; None: it was lost before it was complete."""
        since = time.monotonic()
        link: Link | None = None
        try:
            link = await DRIVERS[self.driver](self._uri)
            self._seen.connects += 1
            await link.ask(f"set work_mem = '{self._number + 64}kB'")
            await link.ask(f"set app.tenant = 'é {self._number}'")
            await link.ask(f"prepare mine as select $1::int + {self._number}")
            await self._job.begin(link)
        except ERRORS as error:
            self._saw(error, link.good_at if link is not None else since, goes_on=False)
            if link is not None:
                await link.close()
            self._job.ended()
            return None
        return link

    async def _go_on(self, link: Link) -> None:
        """Until the session or the soak has ended."""
        while not self._rhythm.has_ended.is_set():
            await asyncio.sleep(self._random.uniform(0, THINK_SECONDS_MAX))
            await self._rhythm.goes_on.wait()
            for step in (self._look, self._job.work):
                if not await self._does(link, step):
                    return

    async def _does(self, link: Link, step: Callable[[Link], Awaitable[None]]) -> bool:
        """One step; whether the session is still there."""
        self._seen.asked += 1
        try:
            await step(link)
        except ERRORS as error:
            self._saw(error, link.good_at, goes_on=not link.is_closed)
        return not link.is_closed

    def _saw(self, error: Exception, since: float, *, goes_on: bool) -> None:
        words = (str(error).splitlines() or [repr(error)])[0]
        now = time.monotonic()
        last = self._last_error
        nth = last.nth + 1 if last is not None and last.since == since else 1
        self._last_error = Event(self.name, since, now, sqlstate_of(error), words, goes_on, nth)
        self._seen.events.append(self._last_error)

    async def _look(self, link: Link) -> None:
        """Is everything there?"""
        sql = "select current_setting('work_mem'), current_setting('app.tenant'), $1::int"
        n = self._number
        found = await link.ask(sql, n)
        expected = [(f"{n + 64}kB", f"é {n}", n)]
        if found != expected:
            self._seen.wrong.append(f"{self.name}: {found} and not {expected}")
        # Fails where the statement is not there.
        await link.ask("execute mine (1)")


class Job:
    """What a client does beside looking. This one does nothing more."""

    def __init__(self, name: str, seen: Seen) -> None:
        self.name = name
        self.seen = seen
        self.number = 0

    async def begin(self, link: Link) -> None: ...

    async def work(self, link: Link) -> None: ...

    def ended(self) -> None: ...


class Writer(Job):
    """Transactions of two rows."""

    async def work(self, link: Link) -> None:
        self.number += 1
        # No ROLLBACK after an error: there must be nothing left of the transaction.
        await link.ask("begin")
        for row in range(ROWS):
            sql = "insert into written values ($1, $2, $3)"
            await link.ask(sql, self.name, self.number, row)
        await link.ask("commit")
        self.seen.commits.setdefault(self.name, []).append(self.number)


class Notifier(Job):
    """Numbers, one after the other."""

    async def work(self, link: Link) -> None:
        self.number += 1
        began_at = time.monotonic()
        acknowledged_at = None
        try:
            await link.ask("select pg_notify($1, $2)", CHANNEL, f"{self.name}:{self.number}")
            acknowledged_at = time.monotonic()
        finally:
            sent = self.seen.sent.setdefault(self.name, {})
            sent[self.number] = Sent(began_at, acknowledged_at)


class Listener(Job):
    """Hears all of them."""

    life: Life | None = None

    async def begin(self, link: Link) -> None:
        life = Life(self.name, 0.0)

        def heard(payload: str) -> None:
            sender, _, number = payload.partition(":")
            life.heard.append((sender, int(number)))

        await link.listen(CHANNEL, heard)
        life.began_at = time.monotonic()
        self.life = life
        self.seen.lives.append(life)

    async def work(self, link: Link) -> None:
        await link.hear()

    def ended(self) -> None:
        if self.life is not None and self.life.ended_at is None:
            self.life.ended_at = time.monotonic()


JOBS: dict[str, Callable[[str, Seen], Job]] = {
    "writer": Writer,
    "listener": Listener,
    "notifier": Notifier,
    "onlooker": Job,
}

KINDS = ("writer", "listener", "writer", "onlooker", "notifier", "listener", "writer", "onlooker")
"""In these shares."""
