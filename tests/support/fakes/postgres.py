"""A Postgres in memory: see the port ``Postgres``. Its data outlives its processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace

from torpor_api.facts import LoginFacts
from torpor_api.failures import Failure, StartFailed, Unavailable
from torpor_api.messages import ComputeUse
from torpor_api.sizes import Size
from torpor_compute.core import login_facts
from torpor_compute.core.login_facts import RoleRow
from torpor_compute.core.postgres_options import needing_restart
from torpor_compute.ports import Launch, StartTimes, Stop

OWN = frozenset({1, 2})
"""Its helpers, and the agent's backend."""

ENTRY_SECONDS_MAX = 30.0

APP = RoleRow("app", None, True, False, True, None, -1)


@dataclass
class Server:
    """What is in the data directory."""

    roles: dict[str, RoleRow] = field(default_factory=lambda: {"app": APP})
    databases: set[str] = field(default_factory=lambda: {"app"})
    changes: int = 0
    """Grows with every change of these."""

    def facts(self, superusers: Collection[str]) -> LoginFacts:
        roles = [login_facts.facts_of(row, superusers) for row in self.roles.values()]
        return LoginFacts(roles=tuple(roles), databases=tuple(sorted(self.databases)))

    def put_role(self, row: RoleRow) -> None:
        if self.roles.get(row.name) != row:
            self.roles[row.name] = row
            self.changes += 1

    def alter_role(self, name: str) -> None:
        self.put_role(replace(self.roles[name], valid_until_s=1e9 + self.changes))


class FakePostgres:
    """At most one at a time; ``story`` is what it was told, in order."""

    def __init__(self, story: list[str]) -> None:
        self.server = Server()
        self.launch: Launch | None = None
        """Of the last start."""
        self.starts: list[Failure | None] = []
        """How each start ends; well once it is used up."""
        self.start_may_end = asyncio.Event()
        self.start_may_end.set()
        self.is_running = False
        self.is_stopping = False
        self.on_their_way: set[int] = set()
        """Processes that nobody lists yet."""
        self.unlisted: set[int] = set()
        """Helpers that are never listed."""
        self.clients: dict[int, str] = {}
        self._story = story
        self._end = asyncio.Event()
        self._reason = ""
        self._may_enter = asyncio.Event()
        self._may_enter.set()
        self._last_process = max(OWN)

    async def start(self, launch: Launch) -> StartTimes:
        self._story.append("start")
        self.launch = launch
        self._end.clear()
        self.is_running, self.is_stopping = True, False
        waiting = [asyncio.create_task(e.wait()) for e in (self.start_may_end, self._end)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        failure = self.starts.pop(0) if self.starts else None
        if failure is None and self._end.is_set():
            failure = StartFailed(self._reason)
        if failure is not None:
            raise failure
        return StartTimes(1.0, 2.0)

    async def ended(self) -> str:
        await self._end.wait()
        return self._reason

    async def gone(self, *, starts_again: bool = False) -> None:
        if self.is_running:
            await self._end.wait()
        self._story.append("gone")

    def follow(self, size: Size) -> tuple[str, ...]:
        if not self.is_running or self.launch is None:
            raise Unavailable("no Postgres runs")
        self._story.append(f"follow {size.cu}")
        return needing_restart(self.launch.size, size)

    def signal(self, stop: Stop) -> None:
        if not self.is_running:
            return
        self._story.append(stop.value)
        self.is_stopping = True
        if stop is not Stop.SMART or not self.clients:
            self.die(f"was told to stop ({stop.value})")

    def die(self, reason: str) -> None:
        """Of itself, or by a signal."""
        self.is_running = False
        self.clients.clear()
        self._reason = reason
        self._end.set()

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        self._story.append("pause")
        self._may_enter.clear()
        try:
            yield
        finally:
            self._story.append("go on")
            self._may_enter.set()

    def processes(self) -> dict[int, float]:
        young = self.clients.keys() | self.on_their_way
        return dict.fromkeys(OWN | self.unlisted, 2 * ENTRY_SECONDS_MAX) | dict.fromkeys(young, 0.0)

    def use(self) -> ComputeUse:
        used = 4096 * len(self.processes())
        return ComputeUse(
            cpu_seconds=float(self._last_process),
            memory_bytes=used,
            anonymous_bytes=used,
            shared_memory_bytes=0,
        )

    # --- what clients do --------------------------------------------------------------------

    async def connect(self, user: str) -> int:
        """The client's process. Raises Unavailable where nobody is let in."""
        await self._may_enter.wait()
        if not self.is_running or self.is_stopping:
            raise Unavailable("nobody is let in")
        self._last_process += 1
        self.clients[self._last_process] = user
        return self._last_process

    def disconnect(self, process: int) -> None:
        self.clients.pop(process, None)
        if self.is_running and self.is_stopping and not self.clients:
            self.die("was told to stop, and the last client has left")
