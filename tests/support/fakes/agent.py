"""An agent in memory: claimed once, it takes the volume and runs a make-believe Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.fakes.volume import Volume, was_done
from torpor_api import messages as m
from torpor_api.chain import Step
from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.failures import (
    BoundElsewhere,
    Busy,
    Conflict,
    DataDamaged,
    Failure,
    InvalidRequest,
    StaleEpoch,
    StartFailed,
    Unavailable,
)
from torpor_api.sizes import Size
from torpor_compute.core.postgres_options import needing_restart

MAX_CONNECTIONS = 101

MEMORY_BYTES = 100 << 20
"""That its Postgres takes, and of which its clients use all."""

POSTGRES_TOTALS = (
    *("transactions", "blocks_hit", "blocks_read", "temporary_bytes"),
    *("read_bytes", "written_bytes", "evictions", "wal_bytes"),
)
"""Of which nothing follows."""

SAMPLE_GAP_S_MAX = 4.0
"""Between two samples: two looks, as one may be lost."""

SEEN_S_MIN = 55.0
"""Of the minute over which a load has to be known before a compute may be made smaller."""

LEAVE_LOOK_S = 0.1
"""Between two looks whether an agent that leaves is still needed: a lost answer of its is asked for
again within this time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a make-believe Postgres takes."""

    start_s: float = 0.025
    stop_s: float = 0.01
    checkpoint_s: float = 0.005


class FakeAgent:
    """Tests set ``fail_next_start`` and ``activity``, and call what befalls a Postgres."""

    def __init__(
        self,
        compute: str,
        volume_of: Callable[[m.StoragePlace], Volume],
        pace: Pace,
    ) -> None:
        self.info = m.AgentInfo(
            compute=compute, address=f"/run/{compute}.sock", postgres_version="18"
        )
        self.state = "warm"
        self.pace = pace
        self.activity = Activity()
        self.fail_next_start: Failure | None = None
        self.clients: set[object] = set()
        """Backends: whoever is in here makes a stop Busy."""
        self.claims: list[tuple[str, int]] = []
        self.gone = asyncio.Event()
        self.tell: Callable[[m.Event], None] = lambda event: None
        self._volume_of = volume_of
        self.volume: Volume | None = None
        self._request: m.StartCompute | None = None
        self._starting: asyncio.Task[m.Started] | None = None
        self.erased: list[m.EraseStorage] = []
        """Orders that were carried out."""
        self._stop_lock = asyncio.Lock()
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        self._untold_facts = False
        self._has_started = False
        self.size: Size | None = None
        """That its settings were made to follow."""
        self.shrunk_unseen = ""
        """Of a size that it was told to have, though nobody can have known its load for long."""
        self.is_watched = False
        """Somebody has asked for samples."""
        self.is_mute = False
        """None of them arrives."""
        self._told_at = self._told_since = float("-inf")
        """Its last sample, and the first of those before it without a gap."""
        self._leaves_at: float | None = None
        self.looks = 0
        """How often it was asked what goes on inside."""

    @property
    def compute(self) -> str:
        return self.info.compute

    @property
    def database(self) -> str | None:
        return None if self._request is None else self._request.database

    @property
    def epoch(self) -> int:
        return 0 if self._request is None else self._request.epoch

    @property
    def _facts(self) -> LoginFacts:
        assert self.volume is not None and self.volume.facts is not None
        return self.volume.facts

    @property
    def is_serving(self) -> bool:
        return self.state == "running"

    @property
    def is_down(self) -> bool:
        """Its Postgres has crashed, and the agent is about to start it again."""
        return self.state == "starting" and self._has_started

    async def answer(self, request: m.Request[Any]) -> m.Message:
        if self.gone.is_set():
            raise Unavailable(f"{self.compute} is gone")
        match request:
            case m.StartCompute():
                return await self._start(request)
            case m.EraseStorage():
                self._erase(request)
                return m.Done()
            case m.StopCompute():
                return await self._stop(request)
            case m.Checkpoint():
                self._refuse_other_epoch(request.epoch)
                await asyncio.sleep(self.pace.checkpoint_s)
                return m.Done()
            case m.ApplySpec():
                self._refuse_other_epoch(request.epoch)
                self._apply(request.spec, request.generation, request.verifiers)
                return m.LoginFactsReply(facts=self._facts)
            case m.FollowSize():
                self._refuse_other_epoch(request.epoch)
                return self._follow(Size(request.cu, request.max_cu))
            case m.AskActivity():
                return self._look()
            case m.AskAgentState():
                return self._state()
            case m.WatchSamples():
                self.is_watched = True
                return m.Done()
            case _:
                raise InvalidRequest(f"{type(request).__name__} is not for this fake")

    def _look(self) -> m.ActivityReply:
        """Whoever has the answer has been told of every role that was changed before it."""
        self.looks += 1
        if not self.is_serving:
            raise Unavailable(f"{self.compute} is {self.state}")
        if self.is_watched and not self.is_mute:
            self._tell_sample()
        if self._untold_facts and self.database is not None:
            self._untold_facts = False
            self.tell(
                m.LoginFactsChanged(database=self.database, epoch=self.epoch, facts=self._facts)
            )
        return m.ActivityReply(activity=self.activity)

    def _tell_sample(self) -> None:
        """Every client is a backend at work. Once for each look, which is often enough."""
        assert self.database is not None
        now = asyncio.get_running_loop().time()
        if now - self._told_at > SAMPLE_GAP_S_MAX:
            self._told_since = now
        self._told_at = now
        use = m.ComputeUse(
            cpu_seconds=0.0,
            memory_bytes=MEMORY_BYTES,
            anonymous_bytes=MEMORY_BYTES,
            shared_memory_bytes=0,
        )
        postgres = m.PostgresUse(
            **dict.fromkeys(POSTGRES_TOTALS, 0),
            backends=len(self.clients),
            active_backends=len(self.clients),
            waiting_backends={},
        )
        self.tell(
            m.ComputeSample(
                database=self.database,
                epoch=self.epoch,
                at_s=now,
                use=use,
                postgres=postgres,
                working_set_bytes={60: MEMORY_BYTES},
            )
        )

    def _follow(self, size: Size) -> m.SizeFollowed:
        assert self._request is not None
        if not self.is_serving:
            raise Unavailable(f"{self.compute} is {self.state}")
        max_cu = self._request.spec.max_cu
        started = Size(self._request.cu or max_cu, max_cu)
        before, self.size = self.size or started, size
        seen_s = asyncio.get_running_loop().time() - self._told_since
        if size.cu < before.cu and size.max_cu == before.max_cu and seen_s < SEEN_S_MIN:
            self.shrunk_unseen = f"from {before.cu} to {size.cu} CU, seen for {seen_s:.1f} s"
        return m.SizeFollowed(needs_restart=needing_restart(started, size))

    # --- what befalls it -------------------------------------------------------------------

    def change_facts(self, facts: LoginFacts) -> None:
        """A client changes roles: told at the next look."""
        assert self.volume is not None
        self.volume.facts, self._untold_facts = facts, True

    def crash_postgres(self, *, restarts: bool) -> None:
        """Postgres dies; the agent waits until nothing of it is left, and may start it again."""
        assert self.volume is not None and self.database is not None
        self.volume.close(self.compute)
        self.clients.clear()
        self.state = "starting" if restarts else "stopped"
        self._has_started = True
        self.tell(
            m.PostgresLost(
                database=self.database, epoch=self.epoch, restarting=restarts, reason="signal 9"
            )
        )

    def restart_postgres(self) -> None:
        self._has_started = False
        assert self.volume is not None and self.database is not None
        self.volume.open(self.compute)
        self.state = "running"
        back = m.PostgresBack(database=self.database, epoch=self.epoch, started=self._started(True))
        self.tell(back)

    async def leave(self, seconds: float) -> bool:
        """It is told to end: the time for its sessions to move, and then their end with Postgres.

        Whether they had that; whatever it had to give back it has given back then.
        """
        now = asyncio.get_running_loop().time
        self._leaves_at = now() + seconds
        self.tell(m.AgentLeaving(compute=self.compute, leaves_in_s=seconds))
        while self.is_needed and now() < self._leaves_at:
            await asyncio.sleep(LEAVE_LOOK_S)
        if self.volume is None or not self.is_serving:
            return True
        self.clients.clear()
        self.volume.close(self.compute)
        self.volume.release(self.compute)
        self.state = "stopped"
        return False

    @property
    def is_leaving(self) -> bool:
        return self._leaves_at is not None

    @property
    def is_needed(self) -> bool:
        """It has a Postgres, or is about to."""
        return not self.gone.is_set() and self.state in ("starting", "running", "stopping")

    def kill(self) -> None:
        """The agent and its Postgres are gone, whatever they were doing."""
        self.gone.set()
        self.state = "stopped"
        self.clients.clear()
        if self._starting is not None:
            self._starting.cancel()
        if self.volume is not None:
            self.volume.close(self.compute)

    # --- starting and stopping -------------------------------------------------------------

    async def _start(self, request: m.StartCompute) -> m.Started:
        key = (request.database, request.epoch)
        if self.claims and (self.claims[-1] != key or self._request is None):
            refusal = Conflict if self.claims[-1][0] == request.database else BoundElsewhere
            raise refusal(f"{self.compute} serves {self.database}, epoch {self.epoch}")
        if self._starting is None and self.is_leaving:
            raise Conflict(f"{self.compute} was told to end")
        if self._starting is None:
            self._request = request
            self.claims.append(key)
            self._starting = asyncio.create_task(self._start_once(request))
        return await asyncio.shield(self._starting)

    def _erase(self, request: m.EraseStorage) -> None:
        if request.compute not in ("", self.compute):
            raise Conflict(f"this is {self.compute}, not {request.compute}")
        if self._request is not None:
            raise Conflict(f"{self.compute} serves {self.database}")
        if not was_done(request, self.erased):
            if self.is_leaving:
                raise Conflict(f"{self.compute} was told to end")
            self.claims.append((request.database, request.epoch))
            self.state = "refused"
            self._volume_of(request.storage).erase(request.epoch, self.compute, request.fenced)
            self.erased.append(request)
            self.state = "erased"

    async def _start_once(self, request: m.StartCompute) -> m.Started:
        self.state = "starting"
        try:
            volume = self._volume_of(request.storage)
            if volume.is_damaged:
                raise DataDamaged(f"{request.database}: the ownership record can't be read")
            was_clean = not volume.records or volume.records[-1].is_released
            volume.take(request.epoch, self.compute, request.fenced)
            self.volume = volume
            await asyncio.sleep(self.pace.start_s)
            if self.fail_next_start is not None:
                failure, self.fail_next_start = self.fail_next_start, None
                raise failure
            volume.open(self.compute)
        except Failure:
            self.state = "stopped"
            raise
        self.state = "running"
        is_new = request.generation > volume.generation
        if is_new:
            self._apply(request.spec, request.generation, request.verifiers)
        started = self._started(not was_clean)
        return started if is_new or not was_clean else started.model_copy(update={"facts": None})

    def _started(self, was_recovery: bool) -> m.Started:
        return m.Started(
            address=self.address,
            steps=(Step(name="start", where="postgres", ms=self.pace.start_s * 1000),),
            facts=self._facts,
            max_connections=MAX_CONNECTIONS,
            was_recovery=was_recovery,
        )

    async def _stop(self, request: m.StopCompute) -> m.Stopped:
        self._refuse_other_epoch(request.epoch)
        async with self._stop_lock:
            return await self._stop_once(request)

    async def _stop_once(self, request: m.StopCompute) -> m.Stopped:
        if self.state not in ("running", "stopped") or self.volume is None:
            raise StartFailed(f"{self.compute} is {self.state}")
        if self.state == "running":
            self.state = "stopping"
            await asyncio.sleep(self.pace.stop_s)
            await self.may_stop.wait()
            if self.clients and not request.force:
                self.state = "running"
                raise Busy(f"{len(self.clients)} client backends are still there")
            self.clients.clear()
            self.volume.close(self.compute)
            self.volume.release(self.compute)
            self.state = "stopped"
        return m.Stopped(steps=(), facts=self._facts)

    def _apply(self, spec: Any, generation: int, verifiers: dict[str, str]) -> None:
        assert self.volume is not None
        self.volume.generation = max(self.volume.generation, generation)
        self.volume.facts = LoginFacts(
            roles=tuple(
                RoleFacts(name=role.name, verifier=verifiers.get(role.name)) for role in spec.roles
            ),
            databases=tuple(database.name for database in spec.databases),
        )

    def _state(self) -> m.AgentState:
        now, leaves_at = asyncio.get_running_loop().time(), self._leaves_at
        leaves_in_s = None if leaves_at is None else max(0.0, leaves_at - now)
        state = m.AgentState(
            compute=self.compute,
            state=self.state,
            database=self.database,
            epoch=self.epoch,
            leaves_in_s=leaves_in_s,
        )
        if not self.is_serving:
            return state
        return state.model_copy(
            update={"address": self.address, "max_connections": MAX_CONNECTIONS}
        )

    @property
    def address(self) -> m.ComputeAddress:
        folder = f"/run/computes/{self.compute}"
        return m.ComputeAddress(socket_directory=folder, agent=self.info.address)

    def _refuse_other_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise StaleEpoch(f"{self.compute} has epoch {self.epoch}, not {epoch}")
