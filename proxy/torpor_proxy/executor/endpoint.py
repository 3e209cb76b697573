"""One database as the proxy sees it: its sessions, and what they are doing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Coroutine
from itertools import islice
from time import monotonic

from torpor_api.chain import Step
from torpor_api.failures import Busy, Failure, StaleEpoch, Unavailable
from torpor_api.messages import (
    CloseGate,
    EndpointInfo,
    EndpointSample,
    GateClosed,
    LastUse,
    ListeningStopped,
    OpenGate,
    SessionReport,
)
from torpor_api.phases import Phase
from torpor_api.resource import Keepalives
from torpor_proxy.core.born import Memory
from torpor_proxy.core.gate import Gate, Standing
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.refusals import CannotWake, NoRoom, Refusal, Refused, TooManySessions
from torpor_proxy.core.routing import Route
from torpor_proxy.core.senders import ToldAs
from torpor_proxy.core.stopwatch import Tally
from torpor_proxy.core.tallies import Tallies
from torpor_proxy.executor.arrival import Arrival
from torpor_proxy.executor.clearing import Clearing
from torpor_proxy.executor.conversation import Backend, ServerRefused
from torpor_proxy.executor.examining import Examining
from torpor_proxy.executor.host import Chaos, Identity, State
from torpor_proxy.executor.listener import Surroundings
from torpor_proxy.executor.listeners import Listeners
from torpor_proxy.executor.listing import reasons_of, report_of
from torpor_proxy.executor.restarts import Restarts
from torpor_proxy.executor.room import Room
from torpor_proxy.executor.session import Session
from torpor_proxy.executor.traffic import Traffic
from torpor_proxy.executor.usage import Usage
from torpor_proxy.executor.visit import Catalogs
from torpor_proxy.executor.way import Way
from torpor_proxy.ports import BackendLost, Computes, Fleet
from torpor_proxy.settings import Settings

log = logging.getLogger(__name__)

LAST_USE_SECONDS_MAX = 2.0
"""For other proxies to say when they used a database: sessions wait for it to open meanwhile."""

NO_CHAOS = Chaos()

ROUND_SHARE = 0.5
"""Of the time for which a client waits: within it all who wait for a place should have had one."""

REPORTS_MAX = 20
"""Sessions that are named in one sample."""


class Endpoint:
    """The host of its sessions."""

    def __init__(
        self,
        info: EndpointInfo,
        settings: Settings,
        fleet: Fleet,
        computes: Computes,
        new_key: Callable[[Session, int], tuple[int, bytes]],
        forget: Callable[[Session], None],
        chaos: Chaos = NO_CHAOS,
        told_ids: Container[int] = (),
        tallies: Tallies | None = None,
    ) -> None:
        """``told_ids``: process ids that open clients of this proxy know themselves by.

        ``tallies``: of all databases."""
        self.info = info
        self.settings = settings
        self.sessions: set[Session] = set()
        self.attached: set[Session] = set()
        """Those with a backend, being captured or not."""
        self.new_key = new_key
        self._room = Room(
            self.attached,
            settings.tenure_s,
            settings.wake_timeout_s * ROUND_SHARE,
            self._watch,
            lambda: self.listeners.connections,
        )
        self._way = Way(info.name, settings, fleet, computes, self._room)
        self._computes = computes
        self._fleet = fleet
        self._usage = Usage(self.attached)
        self.told_as = ToldAs(told_ids)
        self.listeners = Listeners(self._surroundings())
        self._way.before_anybody = self.listeners.ready
        self._way.told(info)
        self._forget = forget
        self._chaos = chaos
        self._restarts = Restarts(info.name, chaos.restart_every, fleet)
        self._examining = Examining(self.attached, self._usage, self.listeners, self._start)
        self._clearing = Clearing(
            self.attached,
            self._returning,
            self._examining,
            self._reports,
            self._start,
            self._watch,
        )
        self.tallies = Tallies() if tallies is None else tallies
        self.traffic = Traffic(self.sessions, self.attached, lambda: self._is_open, self.tallies)
        self._tasks = set[asyncio.Task[None]]()
        self._memory = Memory()
        self._catalogs: dict[str, Catalogs] = {}
        """By database; there are as many as sessions can log in to."""

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            self.info.name,
            self._way.connect,
            self._way.leads_to,
            self._usage.at,
            self._others_used_at,
            self.told_as,
            self._start,
        )

    @property
    def gate(self) -> Gate:
        return self._way.gate

    # --- what the autoscaler says -----------------------------------------------------

    def told(self, info: EndpointInfo) -> None:
        """What is known of the database has changed."""
        before = self.info
        if not self._way.told(info):
            return
        self.info = info
        is_served_on = info.epoch == before.epoch and before.proxies and info.proxies
        if is_served_on and info.proxies != before.proxies:
            # Who has gone may have used it, and does not say so any more.
            self._usage.elsewhere(monotonic())
        if info.address is not None:
            self.listeners.opened(info.epoch, is_in_time=self._fleet.name in info.listening)

    def fall_back(self, epoch: int) -> None:
        """See Gate.fall_back: sessions stay, and those that are attached have their backends."""
        self._way.fall_back(epoch)

    async def close_gate(self, asked: CloseGate) -> GateClosed:
        """See CloseGate: park every session, or raise Busy and leave everything as it was."""
        begun_s = monotonic()
        if not self.gate.close(asked.epoch, begun_s + asked.hold_s):
            raise StaleEpoch(f"{self.info.name}: epoch {asked.epoch} after {self.gate.epoch}")
        try:
            if asked.patience_s:
                deadline = monotonic() + asked.patience_s
                await self._clearing.patiently(deadline, insists=asked.insists)
            else:
                await self._clearing.at_once()
        except (Busy, asyncio.CancelledError):
            # Cancelled where whoever closes it is gone: he never hears that it is closed.
            self._open(asked.epoch)
            raise
        parked, left = len(self.sessions), len(self.attached) + len(self._returning())
        now = monotonic()
        took = Step(name=f"park {parked}", where="proxy", ms=(now - begun_s) * 1000.0)
        idle_s = self.traffic.idle_s(now)
        return GateClosed(parked=parked, left=left, idle_s=idle_s, steps=(took,))

    async def stop_listening(self, epoch: int) -> ListeningStopped:
        """See StopListening."""
        is_closed = self.gate.standing(monotonic()) is Standing.CLOSED
        if epoch != self.gate.epoch or not is_closed:
            raise Busy(f"{self.info.name}: its gate is open again")
        if there := [*self.attached, *self._returning()]:
            raise Busy(reasons_of(there))
        return ListeningStopped(listens=await self.listeners.rest())

    async def start_listening(self, info: EndpointInfo, hold_s: float) -> None:
        """See StartListening. Raises StaleEpoch, or Unavailable."""
        if not self._way.hold(info, monotonic() + hold_s):
            raise StaleEpoch(f"{info.name}: epoch {info.epoch} after {self.gate.epoch}")
        self.info = info
        try:
            await self.listeners.start(info.epoch)
        except (BackendLost, ServerRefused) as error:
            raise Unavailable(f"{info.name}: nobody hears for parked sessions: {error}") from None

    def open_gate(self, asked: OpenGate) -> None:
        """See OpenGate."""
        self._open(asked.epoch)
        if asked.epoch == self.gate.epoch and self.gate.address is not None:
            self.listeners.opened(asked.epoch, is_in_time=self._fleet.name in asked.listening)

    def _open(self, epoch: int) -> None:
        self.gate.open(epoch)
        self._way.changed()

    async def wake(self, cause: str) -> None:
        """Resume the database, whoever needs it. Raises a Failure with the reason."""
        await self._way.wake(cause)

    async def until_changed(self, timeout_s: float) -> None:
        """Until something more is heard of the database, or the time is over."""
        await self._way.until_changed(timeout_s)

    def _watch(self) -> None:
        """Whether safe points are waited for may have changed."""
        for session in self.attached:
            session.watch(self.waits_for_safe_points)

    # --- what the sessions are doing --------------------------------------------------

    def sample(self, now: float) -> EndpointSample:
        """For the autoscaler."""
        name, epoch, reports = self.info.name, self.gate.epoch, self._reports()
        return self.traffic.sample(
            name, epoch, now, listens=self.listeners.has_members, reports=reports
        )

    def _reports(self) -> list[SessionReport]:
        now = monotonic()
        found = (report_of(session, now) for session in (*self.traffic.waiting, *self.attached))
        return list(islice((report for report in found if report is not None), REPORTS_MAX))

    @property
    def is_examined(self) -> bool:
        """Whether nothing is left to find out before the database may sleep."""
        return not any(session.needs_capture or session.is_busy for session in self.attached)

    def _returning(self) -> list[Session]:
        """They have come through the gate and have a backend, on which they are being put back."""
        return [session for session in self.traffic.waiting if session.backend is not None]

    def capture_idle(self, now: float) -> None:
        """Begin to examine the sessions that have been idle for a while; nobody waits for it.

        While a herd comes it is left: it would take the processor from those who wait.
        """
        if len(self.traffic.waiting) > self.settings.connects_at_once:
            return
        self._examining.begin(now - self.settings.capture_after_s)

    # --- as the host of sessions ------------------------------------------------------

    def joined(self, session: Session) -> None:
        self.sessions.add(session)

    def count_of(self, user: str) -> int:
        """Open sessions of a role."""
        return sum(session.identity.route.user == user for session in self.sessions)

    @property
    def answers_keepalives(self) -> bool:
        return self.info.keepalives is Keepalives.ANSWER

    async def arrive(self, identity: Identity, defaults: Pairs) -> Arrival:
        waiting = len(self.traffic.waiting)
        if waiting > self.settings.waiting_max:
            words = f"{waiting} sessions wait for {self.info.name} already"
            raise Refused(TooManySessions(words))
        return await self._way.go(identity, defaults)

    @property
    def tally(self) -> Tally:
        return self.traffic.tally

    def catalogs(self, dbname: str) -> Catalogs:
        return self._catalogs.setdefault(dbname, Catalogs())

    @property
    def waits_for_safe_points(self) -> bool:
        return self._parks_at_safe_points or self._room.is_pressed

    @property
    def _parks_at_safe_points(self) -> bool:
        return self._clearing.is_patient or self._chaos.parks_every_safe_point

    def at_safe_point(self, session: Session) -> None:
        if not self._parks_at_safe_points:
            self._room.at_safe_point(session)
        elif session.needs_capture:
            # The client's next bytes are not to pass: it begins now, not at the task's first turn.
            self._start(self._park(session, session.capture(then_park=True)))

    async def _park(self, session: Session, capture: Coroutine[None, None, None]) -> None:
        await capture
        # Where others wait for its place it comes back when its client needs it, as without chaos.
        if self._chaos.parks_every_safe_point and session.is_parked and not self._room.is_full:
            session.come_back()

    def logged_in(self, route: Route, told: Pairs) -> None:
        self._memory.remember(route, told)

    def birth(self, route: Route) -> Pairs | None:
        """What a client that logs in is told where its session may begin parked; else None."""
        is_asleep = self.info.phase is Phase.SUSPENDED
        if not is_asleep or self.gate.standing(monotonic()) is not Standing.ASLEEP:
            return None
        if self.catalogs(route.database).of_now.runs_at_login:
            return None
        return self._memory.recall(route)

    def is_limited(self, role: str) -> bool:
        roles = self.info.facts.roles
        return any(each.name == role and each.connection_limit >= 0 for each in roles)

    def used_at(self, dbname: str) -> float:
        return self._usage.at(dbname)

    def used_elsewhere(self, ago_s: float) -> None:
        """By sessions of another proxy."""
        self._usage.elsewhere(monotonic() - ago_s)

    def last_use(self) -> LastUse:
        """For another proxy."""
        at = self._usage.last_here()
        return LastUse(ago_s=None if at is None else max(0.0, monotonic() - at))

    async def _others_used_at(self) -> float:
        """Where that can't be found out: just now."""
        if self.info.proxies <= 1:
            return 0.0
        try:
            told = await self._fleet.last_use(self.info.name, timeout_s=LAST_USE_SECONDS_MAX)
        except Failure as failure:
            extra = {"database": self.info.name, "reason": failure.message}
            log.warning("last_use_unknown", extra=extra)
            return monotonic()
        return 0.0 if told.ago_s is None else monotonic() - told.ago_s

    def _remember_process_id(self, session: Session) -> None:
        if session.backend is not None and session.identity.key is not None:
            self.told_as.remember(session.backend.process_id, session.identity.key[0])

    def why_not(self) -> Failure:
        if self._is_for_want_of_room:
            return Unavailable(self._room.why_full())
        phase = self.info.phase
        return Unavailable(self.info.reason or f"it is {phase} and did not answer in time")

    def too_late(self) -> Refusal:
        if self._is_for_want_of_room:
            return NoRoom(self.info.name, self._room.why_full())
        return CannotWake(self.info.name, self.why_not())

    @property
    def _is_open(self) -> bool:
        return self.gate.standing(monotonic()) is Standing.OPEN

    @property
    def _is_for_want_of_room(self) -> bool:
        return self._room.is_full and self._is_open

    def cancel(self, backend: Backend) -> asyncio.Future[None]:
        return self._start(self._cancel(backend))

    async def _cancel(self, backend: Backend) -> None:
        if self.gate.address is not None and backend.epoch == self.gate.epoch:
            await self._computes.cancel(self.gate.address, backend.process_id, backend.secret)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def moved(self, session: Session, before: State, after: State) -> None:
        self._clearing.moved()
        self.traffic.moved(session, before, after)
        is_attached = after in (State.ATTACHED, State.CAPTURING)
        if is_attached and session not in self.attached:
            self.attached.add(session)
            self.traffic.attached(session)
            self._remember_process_id(session)
            self._room.arrived(session.identity.number)
        elif not is_attached and session in self.attached:
            self.attached.discard(session)
            self._usage.left(session)
            self._room.detached(session.identity.number)
            self.traffic.detached(session)
            if after is not State.ENDED:
                self._restarts.parked()
        if after is State.ENDED:
            self.sessions.discard(session)
            self._forget(session)
