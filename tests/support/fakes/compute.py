"""The agent's world in memory: a Postgres, its SQL, its volume; what each was told, in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping

from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.failures import Failure
from torpor_api.identity import Epoch
from torpor_api.resource import DatabaseSpec
from torpor_compute.ports import Clients, Launch, StartTimes, Stop, Taken

FACTS = LoginFacts(roles=(RoleFacts(name="app"),), databases=("app",))


class FakeCompute:
    """All three ports in one, because what matters is the order between them."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.clients_by_look: list[tuple[str, ...]] = []
        """Who is there at each look; nobody once it is used up."""
        self.on_their_way: set[int] = set()
        self.starts: list[Failure | None] = []
        """How each start ends; well once it is used up."""
        self.take_fails: Failure | None = None
        self.taken = Taken(facts_are_stored=True, generation=1, was_stopped_cleanly=True)
        self.login_facts = FACTS
        self.changes = 0
        self.facts_fail: Failure | None = None
        self.start_may_end = asyncio.Event()
        self.start_may_end.set()
        self.is_running = False
        self._end = asyncio.Event()
        self._reason = ""

    # --- Postgres ---------------------------------------------------------------------------

    async def start(self, launch: Launch) -> StartTimes:
        self.story.append("start")
        self._end.clear()
        self.is_running = True
        waiting = [asyncio.create_task(e.wait()) for e in (self.start_may_end, self._end)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        failure = self.starts.pop(0) if self.starts else None
        if failure is not None:
            raise failure
        return StartTimes(1.0, 2.0)

    async def ended(self) -> str:
        await self._end.wait()
        return self._reason

    async def gone(self, *, starts_again: bool = False) -> None:
        if self.is_running:
            await self._end.wait()
        self.story.append("gone")

    def signal(self, stop: Stop) -> None:
        if self.is_running:
            self.story.append(stop.value)
            self.die(f"was told to stop ({stop.value})")

    def die(self, reason: str) -> None:
        """Of itself, or by a signal."""
        self.is_running = False
        self._reason = reason
        self._end.set()

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        self.story.append("pause")
        yield
        self.story.append("go on")

    def processes(self) -> frozenset[int]:
        return frozenset({1, 2} | self.on_their_way)

    def memory_bytes(self) -> int:
        return 4096

    # --- SQL --------------------------------------------------------------------------------

    async def role(self, name: str, superusers: Collection[str]) -> RoleFacts | None:
        return RoleFacts(name=name)

    async def facts(self, superusers: Collection[str]) -> LoginFacts:
        if self.facts_fail is not None:
            raise self.facts_fail
        return self.login_facts

    async def activity(self) -> tuple[Activity, int]:
        return Activity(), self.changes

    async def clients(self) -> Clients:
        found = self.clients_by_look.pop(0) if self.clients_by_look else ()
        return Clients(described=found, processes=frozenset({1, 2}))

    async def make_match(self, spec: DatabaseSpec, verifiers: Mapping[str, str]) -> None:
        self.story.append("make match")

    async def checkpoint(self) -> None:
        self.story.append("checkpoint")

    async def close(self) -> None:
        self.story.append("close")

    # --- volume -----------------------------------------------------------------------------

    async def take(self, epoch: Epoch, fenced_epoch: int | None) -> Taken:
        self.story.append("take")
        if self.take_fails is not None:
            raise self.take_fails
        return self.taken

    async def check_ours(self) -> None:
        self.story.append("check ours")

    async def release(self, *, facts_exported: bool) -> None:
        self.story.append("release" if facts_exported else "release without facts")

    async def flush(self) -> None:
        self.story.append("flush")

    async def note_applied(self, generation: int) -> None:
        self.story.append(f"applied {generation}")
