"""All endpoints and all sessions of this proxy."""

from __future__ import annotations

import asyncio
import heapq
import secrets
from collections.abc import Collection, Iterable, Mapping
from itertools import count
from time import monotonic

from torpor_api.failures import NotFound
from torpor_api.identity import SessionId, split_endpoint_name
from torpor_api.messages import (
    DatabaseUse,
    EndpointInfo,
    EndpointSample,
    Latencies,
    ListSessions,
    SessionList,
)
from torpor_proxy.core import born
from torpor_proxy.core.interning import Interner
from torpor_proxy.core.refusals import (
    EndpointRemoved,
    Refusal,
    ShuttingDown,
    Terminated,
    TooManySessions,
)
from torpor_proxy.core.routing import Route
from torpor_proxy.core.stopwatch import Tally
from torpor_proxy.core.tallies import Tallies
from torpor_proxy.executor.endpoint import NO_CHAOS, Endpoint
from torpor_proxy.executor.host import Chaos, Identity, State
from torpor_proxy.executor.listing import list_of
from torpor_proxy.executor.session import Session
from torpor_proxy.ports import Computes, Fleet, Stream
from torpor_proxy.settings import Settings

SECRET_BYTES_SHORT = 4
SECRET_BYTES_LONG = 32
"""Of a cancel key, for clients of protocol 3.0 and of 3.2."""

BORN_FROM_MAX = 1 << 30
"""Half of the process ids that no kernel gives."""

_DRAIN_POLL_SECONDS = 0.02


