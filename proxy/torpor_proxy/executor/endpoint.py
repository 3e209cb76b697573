"""One database as the proxy sees it: its sessions, its gate, and the wake that they share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from time import monotonic

from torpor_api.chain import Chain
from torpor_api.failures import Busy, Failure, StaleEpoch, Unavailable
from torpor_api.messages import (
    Awake,
    EndpointInfo,
    EndpointSample,
    GateClosed,
    ResumeSeen,
    SessionReport,
)
from torpor_api.resource import Keepalives
from torpor_proxy.core.gate import Gate, Standing
from torpor_proxy.core.refusals import AttachRefused, Refused, TooManySessions
from torpor_proxy.executor.arrival import Arrival, Steps
from torpor_proxy.executor.conversation import Backend, ServerRefused, log_in
from torpor_proxy.executor.session import Identity, Session, State
from torpor_proxy.ports import BackendLost, Computes, Fleet
from torpor_proxy.settings import Settings

log = logging.getLogger(__name__)

RETRY_SECONDS_MIN = 0.01
RETRY_SECONDS_MAX = 0.5
"""Between two connects of one session to a compute that has no room or does not answer."""

PROBES_AT_ONCE = 16
"""Sessions of one database that are examined at a time; each keeps a backend busy for 1 ms."""

REPORTS_MAX = 20
"""Sessions that are named in one sample."""

_SHUTTING_DOWN, _NO_ROOM = "57P03", "53300"


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
    ) -> None:
        self.info = info
        self.settings = settings
        self.sessions: set[Session] = set()
        self.attached: set[Session] = set()
        """Those with a backend, being probed or not."""
        self.gate = Gate()
        self.gate.told(info)
        self.new_key = new_key
        self._fleet = fleet
        self._computes = computes
        self._forget = forget
        self._changed = asyncio.Event()
        self._waking: asyncio.Task[Awake] | None = None
        self._pace = asyncio.Semaphore(settings.connects_at_once)
        self._probes = asyncio.Semaphore(PROBES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_used = monotonic()
        self._waiting: set[Session] = set()
        self._examining = asyncio.Lock()
        self._lost_epoch = 0
        self._queries = 0

    # --- what the autoscaler says -----------------------------------------------------

    def told(self, info: EndpointInfo) -> None:
        """What is known of the database has changed."""
        if self.gate.told(info):
            self.info = info
            if info.address is not None:
                self._lost_epoch = 0
            self._wake_waiters()

    async def close_gate(self, epoch: int, hold_s: float) -> GateClosed:
        """Park every session, or raise Busy and leave everything as it was."""
        if not self.gate.close(epoch, monotonic() + hold_s):
            raise StaleEpoch(f"{self.info.name}: epoch {epoch} after {self.gate.epoch}")
        try:
            await self._park_all()
        except Busy:
            self.open_gate(epoch)
            raise
        return GateClosed(parked=len(self.sessions))

    def open_gate(self, epoch: int) -> None:
        self.gate.open(epoch)
        self._wake_waiters()

    async def _park_all(self) -> None:
        self._refuse_if_busy()
        async with self._examining:
            # Those that were examined since their last message need no second look.
            await self._capture([session for session in self.attached if session.needs_capture])
        self._refuse_if_busy()
        if not all(session.can_be_let_go for session in self.attached):
            raise Busy("a session was used at the last moment")
        for session in list(self.attached):
            session.let_go()

    def _refuse_if_busy(self) -> None:
        reports = self._reports(monotonic())
        if reports:
            words = "; ".join(f"session {r.session} of {r.user} {r.reason}" for r in reports[:3])
            raise Busy(words)

    def _wake_waiters(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- samples ----------------------------------------------------------------------

    def sample(self, now: float) -> EndpointSample:
        """What the sessions are doing."""
        for session in self.attached:
            self._last_used = max(self._last_used, session.last_used)
        busy = sum(session.is_busy for session in self.attached) + len(self._waiting)
        return EndpointSample(
            name=self.info.name,
            epoch=self.gate.epoch,
            sessions=len(self.sessions),
            attached=len(self.attached),
            parked=len(self.sessions) - len(self.attached) - len(self._waiting),
            waiting=len(self._waiting),
            busy=busy,
            queries_total=self._queries + sum(session.queries for session in self.attached),
            idle_s=0.0 if busy else max(0.0, now - self._last_used),
            pinned=tuple(self._reports(now)),
        )

    def _reports(self, now: float) -> list[SessionReport]:
        found = (session.report(now) for session in (*self._waiting, *self.attached))
        return list(islice((report for report in found if report is not None), REPORTS_MAX))

    @property
    def is_examined(self) -> bool:
        """Whether nothing is left to find out before the database may sleep."""
        return not any(session.needs_capture or session.is_busy for session in self.attached)

    async def capture_idle(self, now: float) -> None:
        """Examine the sessions that have been idle for a while."""
        if self._examining.locked():
            return
        limit = now - self.settings.capture_after_s
        async with self._examining:
            due = [s for s in self.attached if s.needs_capture and s.last_used < limit]
            await self._capture(due)

    async def _capture(self, sessions: list[Session]) -> None:
        async def one(session: Session) -> None:
            async with self._probes:
                if session.needs_capture:
                    await session.capture()

        await asyncio.gather(*(one(session) for session in sessions))

    # --- as the host of sessions ------------------------------------------------------

    def joined(self, session: Session) -> None:
        self.sessions.add(session)
        self._last_used = monotonic()

    def count_of(self, user: str) -> int:
        """Open sessions of a role."""
        return sum(session.identity.route.user == user for session in self.sessions)

    @property
    def answers_keepalives(self) -> bool:
        return self.info.keepalives is Keepalives.ANSWER

    def why_not(self) -> Failure:
        phase = self.info.phase
        return Unavailable(self.info.reason or f"it is {phase} and did not answer in time")

    def cancel(self, backend: Backend) -> None:
        if self.gate.address is not None and backend.epoch == self.gate.epoch:
            asked = self._computes.cancel(self.gate.address, backend.process_id, backend.secret)
            task = asyncio.get_running_loop().create_task(asked)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def moved(self, session: Session, before: State, after: State) -> None:
        if after is State.WAITING:
            self._waiting.add(session)
        elif before is State.WAITING:
            self._waiting.discard(session)
        if after in (State.ATTACHED, State.PROBED):
            self.attached.add(session)
        elif session in self.attached:
            self.attached.discard(session)
            self._queries += session.queries
            self._last_used = max(self._last_used, session.last_used)
        if after is State.ENDED:
            self.sessions.discard(session)
            self._last_used = monotonic()
            self._forget(session)

    async def arrive(self, identity: Identity) -> Arrival:
        if len(self._waiting) > self.settings.waiting_max:
            raise Refused(
                TooManySessions(f"{len(self._waiting)} sessions wait for {self.info.name} already")
            )
        steps, retry_s, is_first = Steps(), RETRY_SECONDS_MIN, False
        while True:
            is_first = await self._until_open(identity.cause, steps) or is_first
            backend = await self._connect(identity)
            if backend is not None:
                steps.passed("backend connection")
                seen = self._resume_seen(identity.cause, backend.epoch) if is_first else None
                return Arrival(backend, steps, seen)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, RETRY_SECONDS_MAX)

    async def _until_open(self, cause: str, steps: Steps) -> bool:
        """Wait until sessions may attach; whether it was this wait that woke the database."""
        is_first = False
        while (standing := self.gate.standing(monotonic())) is not Standing.OPEN:
            if standing is Standing.CLOSED:
                await self._until_changed()
                continue
            is_first = self._waking is None
            awake = await self._wake(cause)
            if is_first:
                self._account(steps, awake)
            if awake.endpoint.address is None:
                await asyncio.sleep(RETRY_SECONDS_MIN)
        return is_first

    async def _until_changed(self) -> None:
        until = self.gate.closed_until
        if until is not None:
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, until - monotonic()))
            except TimeoutError:
                log.warning("gate_reopened_by_itself", extra={"endpoint": self.info.name})

    async def _wake(self, cause: str) -> Awake:
        """One question for all who wait. Raises a Failure with the reason."""
        if self._waking is None:
            self._waking = asyncio.get_running_loop().create_task(self._ask(cause))
            self._waking.add_done_callback(_retrieve)
        # A client that gives up does not take the wake of the others with it.
        return await asyncio.shield(self._waking)

    async def _ask(self, cause: str) -> Awake:
        try:
            awake = await self._fleet.wake(
                self.info.name, cause, self._lost_epoch, timeout_s=self.settings.wake_timeout_s
            )
            self.told(awake.endpoint)
            return awake
        finally:
            self._waking = None

    @staticmethod
    def _account(steps: Steps, awake: Awake) -> None:
        """The time of the question, less what the others account for, is the way there and back."""
        steps.passed("wake asked and answered")
        asked = steps.steps[-1]
        elsewhere_ms = sum(step.ms for step in awake.steps)
        steps.steps[-1] = asked.model_copy(update={"ms": max(0.0, asked.ms - elsewhere_ms)})

    async def _connect(self, identity: Identity) -> Backend | None:
        """A backend, or None where it has to be tried again. Raises Refused."""
        async with self._pace:
            address, epoch = self.gate.address, self.gate.epoch
            if address is None or self.gate.standing(monotonic()) is not Standing.OPEN:
                return None
            route = identity.route
            try:
                async with asyncio.timeout(self.settings.connect_timeout_s):
                    stream = await self._computes.dial(address)
                    try:
                        return await log_in(
                            stream, epoch, route.user, route.database, route.parameters
                        )
                    except BaseException:
                        stream.abort()
                        raise
            except ServerRefused as refused:
                if refused.sqlstate not in (_SHUTTING_DOWN, _NO_ROOM):
                    raise Refused(AttachRefused(refused.fields)) from None
                self._make_room(refused.sqlstate, epoch)
            except (BackendLost, TimeoutError) as error:
                self._unreachable(epoch, str(error))
        return None

    def _make_room(self, sqlstate: str, epoch: int) -> None:
        if sqlstate == _SHUTTING_DOWN:
            self._unreachable(epoch, "it is shutting down")
            return
        idle = [session for session in self.attached if session.can_be_let_go]
        if idle:
            min(idle, key=lambda session: session.last_used).let_go()

    def _unreachable(self, epoch: int, reason: str) -> None:
        """Whoever waits asks for a wake again, and says which compute did not answer."""
        if epoch == self.gate.epoch and self.gate.address is not None:
            log.warning(
                "compute_unreachable",
                extra={"endpoint": self.info.name, "epoch": epoch, "reason": reason},
            )
            self.gate.address = None
            self._lost_epoch = epoch

    def _resume_seen(self, cause: str, epoch: int) -> Callable[[Chain], None]:
        def seen(chain: Chain) -> None:
            name = self.info.name
            self._fleet.resume_seen(ResumeSeen(name=name, epoch=epoch, chain=chain, cause=cause))

        return seen


def _retrieve(task: asyncio.Task[Awake]) -> None:
    """The failure of a wake that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()
