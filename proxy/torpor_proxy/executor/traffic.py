"""What the sessions of a database are doing, and how long they wait and their queries take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import chain
from math import inf
from time import monotonic

from torpor_api.messages import EndpointSample, Latencies, SessionReport
from torpor_proxy.core.stopwatch import Tally
from torpor_proxy.core.tallies import Tallies, Wait
from torpor_proxy.executor.host import State
from torpor_proxy.executor.session import Session


class Traffic:
    """Of one endpoint."""

    __slots__ = (
        "_attached",
        "_began",
        "_is_open",
        "_last_used",
        "_queries",
        "_sessions",
        "_tallies",
        "queries",
        "served_since",
        "waiting",
    )

    def __init__(
        self,
        sessions: Collection[Session],
        attached: Collection[Session],
        is_open: Callable[[], bool],
        tallies: Tallies,
    ) -> None:
        """``is_open``: whether sessions may attach now. ``tallies``: of all databases."""
        self.waiting: dict[Session, tuple[Wait, float]] = {}
        """For what, and since when."""
        self.queries: Tally | None = None
        """How long they took; None before the first session was attached."""
        self.served_since = inf
        """When that was."""
        self._sessions = sessions
        self._attached = attached
        self._is_open = is_open
        self._tallies = tallies
        self._began = monotonic()
        self._last_used: float | None = None
        self._queries = 0
        """Of the sessions that are not attached now."""

    @property
    def tally(self) -> Tally:
        """For those who time queries."""
        if self.queries is None:
            self.queries, self.served_since = Tally(), monotonic()
        return self.queries

    def idle_s(self, now: float) -> float | None:
        """Since the last use: 0 while one goes on; None: no session has asked anything.

        To log in and to leave is no use: whoever only looks whether the door opens keeps nobody
        awake."""
        if any(_goes_on(session) for session in chain(self._attached, self.waiting)):
            return 0.0
        for session in self._attached:
            self._used_by(session)
        return None if self._last_used is None else max(0.0, now - self._last_used)

    def _used_by(self, session: Session) -> None:
        if session.queries or session.exchange.in_flight:
            self._last_used = max(self._last_used or 0.0, session.last_used)

    def moved(self, session: Session, before: State, after: State) -> None:
        """Before it is counted among those that are attached, or is not any more."""
        if after is State.WAITING:
            wait = Wait.PLACE if self._is_open() else Wait.DATABASE
            self.waiting[session] = wait, session.waiting.since or session.since
        elif session in self.waiting:
            self._waited(*self.waiting.pop(session))
        elif before is State.CAPTURING and after is State.ATTACHED and session.waiting.since:
            self._waited(Wait.CAPTURE, session.waiting.since)
        self._tallies.attached += before is State.WAITING and after is State.ATTACHED
        self._tallies.parked += before is not State.WAITING and after is State.PARKED

    def _waited(self, wait: Wait, since: float) -> None:
        self._tallies.has_waited(wait, monotonic() - since)

    def attached(self, session: Session) -> None:
        self._queries -= session.queries

    def detached(self, session: Session) -> None:
        self._queries += session.queries
        self._used_by(session)

    def sample(
        self, name: str, epoch: int, now: float, *, listens: bool, reports: Sequence[SessionReport]
    ) -> EndpointSample:
        """For the autoscaler."""
        idle_s = self.idle_s(now)
        busy, attached = len(self.waiting), len(self._attached)
        queries, in_flight, pinned = self._queries, 0, 0
        for session in self._attached:
            busy += session.is_busy
            queries += session.queries
            in_flight += session.exchange.in_flight
            pinned += session.is_pinned
            listens = listens or session.listens
        return EndpointSample(
            name=name,
            epoch=epoch,
            sessions=len(self._sessions),
            attached=attached,
            parked=len(self._sessions) - attached - len(self.waiting),
            waiting=len(self.waiting),
            busy=busy,
            in_flight=in_flight,
            queries_total=queries,
            latencies=Latencies() if self.queries is None else self.queries.totals(),
            idle_s=now - self._began if idle_s is None else idle_s,
            listens=listens,
            pinned=tuple(reports),
            pinned_sessions=pinned,
        )


def _goes_on(session: Session) -> bool:
    """What its client has asked for: to log in and to take its leave is nothing of the kind."""
    if session.state is State.ATTACHED:
        exchange = session.exchange
        return session.is_busy and (exchange.in_flight > 0 or not exchange.is_terminated)
    return session.waiting.asks
