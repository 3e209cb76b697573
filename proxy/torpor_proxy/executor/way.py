"""A session's way to a compute: through the gate, by a wake that all share, to a backend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from torpor_api.chain import Chain
from torpor_api.messages import Awake, EndpointInfo, ResumeSeen
from torpor_proxy.core.gate import Gate, Standing
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.refusals import AttachRefused, Refused
from torpor_proxy.core.routing import Route
from torpor_proxy.executor.arrival import Arrival, Steps
from torpor_proxy.executor.conversation import Backend, ServerRefused, log_in
from torpor_proxy.executor.host import Identity
from torpor_proxy.executor.room import Place, Room
from torpor_proxy.executor.visit import hang_up
from torpor_proxy.ports import BackendLost, Computes, Fleet
from torpor_proxy.settings import Settings

log = logging.getLogger(__name__)

RETRY_SECONDS_MIN = 0.01
RETRY_SECONDS_MAX = 0.5
"""Between two connects of one session to a compute that has no room or does not answer."""

_SHUTTING_DOWN, _NO_ROOM = "57P03", "53300"


class Way:
    """To the compute of one database."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        fleet: Fleet,
        computes: Computes,
        room: Room,
    ) -> None:
        self.gate = Gate()
        self._name = name
        self._settings = settings
        self._fleet = fleet
        self._computes = computes
        self._room = room
        self._changed = asyncio.Event()
        self._waking: asyncio.Task[Awake] | None = None
        self._pace = asyncio.Semaphore(settings.connects_at_once)
        self._lost_epoch = 0
        self.before_anybody: Callable[[int], Awaitable[None]] | None = None
        """Has to be done on a compute of that epoch before a session attaches to it. May raise
        what a connection does."""

    def told(self, info: EndpointInfo) -> bool:
        """The autoscaler's word; False where it is older than what is known."""
        if not self.gate.told(info):
            return False
        self._takes_up(info)
        return True

    def fall_back(self, epoch: int) -> None:
        """See Gate.fall_back."""
        extra = {"database": self._name, "epoch": epoch, "known_epoch": self.gate.epoch}
        log.warning("epoch_fell_back", extra=extra)
        self.gate.fall_back(epoch)
        self._lost_epoch = 0

    def hold(self, info: EndpointInfo, until: float) -> bool:
        """The same, before anybody may attach to its compute."""
        if not self.gate.hold(info, until):
            return False
        self._takes_up(info)
        return True

    def _takes_up(self, info: EndpointInfo) -> None:
        if info.address is not None:
            self._lost_epoch = 0
        self._room.serve(info.epoch, info.max_connections)
        self.changed()

    def changed(self) -> None:
        """Whoever waits before the gate looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def go(self, identity: Identity, defaults: Pairs) -> Arrival:
        """Raises Refused, or a Failure with the reason; the caller bounds the time."""
        steps, retry_s, is_first = Steps(), RETRY_SECONDS_MIN, False
        while True:
            is_first = await self._until_open(identity.cause, steps) or is_first
            place = await self._room.enter(identity.number)
            try:
                backend = await self._connect(identity.route, defaults, place)
            finally:
                if not place.is_bound:
                    place.free()
            if backend is not None:
                steps.passed("backend connection")
                seen = self._resume_seen(identity.cause, backend.epoch) if is_first else None
                return Arrival(backend, steps, seen)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, RETRY_SECONDS_MAX)

    # --- the gate and the wake --------------------------------------------------------

    async def _until_open(self, cause: str, steps: Steps) -> bool:
        """Wait until sessions may attach; whether it was this wait that woke the database."""
        is_first, retry_s = False, RETRY_SECONDS_MIN
        while (standing := self.gate.standing(monotonic())) is not Standing.OPEN:
            if standing is Standing.CLOSED:
                await self._until_gate_moves()
                continue
            is_first = self._waking is None
            awake = await self.wake(cause)
            if is_first:
                _account(steps, awake)
            if self.gate.standing(monotonic()) is Standing.ASLEEP:
                # It had no address, or was not believed; the next answer may be the same.
                await self.until_changed(retry_s)
                retry_s = min(retry_s * 2, RETRY_SECONDS_MAX)
        return is_first

    async def _until_gate_moves(self) -> None:
        until = self.gate.opens_at
        if until is not None and not await self.until_changed(max(0.0, until - monotonic())):
            log.warning("gate_reopened_by_itself", extra={"database": self._name})

    async def until_changed(self, timeout_s: float) -> bool:
        """Whether something was heard of the database in that time."""
        try:
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def wake(self, cause: str) -> Awake:
        """One question for all who wait. Raises a Failure with the reason."""
        if self._waking is None:
            self._waking = asyncio.get_running_loop().create_task(self._ask(cause))
            self._waking.add_done_callback(_retrieve)
        # A client that gives up does not take the wake of the others with it.
        return await asyncio.shield(self._waking)

    async def _ask(self, cause: str) -> Awake:
        try:
            awake = await self._fleet.wake(
                self._name, cause, self._lost_epoch, timeout_s=self._settings.wake_timeout_s
            )
            self.told(awake.endpoint)
            return awake
        finally:
            self._waking = None

    # --- the connection ---------------------------------------------------------------

    async def _connect(self, route: Route, defaults: Pairs, place: Place) -> Backend | None:
        """A backend, or None where the gate has to be looked at again. Raises Refused."""
        retry_s = RETRY_SECONDS_MIN
        while self.leads_to(place.epoch):
            async with self._pace:
                backend = await self._try_once(route, defaults, place)
            if backend is not None or place.is_bound or not self.leads_to(place.epoch):
                # A place that had a connection ends with it.
                return backend
            # Full in spite of its place. It keeps that: others would only be refused as well.
            self._room.refused()
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, RETRY_SECONDS_MAX)
        return None

    def leads_to(self, epoch: int) -> bool:
        """Whether sessions may attach to that compute now."""
        return self.gate.epoch == epoch and self.gate.standing(monotonic()) is Standing.OPEN

    async def _try_once(self, route: Route, defaults: Pairs, place: Place) -> Backend | None:
        """None where the gate has moved, or the compute has no room. Raises Refused."""
        epoch = place.epoch
        if not self.leads_to(epoch):
            return None
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                backend = await self._log_in(route, defaults, epoch, place)
            try:
                if await self._is_prepared(epoch) and self.leads_to(epoch):
                    return backend
            except BaseException:
                hang_up(backend.stream)
                raise
            hang_up(backend.stream)
        except ServerRefused as refused:
            if refused.sqlstate == _SHUTTING_DOWN:
                self._unreachable(epoch, "it is shutting down")
            elif refused.sqlstate != _NO_ROOM or refused.is_of_a_limit:
                raise Refused(AttachRefused(refused.fields)) from None
        except (BackendLost, TimeoutError) as error:
            self._unreachable(epoch, str(error))
        return None

    async def _is_prepared(self, epoch: int) -> bool:
        """Last of all: between this and the attachment nothing else may happen."""
        if self.before_anybody is None:
            return True
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await self.before_anybody(epoch)
        except (BackendLost, ServerRefused, TimeoutError) as error:
            # Not that of a session: whether the compute is lost is for its own connection to say.
            extra = {"database": self._name, "epoch": epoch, "reason": str(error)}
            log.warning("not_prepared", extra=extra)
            return False
        return True

    async def connect(self, epoch: int, user: str, dbname: str, parameters: Pairs) -> Backend:
        """For the proxy itself, be the gate closed. Raises ServerRefused, or BackendLost."""
        if self.gate.address is None or self.gate.epoch != epoch:
            raise BackendLost("the database is not awake")
        route = Route(self._name, user, dbname)
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return await self._log_in(route, parameters, epoch, None)
        except TimeoutError:
            raise BackendLost("the compute does not answer in time") from None

    async def _log_in(
        self, route: Route, defaults: Pairs, epoch: int, place: Place | None
    ) -> Backend:
        assert self.gate.address is not None
        stream = await self._computes.dial(self.gate.address)
        # What the client asked for itself stands over the defaults.
        parameters = tuple((dict(defaults) | dict(route.parameters)).items())
        try:
            backend = await log_in(stream, epoch, route.user, route.database, parameters)
        except BaseException:
            stream.abort()
            raise
        if place is not None:
            place.is_bound = True
            stream.when_gone(place.free)
        return backend

    def _unreachable(self, epoch: int, reason: str) -> None:
        """Whoever waits asks for a wake again, and says which compute did not answer."""
        if epoch == self.gate.epoch and self.gate.address is not None:
            extra = {"database": self._name, "epoch": epoch, "reason": reason}
            log.warning("compute_unreachable", extra=extra)
            self.gate.address = None
            self._lost_epoch = epoch

    def _resume_seen(self, cause: str, epoch: int) -> Callable[[Chain], None]:
        def seen(chain: Chain) -> None:
            told = ResumeSeen(name=self._name, epoch=epoch, chain=chain, cause=cause)
            self._fleet.resume_seen(told)

        return seen


def _account(steps: Steps, awake: Awake) -> None:
    """The time of the question, less what the others account for, is the way there and back."""
    steps.passed("wake asked and answered")
    asked = steps.steps[-1]
    elsewhere_ms = sum(step.ms for step in awake.steps)
    steps.steps[-1] = asked.model_copy(update={"ms": max(0.0, asked.ms - elsewhere_ms)})


def _retrieve(task: asyncio.Task[Awake]) -> None:
    """The failure of a wake that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()
