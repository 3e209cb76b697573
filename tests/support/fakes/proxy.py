"""A proxy in memory: sessions that query, a gate per database, samples of both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from support.fakes.agent import FakeAgent
from support.fakes.proxy_session import (
    FakeSession,
    detach,
    has_backend,
    report_of,
    session_info,
)
from torpor_api import messages as m
from torpor_api.chain import Chain, Step
from torpor_api.failures import Busy, InvalidRequest, NotFound, StaleEpoch, Unavailable

FIRST_ROW_MS = 1.0

LOOK_S = 0.005
"""Between two looks at sessions that are busy while the gate is closing, or the proxy ends."""

RETRY_S = 0.05
"""Between two attempts to reach a compute that is said to be fine."""


@dataclass
class FakeGate:
    info: m.EndpointInfo
    closed_until: float | None = None
    held_until: float | None = None
    """Not everybody who is to be heard for is."""
    at_rest: list[FakeSession] = field(default_factory=list)
    """Parked when nobody was heard for any more: they miss what is notified now."""
    doubts: int = 0
    """How often they had to ask whether they had missed something."""
    misses: int = 0
    """How often they did, and were told that they had not."""
    used_at: float = 0.0
    queries: int = 0
    waiting: int = 0
    sessions: list[FakeSession] = field(default_factory=list)


class FakeProxy:
    """``ask`` and ``tell`` go to the autoscaler; whoever makes the fake connects them."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.name = name
        self.gates: dict[str, FakeGate] = {}
        self._is_listed = False
        self.is_draining = False
        """Whether it takes no clients any more."""
        self.told = 0
        """How often it has been told of a change."""
        self.used_elsewhere: list[m.UsedElsewhere] = []
        self.ask: Callable[[m.Request[Any]], Awaitable[Any]] = _nobody
        self.tell: Callable[[m.Event], None] = lambda event: None
        self.dial: Callable[[m.ComputeAddress], FakeAgent | None] | None = None
        """Finds the Postgres of an address, for tests that care; None of it: unreachable."""
        self._now = now
        self._numbers = 0
        self._changed = asyncio.Event()

    # --- what the autoscaler says ----------------------------------------------------------

    async def register(self) -> None:
        self._is_listed = False
        page: m.Endpoints = await self.ask(m.RegisterProxy(proxy=self.name))
        while last := self._take_in(page):
            page = await self.ask(m.MoreEndpoints(after=last))
        self._is_listed = True

    def _take_in(self, page: m.Endpoints) -> str:
        for endpoint in page.endpoints:
            self.listed(endpoint)
        names = [*(endpoint.name for endpoint in page.endpoints), *page.unknown]
        return max(names) if page.has_more else ""

    async def answer(self, request: m.Request[Any]) -> m.Message:
        match request:
            case m.CloseGate():
                return await self._close_gate(request)
            case m.StopListening():
                return self._stop_listening(request)
            case m.StartListening():
                return self._start_listening(request)
            case m.AskLastUse():
                return self._last_use(request)
            case m.ListSessions():
                return self._list_sessions(request)
            case m.EndSession():
                return self._end_session(request)
            case m.OpenGate():
                gate = self.gates.get(request.name)
                if gate is not None and gate.info.epoch == request.epoch:
                    gate.closed_until = gate.held_until = None
                    self._opened(gate, request.listening)
                    self._wake_up()
                return m.Done()
            case m.HaveHeard():
                return m.Done()
            case _:
                raise InvalidRequest(f"{type(request).__name__} is not for a proxy")

    def hear(self, event: m.Event) -> None:
        self.told += 1
        match event:
            case m.EndpointChanged():
                self._told(event.endpoint)
            case m.EndpointRemoved():
                self.gates.pop(event.name, None)
            case m.UsedElsewhere():
                self.used_elsewhere.append(event)
            case _:
                raise AssertionError(f"not for a proxy: {event!r}")

    def listed(self, info: m.EndpointInfo) -> None:
        """As an autoscaler knows it that has just taken us up."""
        gate = self.gates.get(info.name)
        if gate is not None and info.epoch < gate.info.epoch:
            gate.info = gate.info.model_copy(update={"epoch": info.epoch, "address": None})
        self._told(info)

    def _told(self, info: m.EndpointInfo) -> None:
        self._learn(info)
        gate = self.gates[info.name]
        if gate.info is info:
            self._opened(gate, info.listening)

    def _learn(self, info: m.EndpointInfo) -> None:
        gate = self.gates.setdefault(info.name, FakeGate(info))
        if info.epoch < gate.info.epoch:
            return
        if info.epoch > gate.info.epoch:
            gate.closed_until = None
            for session in gate.sessions:
                detach(session)
        elif info.address is None:
            gate.closed_until = None
            for session in gate.sessions:
                if not has_backend(session):
                    detach(session)
        gate.held_until = None
        gate.info = info
        self._wake_up()

    def _opened(self, gate: FakeGate, listening: tuple[str, ...]) -> None:
        """Sessions may attach; those of the proxies that are named heard everything before.

        One that is named alone may be alone: then it sees to it before its own sessions attach.
        """
        is_there = any(session in gate.sessions for session in gate.at_rest)
        if is_there and gate.info.address is not None and listening != (self.name,):
            gate.misses += self.name in listening
            gate.doubts += self.name not in listening
        if gate.info.address is not None:
            gate.at_rest.clear()

    async def _close_gate(self, request: m.CloseGate) -> m.GateClosed:
        gate = self.gates.get(request.name)
        if gate is None and not self._is_listed:
            return m.GateClosed(parked=0)  # It has not heard of it yet, and has no session of it.
        if gate is None:
            raise NotFound(f"no endpoint {request.name!r}")
        if request.epoch < gate.info.epoch:
            raise StaleEpoch(f"{self.name} knows epoch {gate.info.epoch}, not {request.epoch}")
        if request.epoch > gate.info.epoch:
            # Its compute is so new that its address is still on the way.
            update = {"epoch": request.epoch, "address": None}
            self._learn(gate.info.model_copy(update=update))
        gate.closed_until = self._now() + request.hold_s
        try:
            await self._park_all(gate, request.epoch, self._now() + request.patience_s)
        except Busy:
            if not request.insists:
                gate.closed_until = None
                self._wake_up()
                raise
        left = sum(session.backend is not None for session in gate.sessions)
        idle_s = self._now() - gate.used_at if gate.used_at else None
        return m.GateClosed(parked=len(gate.sessions), left=left, idle_s=idle_s)

    async def _park_all(self, gate: FakeGate, epoch: int, patient_until: float) -> None:
        """Each at its safe point; the others wait meanwhile."""
        while True:
            for session in gate.sessions:
                if session.pinned:
                    raise Busy(f"session {session.number}: {session.pinned}")
                if not session.is_busy:
                    detach(session)
            busy = [session for session in gate.sessions if session.is_busy]
            if not busy:
                return
            if self._now() >= patient_until or gate.info.epoch != epoch:
                raise Busy(f"session {busy[0].number}: a query is running")
            await asyncio.sleep(LOOK_S)

    def _stop_listening(self, request: m.StopListening) -> m.ListeningStopped:
        if request.name not in self.gates and not self._is_listed:
            return m.ListeningStopped(listens=False)
        gate = self._gate(request.name)
        is_attached = any(session.is_attached for session in gate.sessions)
        if request.epoch != gate.info.epoch or not self._is_closed(gate) or is_attached:
            raise Busy(f"{request.name}: its gate is open again")
        gate.at_rest = list(gate.sessions)
        return m.ListeningStopped(listens=bool(gate.sessions))

    def _start_listening(self, request: m.StartListening) -> m.Done:
        info = request.endpoint
        gate = self._gate(info.name)
        if info.epoch < gate.info.epoch:
            raise StaleEpoch(f"{self.name} knows epoch {gate.info.epoch}, not {info.epoch}")
        self._learn(info)
        gate.held_until = self._now() + request.hold_s
        gate.at_rest.clear()
        return m.Done()

    def _last_use(self, request: m.AskLastUse) -> m.LastUse:
        gate = self._gate(request.name)
        return m.LastUse(ago_s=self._now() - gate.used_at if gate.used_at else None)

    def _gate(self, name: str) -> FakeGate:
        if name not in self.gates:
            raise NotFound(f"no endpoint {name!r}")
        return self.gates[name]

    def _list_sessions(self, request: m.ListSessions) -> m.SessionList:
        if request.name and request.name not in self.gates:
            raise NotFound(f"no endpoint {request.name!r}")
        gates = [self.gates[request.name]] if request.name else self.gates.values()
        every = [session for gate in gates for session in gate.sessions]
        found = [each for each in every if request.number in (0, each.number)]
        held = sorted(found, key=lambda session: not session.pinned)
        infos = tuple(map(session_info, held[: request.limit]))
        return m.SessionList(sessions=infos, total=len(held))

    def _end_session(self, request: m.EndSession) -> m.Done:
        gate = self.gates.get(request.name)
        for session in gate.sessions if gate is not None else ():
            if session.number == request.number:
                self.disconnect(session)
                return m.Done()
        raise NotFound(f"there is no session {request.number} of {request.name} in this proxy")

    # --- its end ---------------------------------------------------------------------------

    async def drain(self) -> None:
        """End each session as soon as it is not busy, and take no others."""
        self.is_draining = True
        while sessions := [each for gate in self.gates.values() for each in gate.sessions]:
            for session in [each for each in sessions if not each.is_busy]:
                self.disconnect(session)
            await asyncio.sleep(LOOK_S)

    async def leave(self) -> None:
        """Say as the last word that it ends in good order."""
        used = tuple(
            m.DatabaseUse(name=name, ago_s=self._now() - gate.used_at)
            for name, gate in self.gates.items()
            if gate.used_at
        )
        await self.ask(m.ForgetProxy(proxy=self.name, used=used))

    # --- what clients do -------------------------------------------------------------------

    def connect(self, database: str) -> FakeSession:
        self._numbers += 1
        session = FakeSession(self._numbers, database)
        self.gates[database].sessions.append(session)
        return session

    def disconnect(self, session: FakeSession) -> None:
        detach(session)
        session.is_ended = True
        self.gates[session.database].sessions.remove(session)

    async def attach(self, session: FakeSession) -> m.EndpointInfo:
        """The endpoint to which the session may send; raises what the wake was answered."""
        gate = self.gates[session.database]
        gate.waiting += 1
        try:
            while not self._try_to_attach(gate, session):
                if self._is_closed(gate):
                    await self._something_changes(gate)
                    continue
                lost_epoch = gate.info.epoch if gate.info.address is not None else 0
                awake = await self.wake(session, lost_epoch)
                self._learn(awake.endpoint)  # It is no word on who has listened in time.
                if lost_epoch or gate.info.address is None:
                    await asyncio.sleep(RETRY_S)
        finally:
            gate.waiting -= 1
            gate.used_at = self._now()
        return gate.info

    def _try_to_attach(self, gate: FakeGate, session: FakeSession) -> bool:
        if session.is_ended:
            raise Unavailable("the client has hung up")
        if session.is_lost:
            detach(session)
        address = gate.info.address
        if self._is_closed(gate):
            return False
        if address is None:
            return session.is_attached  # Then it goes on with the backend that it has.
        if gate.at_rest:  # Nobody has said that it is open.
            self._opened(gate, ())
        if self.dial is not None and session.backend is None:
            backend = self.dial(address)
            if backend is None or not backend.is_serving:
                return False
            backend.clients.add(session)
            session.backend = backend
        session.is_attached = True
        return True

    async def wake(self, session: FakeSession, lost_epoch: int = 0) -> m.Awake:
        cause = f"session {session.number}"
        request = m.Wake(name=session.database, cause=cause, lost_epoch=lost_epoch)
        awake: m.Awake = await self.ask(request)
        rest = Chain().then(Step(name="first row", where="proxy", ms=FIRST_ROW_MS))
        epoch = awake.endpoint.epoch
        self.tell(m.ResumeSeen(name=session.database, epoch=epoch, chain=rest, cause=cause))
        return awake

    def sample(self) -> m.ProxySample:
        used = [g for g in self.gates.values() if g.sessions or g.info.address is not None]
        return m.ProxySample(proxy=self.name, samples=tuple(map(self._sample_of, used)))

    def _sample_of(self, gate: FakeGate) -> m.EndpointSample:
        pinned = [s for s in gate.sessions if s.pinned]
        attached = sum(s.is_attached for s in gate.sessions)
        return m.EndpointSample(
            name=gate.info.name,
            epoch=gate.info.epoch,
            sessions=len(gate.sessions),
            attached=attached,
            parked=len(gate.sessions) - attached,
            waiting=gate.waiting,
            busy=sum(s.is_busy for s in gate.sessions),
            queries_total=gate.queries,
            idle_s=self._now() - gate.used_at,
            pinned=tuple(report_of(session) for session in pinned),
        )

    def _is_closed(self, gate: FakeGate) -> bool:
        until = _opens_at(gate)
        return until is not None and self._now() < until

    async def _something_changes(self, gate: FakeGate) -> None:
        """The gate opens by itself when nobody says anything more about it."""
        until, changed = _opens_at(gate), self._changed
        assert until is not None
        try:
            async with asyncio.timeout(max(0.0, until - self._now())):
                await changed.wait()
        except TimeoutError:
            gate.closed_until = gate.held_until = None

    def _wake_up(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _opens_at(gate: FakeGate) -> float | None:
    return max((at for at in (gate.closed_until, gate.held_until) if at is not None), default=None)


async def _nobody(request: m.Request[Any]) -> Any:
    raise AssertionError(f"nobody to ask {request!r}")
