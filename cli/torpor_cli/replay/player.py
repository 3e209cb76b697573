"""Replays sessions: each connects, sends its statements at their times, and leaves, as in the log.

A session is a task that reads its own statements. It waits for their times, and for its turn among
the others; inside of a transaction it does not wait for turns: others may wait for its locks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from torpor_api.failures import Failure
from torpor_cli.replay.client import CanNotConnect, Client
from torpor_cli.replay.figures import Figures
from torpor_cli.replay.spool import Spool
from torpor_cli.replay.statement import Session, Statement
from torpor_cli.replay.turns import Turns

READ_ONLY: Final = "25006"
"""What Postgres refuses in a read-only transaction."""

Reach = Callable[[Session], Mapping[str, str]]
"""With which parameters a session's client connects."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How time goes."""

    begin_s: float
    """Of the log."""
    speed: float | None = 1.0
    """So many times as fast; None: each session as fast as it can."""
    sessions_max: int = 200
    """Open at once."""
    only_reads: bool = False
    is_ordered: bool = True
    """Sessions wait for what had ended in the log before."""


@dataclass(slots=True)
class _Left:
    """What a session has still to do."""

    statements: Iterator[Statement]
    statement: Statement | None
    """The next one, or the one that runs."""
    number: int
    """Of it, among the turns."""


class Player:
    """Plays a log once."""

    def __init__(self, spool: Spool, reach: Reach, pace: Pace, figures: Figures) -> None:
        self._spool = spool
        self._reach = reach
        self._pace = pace
        self._figures = figures
        self._places = asyncio.Semaphore(pace.sessions_max)
        self._turns = Turns()
        self._began = time.monotonic()

    @property
    def at_s(self) -> float:
        """How far it is, in seconds of the log; without a speed those that have passed."""
        return (time.monotonic() - self._began) * (self._pace.speed or 1.0)

    async def play(self) -> None:
        """Until the last session has left. Cancelled, it ends every session's statement."""
        self._began = time.monotonic()
        async with asyncio.TaskGroup() as sessions:
            for session in self._spool.sessions():
                self._turns.opened_until(session.begin_s)
                await self._until(session.begin_s)
                await self._place()
                statements = self._spool.statements(session.number)
                first = next(statements, None)
                number = self._turns.expect(first)
                sessions.create_task(self._session(session, _Left(statements, first, number)))
            self._turns.opened_until()

    async def _place(self) -> None:
        if self._places.locked():
            self._turns.opened_until()  # Those that are open have to end first.
            asked = time.monotonic()
            await self._places.acquire()
            self._figures.waited_for_place(time.monotonic() - asked)
        else:
            await self._places.acquire()

    async def _session(self, session: Session, left: _Left) -> None:
        self._figures.sessions += 1
        self._figures.open += 1
        try:
            await self._played(session, left)
        finally:
            self._turns.done(left.number)
            self._figures.open -= 1
            self._places.release()

    async def _played(self, session: Session, left: _Left) -> None:
        client = await self._connected(session)
        try:
            while left.statement is not None:
                if client is None:
                    self._figures.not_run += 1
                else:
                    await self._run(client, left.statement)
                    client = await self._kept(client, session)
                before = left.number
                left.statement = next(left.statements, None)
                left.number = self._turns.expect(left.statement)
                self._turns.done(before)
            if session.end_s is not None:
                await self._until(session.end_s)
        finally:
            if client is not None:
                await client.close()

    async def _kept(self, client: Client, session: Session) -> Client | None:
        """The same, or another one where its connection has ended."""
        if not client.is_lost:
            return client
        self._figures.lost += 1
        await client.close()
        return await self._connected(session)

    async def _connected(self, session: Session) -> Client | None:
        try:
            return await Client.connect(self._reach(session))
        except (CanNotConnect, Failure) as error:
            self._figures.could_not_connect(str(error))
            return None

    async def _run(self, client: Client, statement: Statement) -> None:
        await self._until(statement.begin_s)
        if self._pace.is_ordered and not client.is_in_transaction:
            self._figures.out_of_order += not await self._turns.come(statement)
        if self._pace.speed is not None:
            self._figures.began(max(time.monotonic() - self._due(statement.begin_s), 0.0) * 1000)
        began = time.perf_counter()
        sqlstate = await client.run(statement)
        took_ms = (time.perf_counter() - began) * 1000
        if self._pace.only_reads and sqlstate == READ_ONLY != statement.sqlstate:
            self._figures.refused_writes += 1
            return
        at_s = statement.begin_s - self._pace.begin_s
        self._figures.ran(statement, took_ms, sqlstate, at_s)

    async def _until(self, log_s: float) -> None:
        """That time of the log."""
        left_s = self._due(log_s) - time.monotonic()
        if left_s > 0:
            await asyncio.sleep(left_s)

    def _due(self, log_s: float) -> float:
        """By the clock of this machine; without a speed everything is due."""
        if self._pace.speed is None:
            return self._began
        return self._began + (log_s - self._pace.begin_s) / self._pace.speed
