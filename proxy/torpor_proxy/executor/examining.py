"""What sessions would lose is found out while they are idle, a few of a database at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable

from torpor_proxy.executor.listeners import Listeners
from torpor_proxy.executor.session import Session
from torpor_proxy.executor.usage import Usage

AT_ONCE = 16
"""Sessions of one database that are examined at a time; each keeps a backend busy for 1 ms."""


class Examining:
    """Of one endpoint."""

    def __init__(
        self,
        attached: Collection[Session],
        usage: Usage,
        listeners: Listeners,
        start: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        """``start``: a task of the endpoint's. Whoever waits for sessions may go at any time, and
        what was begun with them goes on."""
        self._attached = attached
        self._usage = usage
        self._listeners = listeners
        self._start = start
        self._room = asyncio.Semaphore(AT_ONCE)
        self._turn = asyncio.Lock()

    def begin(self, limit: float) -> None:
        """Those that have been idle since ``limit``, on the loop's clock; nobody waits for it."""
        due = [s for s in self._attached if s.needs_capture and s.last_used < limit]
        if self._listeners.connections or any(s.listens for s in self._attached):
            due += self._let_listeners_catch_up(limit)
        if due and not self._turn.locked():
            self._start(self.examine(due))

    async def examine(self, sessions: Iterable[Session]) -> None:
        """Until all of them are."""
        async with self._turn:
            await self._all(self._at_rest(s, s.capture) for s in sessions)

    async def park(self, sessions: Iterable[Session]) -> None:
        """Until all have left their backends, or can't: those that listen by a cut."""

        def parking(session: Session) -> Callable[[], Coroutine[None, None, None]]:
            return lambda: session.park(insists=True)

        await self._all(self._at_rest(s, parking(s)) for s in sessions)

    async def _all(self, visits: Iterable[Coroutine[None, None, None]]) -> None:
        begun = [self._start(visit) for visit in visits]
        if begun:
            await asyncio.wait(begun)

    async def _at_rest(
        self, session: Session, do: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        async with self._room:
            if session.is_at_rest:
                await do()

    def _let_listeners_catch_up(self, limit: float) -> list[Session]:
        """Where nobody was active for a while; so that few are in doubt if the compute is lost."""
        quiet = {dbname for dbname, at in self._usage.snapshot().items() if at < limit}
        self._listeners.catch_up(quiet)
        self._listeners.tidy(limit)
        return [session for session in self._behind() if session.route.database in quiet]

    def _behind(self) -> list[Session]:
        """Sessions whose backends may have something to tell that they have not told yet."""
        listening = [s for s in self._attached if s.can_be_let_go and s.listens]
        used = self._usage.snapshot() if listening else {}
        return [s for s in listening if used[s.route.database] > s.heard_until]