class Registry:
    """Who is there."""

    def __init__(
        self, settings: Settings, fleet: Fleet, computes: Computes, chaos: Chaos = NO_CHAOS
    ) -> None:
        self.settings = settings
        self._chaos = chaos
        self.endpoints: dict[str, Endpoint] = {}
        self._fleet = fleet
        self._computes = computes
        self._by_key: dict[bytes, Session] = {}
        self._told_ids: set[int] = set()
        """Process ids that open clients know themselves by."""
        self._session_count = 0
        self._numbers = count(1)
        self._first_born = secrets.randbelow(BORN_FROM_MAX)
        """Other proxies begin elsewhere: their clients may be of the same database."""
        self.tallies = Tallies()
        self._gone = Tally()
        """Of the queries of databases that are not there any more."""
        self._routes: Interner[tuple[object, ...], Route] = Interner()

    # --- endpoints --------------------------------------------------------------------

    def told(self, info: EndpointInfo) -> None:
        """A database is new or has changed; or its name has gone over to another one, whose epochs
        and passwords have nothing to do with those of the one before."""
        known = self.endpoints.get(info.name)
        if known is not None and info.uid and known.info.uid not in ("", info.uid):
            self.removed(info.name)
            known = None
        if known is not None:
            known.told(info)
        else:
            self.endpoints[info.name] = Endpoint(
                info,
                self.settings,
                self._fleet,
                self._computes,
                self._new_key,
                self._left,
                self._chaos,
                self._told_ids,
                self.tallies,
            )

    def listed(self, info: EndpointInfo) -> None:
        """As an autoscaler knows it with whom we have just registered. It has no older news under
        way, so a lower epoch of the same database is the one that counts."""
        known = self.endpoints.get(info.name)
        is_same = known is not None and info.uid != "" and known.info.uid == info.uid
        if known is not None and is_same and info.epoch < known.gate.epoch:
            known.fall_back(info.epoch)
        self.told(info)

    def removed(self, name: str) -> None:
        """A database is gone; its sessions are told."""
        endpoint = self.endpoints.pop(name, None)
        for session in list(endpoint.sessions) if endpoint is not None else []:
            session.refuse(EndpointRemoved(name))
        if endpoint is not None and endpoint.traffic.queries is not None:
            self._gone.add_all(endpoint.traffic.queries)

    def keep_only(self, names: Iterable[str], unheard: Collection[str] = ()) -> None:
        """What the autoscaler does not know any more is gone.

        ``unheard``: namespaces of which it does not know what there is.
        """
        for name in self.endpoints.keys() - set(names):
            if split_endpoint_name(name)[1] not in unheard:
                self.removed(name)

    def samples(self) -> list[EndpointSample]:
        """Of the databases that anybody uses."""
        now = monotonic()
        return [
            endpoint.sample(now)
            for endpoint in self.endpoints.values()
            if endpoint.sessions or endpoint.gate.address is not None
        ]

    def queried(self) -> Latencies:
        """How long the queries of all databases took, since the proxy began."""
        whole = Tally()
        whole.add_all(self._gone)
        for endpoint in self.endpoints.values():
            if endpoint.traffic.queries is not None:
                whole.add_all(endpoint.traffic.queries)
        return whole.totals()

    def queried_by_database(self) -> Mapping[str, Latencies]:
        """Those of the databases that may be told by name."""
        each = [(name, endpoint.traffic) for name, endpoint in self.endpoints.items()]
        used = [(name, traffic) for name, traffic in each if traffic.queries is not None]
        limit = self.settings.metrics_databases_max
        first = heapq.nsmallest(limit, used, key=lambda one: one[1].served_since)
        return {name: traffic.tally.totals() for name, traffic in first}

    def capture_idle(self, now: float) -> None:
        """Begin to examine sessions that have been idle for a while."""
        for endpoint in self.endpoints.values():
            if endpoint.attached or endpoint.listeners.connections:
                endpoint.capture_idle(now)

    def examined(self) -> set[str]:
        """Awake databases whose sessions are all idle and known."""
        return {
            name
            for name, endpoint in self.endpoints.items()
            if endpoint.gate.address is not None and endpoint.is_examined
        }

    # --- sessions ---------------------------------------------------------------------

    def full(self) -> Refusal | None:
        """Why there is no room for another session, or None."""
        if self._session_count < self.settings.sessions_max:
            return None
        return TooManySessions(
            f"the proxy holds {self._session_count} sessions and takes no more",
            "Close some, or raise TORPOR_PROXY_SESSIONS_MAX.",
        )

    def enter(
        self,
        endpoint: Endpoint,
        route: Route,
        stream: Stream,
        client: str,
        has_long_key: bool,
        pending: bytes,
    ) -> None:
        """A client has logged in. ``pending``: what it has sent behind its login."""
        fields = (route.endpoint, route.user, route.database, route.parameters)
        route = self._routes.one(fields, route)
        identity = Identity(SessionId(next(self._numbers)), route, client, has_long_key)
        session = Session(identity, stream, endpoint)
        self._session_count += 1
        endpoint.joined(session)
        told = endpoint.birth(route)
        if told is None:
            session.come_back()
        else:
            session.be_born(told, self._process_id(session))
        if pending:
            stream.sink.received(pending)

    async def cancel(self, process_id: int, secret: bytes) -> bool:
        """Cancel what the session of a key is running; whether there is one here.

        Ends once the signal is sent: whoever waits for that does not hit the client's next query.
        """
        session = self._by_key.get(_key(process_id, secret))
        sent = None if session is None else session.cancel()
        if sent is not None:
            await asyncio.wait([sent])
        return session is not None

    def list_sessions(self, asked: ListSessions) -> SessionList:
        """For a person. Raises NotFound."""
        sessions = self._sessions_of(asked.name) if asked.name else self._sessions()
        if asked.number:
            sessions = [each for each in sessions if each.identity.number == asked.number]
        return list_of(sessions, monotonic(), asked.limit)

    def end_session(self, name: str, number: int) -> None:
        """Whatever it is doing. Raises NotFound."""
        for session in self._sessions_of(name):
            if session.identity.number == number:
                # A backend that works hears of a client's end only when it next has to write.
                session.cancel()
                session.refuse(Terminated())
                return
        raise NotFound(f"there is no session {number} of {name} in this proxy any more")

    def _sessions_of(self, name: str) -> list[Session]:
        endpoint = self.endpoints.get(name)
        if endpoint is None:
            raise NotFound(f"no endpoint {name!r}")
        return list(endpoint.sessions)

    def _new_key(self, session: Session, process_id: int) -> tuple[int, bytes]:
        is_long = session.identity.has_long_key
        secret = secrets.token_bytes(SECRET_BYTES_LONG if is_long else SECRET_BYTES_SHORT)
        if process_id in self._told_ids:
            # Of a compute that is gone: two clients would take each other's words for their own.
            process_id = self._process_id(session)
        self._told_ids.add(process_id)
        self._by_key[_key(process_id, secret)] = session
        return process_id, secret

    def _process_id(self, session: Session) -> int:
        """One that no backend has."""
        return born.process_id(self._first_born + session.identity.number)

    def _left(self, session: Session) -> None:
        self._session_count -= 1
        if session.identity.key is not None:
            self._by_key.pop(_key(*session.identity.key), None)
            self._told_ids.discard(session.identity.key[0])

    # --- the end ----------------------------------------------------------------------

    async def drain(self) -> None:
        """End every session: when its transaction is over, or when time is up."""
        deadline = monotonic() + self.settings.drain_timeout_s
        while sessions := self._sessions():
            is_late = monotonic() > deadline
            for session in sessions:
                if is_late or not (session.is_in_flight or self._is_served(session)):
                    session.refuse(ShuttingDown())
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def last_uses(self) -> list[DatabaseUse]:
        """Of every database that sessions of this proxy have used."""
        told = ((name, each.last_use().ago_s) for name, each in self.endpoints.items())
        return [DatabaseUse(name=name, ago_s=ago_s) for name, ago_s in told if ago_s is not None]

    @staticmethod
    def _is_served(session: Session) -> bool:
        """Whether its client is about to get an answer from the backend that it has."""
        return session.state is State.ATTACHED and session.is_busy

    def _sessions(self) -> list[Session]:
        return [s for endpoint in self.endpoints.values() for s in endpoint.sessions]


def _key(process_id: int, secret: bytes) -> bytes:
    return process_id.to_bytes(4, "big") + secret
