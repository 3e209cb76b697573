"""One agent's life: carries out what is asked, one thing after another, and reports to the table.

Whatever has been begun comes to an end, whether or not the one who asked is still there: starts and
stops run as tasks of their own and are awaited behind a shield.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.failures import Conflict, Failure, NotFound, StartFailed, Unavailable
from torpor_api.identity import ComputeId
from torpor_api.messages import (
    AgentLeaving,
    AgentState,
    ApplySpec,
    AskRoleFacts,
    ComputeAddress,
    EraseStorage,
    Event,
    FollowSize,
    LoginFactsChanged,
    PostgresBack,
    PostgresLost,
    SizeFollowed,
    StartCompute,
    Started,
    StopCompute,
    Stopped,
    StoragePlace,
)
from torpor_api.sizes import Size
from torpor_compute.core.claim import (
    Claim,
    refuse_other_claim,
    refuse_other_compute,
    refuse_other_epoch,
)
from torpor_compute.core.lifecycle import Happening, State, after
from torpor_compute.core.postgres_options import MAX_CONNECTIONS
from torpor_compute.core.restarts import RESTARTS_MAX, may_restart
from torpor_compute.erasing import Erasing
from torpor_compute.lifetime import END_SECONDS_MAX, LINGER_SECONDS, Lifetime
from torpor_compute.ports import Postgres, Sql, Stop, Volume
from torpor_compute.sampling import Became
from torpor_compute.starting import Starting, address_as, superusers
from torpor_compute.stopping import Stopping
from torpor_compute.tasks import Tasks

log = logging.getLogger(__name__)

WARM_UP_SECONDS = 0.25
"""After a start: the first clients have the processor until then, and of databases that wake
together those of the last. Whoever asks sooner does not wait: the first question connects."""

_HAS_POSTGRES = (State.RUNNING, State.STOPPING)


class Agent:
    """Serves at most one database, once and for good; or erases volumes and serves none."""

    def __init__(
        self,
        compute: ComputeId,
        address: ComputeAddress,
        postgres: Postgres,
        sql_of: Callable[[], Sql],
        volume_of: Callable[[StoragePlace], Volume],
        tell: Callable[[Event], None],
        max_connections: int = MAX_CONNECTIONS,
        linger_seconds: float = LINGER_SECONDS,
        became: Sequence[Became] = (),
    ) -> None:
        self._compute = compute
        self._max_connections = max_connections
        self._address = address
        self._postgres = postgres
        self._sql_of = sql_of
        self._volume_of = volume_of
        self._tell = tell
        self.lifetime = Lifetime(linger_seconds)
        self._became = became
        self._state = State.WARM
        self._claim: Claim | None = None
        self._hold: Starting | None = None
        """Set while the volume is ours."""
        self._start_task: asyncio.Task[Started] | None = None
        self._erasing = Erasing()
        self._stopped: Stopped | None = None
        self._stop_lock = asyncio.Lock()
        self._order: asyncio.Task[LoginFacts] | None = None
        """The latest order to stop, which may still wait for somebody to go."""
        self._lost_at_s = deque[float](maxlen=RESTARTS_MAX + 1)
        self._tasks = Tasks()
        self._leaves_at: float | None = None
        """Told to end: until then Postgres goes on."""
        self._is_ending = False
        self._superusers: frozenset[str] = frozenset()
        self._facts: LoginFacts | None = None
        """Those last told; None after a start that had no need to read them."""
        self._changes: int | None = None

    async def start(self, wanted: StartCompute) -> Started:
        """See StartCompute. The start goes on when whoever asked has gone."""
        claim = Claim(self._compute, wanted.database, wanted.epoch)
        refuse_other_claim(self._claim, claim)
        if self._erasing.has_begun or self._state in (State.STOPPING, State.STOPPED):
            raise Conflict(f"compute {self._compute} is {self._state}: claim another one")
        if self._start_task is None or self._state is State.REFUSED:
            self._refuse_while_leaving()
            self._claim = claim
            self._address = address_as(self._address, wanted.storage.user_id)
            self._superusers = superusers(wanted)
            self._happens(Happening.CLAIMED)
            self._start_task = self._tasks.run(self._start(wanted))
        return await asyncio.shield(self._start_task)

    async def stop(self, request: StopCompute) -> Stopped:
        """See StopCompute. Asked again it answers the same."""
        refuse_other_epoch(self._claim, request.epoch, self._compute)
        return await asyncio.shield(self._tasks.run(self._stop(request)))

    async def erase(self, request: EraseStorage) -> None:
        """See EraseStorage. What was begun goes on when whoever asked has gone."""
        refuse_other_compute(self._compute, request.compute)
        if self._start_task is not None:
            raise Conflict(f"compute {self._compute} is {self._state}: claim another one")
        if self._erasing.is_done(request):
            return
        if not self._erasing.is_under_way(request):
            self._refuse_while_leaving()
            self._claim = Claim(self._compute, request.database, request.epoch)
            self._happens(Happening.CLAIMED)
            self._erasing.begin(request, self._tasks.run(self._erase(request)))
        await self._erasing.end()

    async def checkpoint(self, epoch: int) -> None:
        refuse_other_epoch(self._claim, epoch, self._compute)
        await (await self._serving()).sql.checkpoint()

    async def apply(self, request: ApplySpec) -> LoginFacts:
        """See ApplySpec. What was begun goes on when whoever asked has gone."""
        refuse_other_epoch(self._claim, request.epoch, self._compute)
        return await asyncio.shield(self._tasks.run(self._apply(request)))

    async def follow(self, request: FollowSize) -> SizeFollowed:
        """See FollowSize."""
        refuse_other_epoch(self._claim, request.epoch, self._compute)
        hold = await self._serving()
        return SizeFollowed(needs_restart=await hold.follow(Size(request.cu, request.max_cu)))

    async def role(self, request: AskRoleFacts) -> RoleFacts | None:
        """See AskRoleFacts."""
        refuse_other_compute(self._compute, request.compute)
        return await (await self._serving()).sql.role(request.role, self._superusers)

    async def activity(self) -> Activity:
        """One sample. Whoever has its answer has been told of every role changed before it."""
        sample, changes = await (await self._serving()).sql.activity()
        if changes != self._changes and await self._look_for_new_facts():
            self._changes = changes
        return sample.model_copy(update={"memory_bytes": self._postgres.use().memory_bytes})

    def leave(self, seconds: float) -> None:
        """SIGTERM, and time for the sessions to move elsewhere: whoever moves them is told."""
        self._leaves_at = asyncio.get_running_loop().time() + seconds
        log.info("leaving", extra={"leave_seconds": seconds})
        self._tell(AgentLeaving(compute=self._compute, leaves_in_s=seconds))

    def state(self) -> AgentState:
        claim, state = self._claim, self._state
        if state is State.RESTARTING:
            state = State.STARTING  # For whoever waits, a restart is a start.
        elif state is State.RUNNING and self._is_ending:
            state = State.STOPPING
        is_running = state is State.RUNNING
        now, leaves_at = asyncio.get_running_loop().time(), self._leaves_at
        leaves_in_s = None if leaves_at is None else max(0.0, leaves_at - now)
        return AgentState(
            compute=self._compute,
            state=state,
            database=None if claim is None else claim.database,
            epoch=0 if claim is None else claim.epoch,
            address=self._address if is_running else None,
            max_connections=self._max_connections if is_running else 0,
            leaves_in_s=leaves_in_s,
        )

    async def end(self, seconds_max: float = END_SECONDS_MAX) -> None:
        """SIGTERM: stop Postgres as fast as is clean and give the volume back; bounded."""
        self._is_ending = True
        if self._order is not None:
            # It may have paused the postmaster, which would not hear of its end before it goes on.
            self._order.cancel()
            await asyncio.gather(self._order, return_exceptions=True)
        self._postgres.signal(Stop.FAST)
        await self._tasks.end(seconds_max)
        await self._give_back()

    async def _start(self, wanted: StartCompute) -> Started:
        starting = Starting(
            wanted,
            self._address,
            self._volume_of,
            self._postgres,
            self._sql_of,
            self._max_connections,
        )
        try:
            taken = await starting.take()
        except BaseException:
            self._happens(Happening.REFUSED)
            raise
        self._hold = starting
        try:
            self._refuse_while_ending()
            started = await starting.first_start(taken)
        except BaseException:
            self._happens(Happening.GAVE_UP)
            await self._give_back()
            raise
        self._serves(started)
        return started

    async def _erase(self, request: EraseStorage) -> None:
        self._tell(AgentLeaving(compute=self._compute, leaves_in_s=0.0))
        try:
            await self._erasing.erase(self._volume_of(request.storage), request)
        except BaseException:
            self._happens(Happening.REFUSED)
            raise
        self._happens(Happening.ERASED)

    async def _watch(self) -> None:
        """Until this Postgres ends: a death that nobody asked for is answered by a restart."""
        reason = f"Postgres {await self._postgres.ended()}"
        async with self._stop_lock:
            if self._state is State.RUNNING and not self._is_ending:
                self._happens(Happening.LOST)
                log.warning("postgres_lost", extra={"reason": reason})
                self._start_task = self._tasks.run(self._come_back(reason))

    async def _come_back(self, reason: str) -> Started:
        now = asyncio.get_running_loop().time
        self._lost_at_s.append(now())
        self._tell_lost(reason, restarting=may_restart(self._lost_at_s, now()))
        while may_restart(self._lost_at_s, now()) and not self._is_ending:
            try:
                return await self._restart()
            except Failure as failure:
                reason = failure.message
                log.warning("restart_failed", extra={"reason": reason})
                self._lost_at_s.append(now())
                if not failure.retryable:
                    break
        self._happens(Happening.GAVE_UP)
        try:
            await self._clear_away()
        finally:
            self._tell_lost(reason, restarting=False)
        raise StartFailed(f"Postgres is not started again: {reason}")

    async def _restart(self) -> Started:
        assert self._claim is not None and self._hold is not None
        await self._clear_away(starts_again=True)
        started = await self._hold.again()
        self._serves(started)
        claim = self._claim
        self._tell(PostgresBack(database=claim.database, epoch=claim.epoch, started=started))
        return started

    async def _stop(self, request: StopCompute) -> Stopped:
        async with self._stop_lock:
            if self._stopped is not None:
                return self._stopped
            hold = await self._serving()
            self._happens(Happening.STOP_ASKED)
            stopping = Stopping(hold.volume, self._postgres, hold.sql, self._superusers)
            try:
                facts = await self._ordered(stopping.order(request))
            except BaseException:
                self._happens(Happening.FOUND_BUSY)
                raise
            try:
                self._stopped = await stopping.finish(facts)
            except BaseException:
                self._happens(Happening.GAVE_UP)
                raise
            self._happens(Happening.GONE)
            self._hold = None
            return self._stopped

    async def _ordered(self, order: Coroutine[Any, Any, LoginFacts]) -> LoginFacts:
        self._order = asyncio.create_task(order)
        try:
            return await self._order
        except asyncio.CancelledError:
            if self._is_ending:
                raise self._is_about_to_end() from None
            raise

    async def _apply(self, request: ApplySpec) -> LoginFacts:
        hold = await self._serving()
        self._superusers = superusers(request)
        await hold.sql.make_match(request.spec, request.verifiers)
        await hold.volume.note_applied(request.generation)
        self._facts = await hold.sql.facts(self._superusers)
        return self._facts

    async def _look_for_new_facts(self) -> bool:
        """Tells what is not as it was last told. False: it could not look.

        A first look after a clean start tells in any case: what woke the database may have been
        a client that changes a role, before we could look.
        """
        if self._claim is None or self._hold is None:
            return False
        try:
            facts = await self._hold.sql.facts(self._superusers)
        except Failure as failure:
            log.warning("facts_unread", extra={"reason": failure.message})
            return False
        before, self._facts = self._facts, facts
        if before != facts:
            claim = self._claim
            self._tell(LoginFactsChanged(database=claim.database, epoch=claim.epoch, facts=facts))
        return True

    def _serves(self, started: Started) -> None:
        self._facts, self._changes = started.facts, None
        self._happens(Happening.READY)
        self._tasks.run(self._watch())
        self._tasks.run(self._warm_up())

    async def _warm_up(self) -> None:
        """The kept connection, soon."""
        await asyncio.sleep(WARM_UP_SECONDS)
        await self._look_for_new_facts()

    async def _clear_away(self, *, starts_again: bool = False) -> None:
        """No process of Postgres is left after this, and what it wrote is on disk."""
        self._postgres.signal(Stop.IMMEDIATE)
        await self._postgres.gone(starts_again=starts_again)
        if self._hold is not None:
            # While the process that becomes the next Postgres starts.
            await self._hold.sql.close()
            await self._hold.volume.flush()

    async def _give_back(self) -> None:
        """Everything is cleared away, and the volume free. Nobody has got the login facts.

        Where that fails the volume stays held, and the next one needs the fencer's word.
        """
        try:
            await self._clear_away()
            hold, self._hold = self._hold, None
            if hold is not None:
                await hold.volume.release(facts_exported=False)
        except Failure as failure:
            log.error("not_given_back", extra={"reason": failure.message})

    async def _serving(self) -> Starting:
        """Waits for a start or restart under way. Raises its failure where there is no Postgres."""
        if self._start_task is None:
            raise NotFound(f"compute {self._compute} serves no database yet")
        await asyncio.shield(self._start_task)
        if self._state not in _HAS_POSTGRES or self._hold is None:
            raise Unavailable(f"compute {self._compute} is {self._state}")
        if self._is_ending:
            raise self._is_about_to_end()
        return self._hold

    def _is_about_to_end(self) -> Unavailable:
        return Unavailable(f"compute {self._compute} is ending, and its Postgres with it")

    def _refuse_while_leaving(self) -> None:
        if self._leaves_at is not None or self._is_ending:
            raise Conflict(f"compute {self._compute} was told to end: claim another one")

    def _refuse_while_ending(self) -> None:
        if self._is_ending:
            raise StartFailed("the agent has been told to end")

    def _tell_lost(self, reason: str, *, restarting: bool) -> None:
        assert self._claim is not None
        name, epoch = self._claim.database, self._claim.epoch
        self._tell(PostgresLost(database=name, epoch=epoch, restarting=restarting, reason=reason))

    def _happens(self, happening: Happening) -> None:
        self._state = after(self._state, happening)
        self.lifetime.became(self._state)
        for became in self._became:
            became(self._state, self._claim, self._hold)
        log.info("agent_state", extra={"state": self._state, "happening": happening})
