"""Carries commands out: asks the autoscaler, and makes rows of what it says.

Rows come as they are asked for: of ten thousand databases a page at a time is held, however slowly
the client reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from torpor_api import messages as m
from torpor_api.failures import NotFound
from torpor_api.transition import TransitionKind
from torpor_proxy.console import rows, verbs
from torpor_proxy.console.portals import Notice, Told
from torpor_proxy.console.statements import Command
from torpor_proxy.console.values import Row
from torpor_proxy.console.verbs import Verb
from torpor_proxy.ports import Desk

QUICK_SECONDS_MAX = 10.0
"""For questions that need no database."""

SLOW_SECONDS_MAX = 120.0
"""For those that wait for a start, a stop or a move; the autoscaler answers before."""

WAKES_MAX = 200
"""Of SHOW WAKES, the latest: a mebibyte of spans on their way."""

SESSIONS_OF_ONE_MAX = 10_000
"""Of SHOW SESSIONS NAME: 3 MiB."""

SESSIONS_OF_EACH_MAX = 1000
"""Of SHOW SESSIONS, of each database."""

ROWS_MAX = 100_000
"""Of one answer: whoever needs more looks at one database at a time."""

WAKES = (TransitionKind.RESUME, TransitionKind.FAILOVER)


@dataclass(frozen=True, slots=True)
class Here:
    """What the console says of its own proxy."""

    proxy: str
    release: str
    samples: Callable[[], Sequence[m.EndpointSample]]


class Answers:
    """Of one proxy's console."""

    def __init__(self, desk: Desk, here: Here) -> None:
        self._desk = desk
        self._here = here
        self._by_verb: dict[Verb, _Answer] = {
            verbs.SHOW_DATABASES: self._databases,
            verbs.SHOW_SESSIONS: self._sessions,
            verbs.SHOW_WAKES: self._wakes,
            verbs.SHOW_CHAIN: self._chain,
            verbs.SHOW_POOLS: self._pools,
            verbs.SHOW_COMPUTES: self._computes,
            verbs.SHOW_PROXIES: self._proxies,
            verbs.SHOW_STATS: self._stats,
            verbs.SHOW_WHY: self._why,
            verbs.SHOW_DECISIONS: self._decisions,
            verbs.SHOW_VERSION: self._version,
            verbs.SHOW_HELP: self._help,
            verbs.SUSPEND: self._suspend,
            verbs.RESUME: self._resume,
            verbs.SWITCHOVER: self._switchover,
            verbs.RESIZE: self._resize,
        }

    async def of(self, command: Command, asker: str) -> Told:
        """Raises a Failure. Nothing is done before the first row is asked for.

        ``asker``: who it is, for those who ask why a database woke.
        """
        count = 0
        async with aclosing(self._by_verb[command.verb](command, asker)) as answer:
            async for told in answer:
                if count >= ROWS_MAX:
                    yield Notice(f"only the first {ROWS_MAX} rows are shown")
                    return
                count += not isinstance(told, Notice)
                yield told

    # --- of the fleet -------------------------------------------------------------------

    async def _fleet(self) -> AsyncGenerator[m.DatabaseRow, None]:
        """By name, a page after the other."""
        page = await self._desk.ask(m.AskFleet(), timeout_s=QUICK_SECONDS_MAX)
        while True:
            for database in page.databases:
                yield database
            if not (page.has_more and page.databases):
                return
            asked = m.AskFleet(after=page.databases[-1].name)
            page = await self._desk.ask(asked, timeout_s=QUICK_SECONDS_MAX)

    async def _databases(self, _: Command, __: str) -> Told:
        async with aclosing(self._fleet()) as fleet:
            async for database in fleet:
                yield rows.of_database(database)

    async def _sessions(self, command: Command, _: str) -> Told:
        if command.name is not None:
            name = str(command.name)
            for told in _sessions_told(name, await self._ask_sessions(name, SESSIONS_OF_ONE_MAX)):
                yield told
            return
        async with aclosing(self._fleet()) as fleet:
            async for database in fleet:
                if database.sessions:
                    with suppress(NotFound):  # Deleted since its page was made.
                        found = await self._ask_sessions(database.name, SESSIONS_OF_EACH_MAX)
                        for told in _sessions_told(database.name, found):
                            yield told

    async def _ask_sessions(self, name: str, limit: int) -> m.SessionList:
        asked = m.Sessions(name=name, limit=limit)
        return await self._desk.ask(asked, timeout_s=QUICK_SECONDS_MAX)

    async def _wakes(self, command: Command, _: str) -> Told:
        name = str(command.name or "")
        asked = m.AskTransitions(database=name, kinds=WAKES, limit=WAKES_MAX)
        found = await self._desk.ask(asked, timeout_s=QUICK_SECONDS_MAX)
        for transition in found.transitions:
            yield rows.of_wake(transition)

    async def _chain(self, command: Command, _: str) -> Told:
        asked = m.AskTransitions(database=str(command.name), limit=1)
        found = await self._desk.ask(asked, timeout_s=QUICK_SECONDS_MAX)
        for transition in found.transitions:
            for row in rows.of_chain(transition):
                yield row

    async def _pools(self, _: Command, __: str) -> Told:
        found = await self._desk.ask(m.AskComputes(), timeout_s=QUICK_SECONDS_MAX)
        for pool in found.pools:
            yield rows.of_pool(pool)

    async def _computes(self, _: Command, __: str) -> Told:
        found = await self._desk.ask(m.AskComputes(), timeout_s=QUICK_SECONDS_MAX)
        for compute in found.computes:
            yield rows.of_compute(compute)

    async def _proxies(self, _: Command, __: str) -> Told:
        found = await self._desk.ask(m.AskComputes(), timeout_s=QUICK_SECONDS_MAX)
        for proxy in found.proxies:
            yield (proxy, proxy == self._here.proxy)

    # --- of one database ----------------------------------------------------------------

    async def _why(self, command: Command, _: str) -> Told:
        found = await self._desk.ask(m.Why(name=str(command.name)), timeout_s=QUICK_SECONDS_MAX)
        for reason in found.reasons:
            yield (found.name, found.phase, reason)

    async def _decisions(self, command: Command, _: str) -> Told:
        asked = m.AskDecisions(name=str(command.name))
        found = await self._desk.ask(asked, timeout_s=QUICK_SECONDS_MAX)
        for decided in found.decisions:
            yield rows.of_decision(decided)

    # --- of this proxy ------------------------------------------------------------------

    async def _stats(self, _: Command, __: str) -> Told:
        for sample in sorted(self._here.samples(), key=lambda each: each.name):
            yield rows.of_sample(sample)

    async def _version(self, _: Command, __: str) -> Told:
        yield (f"Torpor {self._here.release}",)

    async def _help(self, _: Command, __: str) -> Told:
        for verb in verbs.VERBS:
            yield (verb.spelling, verb.right, verb.what)

    # --- what changes something -----------------------------------------------------------

    async def _suspend(self, command: Command, _: str) -> Told:
        await self._desk.ask(m.Suspend(name=str(command.name)), timeout_s=SLOW_SECONDS_MAX)
        for nothing in _NO_ROWS:
            yield nothing

    async def _resume(self, command: Command, asker: str) -> Told:
        name = str(command.name)
        asked = m.Wake(name=name, cause=f"RESUME of {asker}")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        awake = await self._desk.ask(asked, timeout_s=SLOW_SECONDS_MAX)
        # Its steps are of the wake that there was last, which may be of yesterday.
        yield (name, awake.endpoint.epoch, round((loop.time() - begun) * 1000.0, 3))

    async def _switchover(self, command: Command, _: str) -> Told:
        name = str(command.name)
        moved = await self._desk.ask(m.Switchover(name=name), timeout_s=SLOW_SECONDS_MAX)
        yield (name, moved.epoch, moved.compute, moved.pause_ms)

    async def _resize(self, command: Command, _: str) -> Told:
        name = str(command.name)
        assert isinstance(command.size, Decimal), "parameters are bound"
        asked = m.Resize(name=name, cu=command.size)
        resized = await self._desk.ask(asked, timeout_s=SLOW_SECONDS_MAX)
        yield (name, resized.cu, resized.pause_ms, ", ".join(resized.needs_restart))


def _sessions_told(name: str, found: m.SessionList) -> Iterator[Row | Notice]:
    for one in found.sessions:
        yield rows.of_session(name, one)
    if found.missing:
        yield Notice(f"{name}: {', '.join(found.missing)} did not tell their sessions")
    if len(found.sessions) < found.total:
        yield Notice(f"{name}: {len(found.sessions)} of {found.total} sessions")


_Answer: TypeAlias = Callable[[Command, str], Told]

_NO_ROWS: tuple[Row, ...] = ()
