"""From a claim to a Postgres that takes connections, and the same again after it has died."""

from __future__ import annotations

from collections.abc import Callable

from torpor_api.facts import LoginFacts
from torpor_api.identity import Epoch
from torpor_api.messages import ApplySpec, ComputeAddress, StartCompute, Started, StoragePlace
from torpor_api.sizes import Size, memory_bytes
from torpor_compute.chain import AGENT, POSTGRES, StepClock
from torpor_compute.ports import Launch, Postgres, Sql, Taken, Volume


class Starting:
    """One claim's hold on its volume, and the starts of Postgres on it."""

    def __init__(
        self,
        wanted: StartCompute,
        address: ComputeAddress,
        volume_of: Callable[[StoragePlace], Volume],
        postgres: Postgres,
        sql_of: Callable[[], Sql],
        max_connections: int,
    ) -> None:
        self._wanted = wanted
        self._address = address
        self._postgres = postgres
        self._sql_of = sql_of
        self._max_connections = max_connections
        max_cu = wanted.spec.max_cu
        self._size = Size(max_cu if wanted.cu is None else wanted.cu, max_cu)
        self.volume = volume_of(wanted.storage)
        self.sql = sql_of()
        """Of the Postgres that was started last."""
        self._superusers = superusers(wanted)
        self._chain = StepClock()

    async def take(self) -> Taken:
        """Make the volume ours; when this raises, it is not and nothing has been started."""
        if await self.volume.make():
            self._chain.took("new volume", AGENT)
        taken = await self.volume.take(Epoch(self._wanted.epoch), self._wanted.fenced)
        self._chain.took("ownership record", AGENT)
        return taken

    async def first_start(self, taken: Taken) -> Started:
        """Facts are read only where those stored may be wrong: nobody waits for them otherwise."""
        await self._start_postgres(was_recovery=not taken.was_stopped_cleanly)
        is_newer = self._wanted.generation > taken.generation
        if is_newer:
            await self.sql.make_match(self._wanted.spec, self._wanted.verifiers)
            await self.volume.note_applied(self._wanted.generation)
            self._chain.took("roles and databases", POSTGRES)
        is_exact = taken.facts_are_stored and taken.was_stopped_cleanly and not is_newer
        facts = None if is_exact else await self._read_facts()
        self._chain.took("answer", AGENT)
        return self._started(facts, was_recovery=not taken.was_stopped_cleanly)

    async def again(self) -> Started:
        """After a death of Postgres, once nothing of it is left and all is on disk.

        Clients wait for nothing else: the facts are told when they are next looked at, at once.
        """
        self._chain = StepClock()
        await self.volume.check_ours()
        self._chain.took("ownership record", AGENT)
        self.sql = self._sql_of()
        await self._start_postgres(was_recovery=True)
        return self._started(None, was_recovery=True)

    async def follow(self, size: Size) -> tuple[str, ...]:
        """Of the Postgres that runs now, and of any that is started after a death of it."""
        needs_restart = self._postgres.follow(size)
        self._size = size
        await self.volume.make_room(memory_bytes(size.cu))
        return needs_restart

    async def _start_postgres(self, *, was_recovery: bool) -> None:
        launch = Launch(self._wanted.storage, self._size, self._max_connections)
        times = await self._postgres.start(launch)
        self._chain.took("exec of postgres", POSTGRES, times.begin_ms)
        name = "recovery of postgres" if was_recovery else "start of postgres"
        self._chain.took(name, POSTGRES, times.ready_ms)

    async def _read_facts(self) -> LoginFacts:
        facts = await self.sql.facts(self._superusers)
        self._chain.took("login facts", AGENT)
        return facts

    def _started(self, facts: LoginFacts | None, *, was_recovery: bool) -> Started:
        return Started(
            address=self._address,
            steps=self._chain.steps,
            facts=facts,
            max_connections=self._max_connections,
            was_recovery=was_recovery,
        )


def superusers(wanted: StartCompute | ApplySpec) -> frozenset[str]:
    """The only superusers that may come in through the proxy."""
    return frozenset(role.name for role in wanted.spec.roles if role.superuser)


def address_as(own: ComputeAddress, user_id: int | None) -> ComputeAddress:
    """With the user that owns the volume, whom Postgres runs as; None: the agent's own."""
    return own if user_id is None else own.model_copy(update={"user_id": user_id})
