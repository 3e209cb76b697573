"""Asked of a proxy by the autoscaler, over the connection that the proxy has opened."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from torpor_api.chain import Step
from torpor_api.messages.autoscaler import EndpointInfo, SessionStanding
from torpor_api.messages.base import Done, Event, Message, Request


class GateClosed(Message):
    parked: int
    left: int = 0
    """Sessions that could not be parked, where CloseGate ``insists``."""
    idle_s: float | None = None
    """As in EndpointSample, and later than the latest of these. None: no session of this proxy has
    asked anything, or the proxy is of a release that does not say."""
    steps: tuple[Step, ...] = ()
    """Where the time went; empty: the proxy is of a release that does not say."""


class CloseGate(Request[GateClosed]):
    """Park every session of the database and let no byte pass. Busy where one can't be.

    Those that listen are heard for until StopListening: sessions of other proxies may still notify.
    When it fails, the gate is open again and nothing has changed for any client.
    The gate opens by itself ``hold_s`` seconds after the last word of the autoscaler about it.
    """

    reply: ClassVar = GateClosed
    name: str
    epoch: int
    hold_s: float
    patience_s: float = 0.0
    """How long sessions that are busy may take to reach a safe point, each of which is parked there
    while its client's next bytes wait. 0: a busy session is Busy at once."""
    insists: bool = False
    """The compute ends in a moment, whatever becomes of this: who can't be parked in time keeps its
    connection until then, and the gate stays closed for everybody else."""


class OpenGate(Request[Done]):
    """Let sessions attach again to the compute that they had."""

    reply: ClassVar = Done
    name: str
    epoch: int
    listening: tuple[str, ...] = ()
    """As in EndpointInfo."""


class ListeningStopped(Message):
    listens: bool
    """Whether any parked session is to be heard for when the database serves again."""


class StopListening(Request[ListeningStopped]):
    """Tell parked sessions all that they are still to hear, and let the compute go.

    Asked once all proxies have closed their gates: then nobody can notify any more. Busy where the
    gate is open again.
    """

    reply: ClassVar = ListeningStopped
    name: str
    epoch: int


class StartListening(Request[Done]):
    """Hear for parked sessions on the compute of this endpoint, before any session attaches to it.

    Its address is told with it; the gate is held until an EndpointChanged, an Awake or an OpenGate,
    and opens by itself after ``hold_s``.
    """

    reply: ClassVar = Done
    endpoint: EndpointInfo
    hold_s: float


class LastUse(Message):
    ago_s: float | None
    """Seconds since a session of the database last did something; None: none ever did."""


class UsedElsewhere(Event):
    """Autoscaler to proxies, where sessions listen in one and were in use in another.

    So that these make sure of having heard everything once that is over, and are not in doubt if
    the compute is lost.
    """

    name: str
    proxy: str
    """Whose sessions used it."""
    ago_s: float
    """Seconds, as that proxy has reported."""


class AskLastUse(Request[LastUse]):
    """Whether sessions that listen may have missed something of sessions of other proxies.

    Asked of the autoscaler by a proxy that did not hear for a while; by it of all other proxies.
    Unavailable where one of them can't say so.
    """

    reply: ClassVar = LastUse
    name: str
    proxy: str
    """Who asks."""


class HaveHeard(Request[Done]):
    """Answered once all that was told before on this connection is known and counts.

    A proxy asks it as well: an autoscaler that does not answer is given up, and dialled anew.
    """

    reply: ClassVar = Done


class Cancelled(Message):
    is_known: bool
    """Whether the key is that of an open session; what it was running is being cancelled then."""


class CancelQuery(Request[Cancelled]):
    """A client's CancelRequest, which may reach another proxy than the one with its session.

    That one asks the autoscaler, which asks every proxy. Of a key that nobody knows nothing comes,
    as in Postgres.
    """

    reply: ClassVar = Cancelled
    process_id: int
    secret: Annotated[str, Field(max_length=512, repr=False)]
    """In hexadecimal: four bytes for clients of protocol 3.0, more for those of 3.2."""


class SessionInfo(Message):
    """One session, for a person."""

    session: int
    user: str
    dbname: str
    """The database within the Postgres cluster."""
    application: str
    client: str
    """Address and port."""
    state: SessionStanding
    since_s: float
    """Seconds for which it has been in that state."""
    reason: str = ""
    """What it is pinned by, runs or waits for."""
    process_id: int = 0
    """As its client was told it."""
    is_captured: bool = False
    """Since its client's last word: where nothing pins it, it outlives the loss of its compute."""
    backend_process_id: int = 0
    """Of the backend that it is attached to; 0: none."""
    proxy: str = ""
    """Which proxy holds it; told by the autoscaler, for a proxy knows only its own."""
    database: str = ""
    """The endpoint name of its database; empty: the proxy is of a release that does not say."""


class SessionList(Message):
    sessions: tuple[SessionInfo, ...] = ()
    total: int = 0
    """How many there are; ``sessions`` is cut at the limit that was asked for."""
    missing: tuple[str, ...] = ()
    """Proxies that did not answer in time: their sessions are not among these."""


class ListSessions(Request[SessionList]):
    """Every session of the database in this proxy, those that keep it awake first. NotFound."""

    reply: ClassVar = SessionList
    name: str
    """Empty: of every database."""
    number: int = 0
    """Only the session of that number; 0: all."""
    limit: Annotated[int, Field(ge=1, le=100_000)] = 1000


class EndSession(Request[Done]):
    """Have a proxy end one session, whatever it is doing: its client hears 57P01, and nothing of
    its transaction stays. NotFound where there is none of that number at that database.

    Asked by a person of the autoscaler, and by it of that proxy. Numbers are never used twice in
    the life of a proxy's process.
    """

    reply: ClassVar = Done
    name: str
    """The database's endpoint name."""
    proxy: str
    number: int
