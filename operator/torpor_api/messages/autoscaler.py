"""Asked of the autoscaler by proxies: endpoints and wakes; and what they tell each other."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from torpor_api.chain import Chain, Step
from torpor_api.facts import LoginFacts
from torpor_api.messages.agent import ComputeAddress
from torpor_api.messages.base import Done, Event, Message, Request
from torpor_api.messages.latency import Latencies
from torpor_api.phases import Phase
from torpor_api.resource import Keepalives


class EndpointInfo(Message):
    """What a proxy knows of a database."""

    name: str
    uid: str = ""
    """Of its resource: with another one it is another database under that name."""
    phase: Phase
    epoch: int = 0
    address: ComputeAddress | None = None
    """Set while the database is awake and its gate open."""
    facts: LoginFacts = LoginFacts()
    """As of the last export; an awake database is asked through its agent."""
    facts_are_exact: bool = True
    """False: a compute was lost after the export, and what it changed is not in ``facts`` (a new
    password, a dropped role). Nobody's login may be judged by them, until a start or an export."""
    allow: tuple[str, ...] = ()
    keepalives: Keepalives = Keepalives.ANSWER
    max_connections: int = 0
    """This proxy's share of those that the compute accepts from ordinary roles."""
    proxies: int = 0
    """How many share them, as long as the database is awake."""
    listening: tuple[str, ...] = ()
    """Proxies that heard for their parked sessions before anybody could attach to this compute, the
    last time it was opened. Those of any other proxy may have missed a notification."""
    reason: str = ""
    """Why the phase is Failed."""


class Endpoints(Message):
    """A page of all endpoints, in the order of their names; each as it is when the page is told."""

    endpoints: tuple[EndpointInfo, ...] = ()
    unknown: tuple[str, ...] = ()
    """Databases among them that there are, too, and of which no more can be said yet."""
    has_more: bool = False
    """Whether there are any behind the last of all these: MoreEndpoints asks for them."""
    unheard: tuple[str, ...] = ()
    """Namespaces of which nobody can say what there is: what was known there is not gone."""


class RegisterProxy(Request[Endpoints]):
    """First word of a proxy: answered with the first page of all endpoints.

    From then on EndpointChanged and -Removed are told, of those of later pages, too.
    """

    reply: ClassVar = Endpoints
    proxy: str


class MoreEndpoints(Request[Endpoints]):
    """The next page, for a proxy that has taken in the last one. Has no effect."""

    reply: ClassVar = Endpoints
    after: str
    """The last name of that page."""


class DatabaseUse(Message):
    """When sessions of a proxy last used a database."""

    name: str
    ago_s: float
    """Seconds since one of them last did something."""


class ForgetProxy(Request[Done]):
    """Last word of a proxy that ends in good order: no session is left there, and none will come.

    From then on it is told and asked nothing, and keeps nothing awake. One that hangs up without
    this word counts for a while. InvalidRequest where it is not registered over this connection.
    """

    reply: ClassVar = Done
    proxy: str
    used: tuple[DatabaseUse, ...] = ()
    """Of every database that its sessions have used: nobody can ask it any more."""


class EndpointChanged(Event):
    endpoint: EndpointInfo


class EndpointRemoved(Event):
    name: str


class Awake(Message):
    endpoint: EndpointInfo
    steps: tuple[Step, ...] = ()
    """What autoscaler, agent and Postgres spent on its latest wake, in order, as long as its first
    row is not told."""
    was_awake: bool = False
    """It was when it was asked for: its latest wake was an earlier one."""


class Wake(Request[Awake]):
    """Resume the database, or do nothing if it is awake; answered when it is.

    Fails with the reason (Unavailable, StartFailed, NotFenced, DataDamaged) at the deadline.
    """

    reply: ClassVar = Awake
    name: str
    cause: str
    """For a person: which session of whom asked."""
    lost_epoch: int = 0
    """The epoch at which the proxy could not reach the compute; 0: it did not try."""


class SessionStanding(StrEnum):
    """Where a session is, in a word."""

    ATTACHED = "attached"
    PARKED = "parked"
    PINNED = "pinned"
    WAITING = "waiting"


class SessionReport(Message):
    """A session that keeps its database awake, and why."""

    session: int
    user: str
    application: str
    client: str
    reason: str
    since_s: float
    """Seconds for which the reason has held."""


class EndpointSample(Message):
    """One proxy's sessions of one database."""

    name: str
    epoch: int
    sessions: int = 0
    attached: int = 0
    parked: int = 0
    waiting: int = 0
    busy: int = 0
    """In a transaction, or with a query that is not answered yet."""
    in_flight: int = 0
    """Queries that the compute has got and not answered yet."""
    queries_total: int = 0
    """That have ended."""
    latencies: Latencies | None = None
    """How long these took. None: the proxy is of a release that does not say."""
    idle_s: float = 0.0
    """Since the last byte of any client's query or of its answer."""
    listens: bool = False
    """Whether any of the sessions does, parked or not."""
    pinned: Annotated[tuple[SessionReport, ...], Field(max_length=20)] = ()
    """Of those that keep the database awake, the first."""
    pinned_sessions: int = 0
    """Of the attached ones: those that can't be parked."""


class ProxySample(Event):
    """Proxy to autoscaler, once a second and soon after a session falls idle."""

    proxy: str
    samples: tuple[EndpointSample, ...]


class ResumeSeen(Event):
    """Proxy to autoscaler: the rest of the critical chain, up to the first row."""

    name: str
    epoch: int
    chain: Chain
    cause: str
