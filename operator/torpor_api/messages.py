"""The control channel's vocabulary: who asks whom for what.

Requests are answered with their ``reply`` type or with a :class:`~torpor_api.failures.Failure`.
Events are told and not answered. Every request that has an effect on data carries the epoch under
which it was decided; receivers refuse a lower one than they have seen.

===========  =======================================================================
listens      is asked
===========  =======================================================================
cluster      (``torpor up``; on Kubernetes: the API server) resources, agents
autoscaler   wakes, suspends, reasons; tells proxies about endpoints
proxy        (over the connection it opened to the autoscaler) gates
agent        claim, start, stop, facts
===========  =======================================================================
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from torpor_api.chain import Chain, Step
from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseSpec, DatabaseStatus, Keepalives, ServerlessDatabase


class Message(BaseModel):
    """Base of everything on the control channel."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    # Unknown fields are passed over: components of two releases talk during an upgrade.


class Done(Message):
    """The answer where there is nothing to say."""


ReplyT = TypeVar("ReplyT", bound=Message)


class Request(Message, Generic[ReplyT]):
    """A question; ``reply`` is the type of its answer."""

    reply: ClassVar[type[Message]]
    by_name: ClassVar[dict[str, type[Request[Any]]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "[" not in cls.__name__:
            Request.by_name[cls.__name__] = cls


class Event(Message):
    """Something told, not asked."""

    by_name: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Event.by_name[cls.__name__] = cls


# --- cluster: the resource store -------------------------------------------------------------


class Resources(Message):
    resources: tuple[ServerlessDatabase, ...] = ()


class Stored(Message):
    resource: ServerlessDatabase


class ApplyResource(Request[Stored]):
    """Create or change a resource; ``status`` in it is ignored."""

    reply: ClassVar = Stored
    resource: dict[str, Any]
    """As in the YAML: validated by the receiver, whose faults are those of ``parse_resource``."""


class DeleteResource(Request[Done]):
    """Delete the resource once its database sleeps; the data stays unless ``data`` is true."""

    reply: ClassVar = Done
    name: str
    data: bool = False


class ListResources(Request[Resources]):
    reply: ClassVar = Resources


class GetResource(Request[Stored]):
    reply: ClassVar = Stored
    name: str


class WriteStatus(Request[Stored]):
    """Compare-and-swap of ``status``: Conflict where ``resource_version`` is not the stored one."""

    reply: ClassVar = Stored
    name: str
    resource_version: str
    status: DatabaseStatus


class WatchResources(Request[Resources]):
    """Answers with all, then tells ResourceChanged and ResourceDeleted on this connection."""

    reply: ClassVar = Resources


class ResourceChanged(Event):
    resource: ServerlessDatabase


class ResourceDeleted(Event):
    name: str


class StoreLoginFacts(Request[Done]):
    """Keep the facts that an agent exported (on Kubernetes: a Secret)."""

    reply: ClassVar = Done
    name: str
    epoch: int
    facts: LoginFacts


class LoginFactsReply(Message):
    facts: LoginFacts


class FetchLoginFacts(Request[LoginFactsReply]):
    """The facts last stored; before the first export, those that follow from the resource."""

    reply: ClassVar = LoginFactsReply
    name: str


# --- cluster: processes ----------------------------------------------------------------------


class AgentInfo(Message):
    """One agent that the cluster started."""

    compute: str
    address: str
    """Where its control channel listens: a path locally, host:port on Kubernetes."""
    postgres_version: str
    is_gone: bool = False
    """True only once it is confirmed that no process of it or of its Postgres is left."""


class Agents(Message):
    agents: tuple[AgentInfo, ...] = ()


class WatchAgents(Request[Agents]):
    """Answers with all, then tells AgentChanged on this connection."""

    reply: ClassVar = Agents


class AgentChanged(Event):
    agent: AgentInfo


class SetWarmPool(Request[Done]):
    """How many agents shall serve nobody yet; claimed ones don't count."""

    reply: ClassVar = Done
    size: Annotated[int, Field(ge=0, le=1000)]
    claimed: tuple[str, ...] = ()
    """Computes that are bound to a database: all others count as warm."""


class ConfirmGone(Request[Done]):
    """The fencer: answers once nothing of the compute can write any more; else NotFenced.

    Also for computes of an earlier ``torpor up``, which the cluster knows by their data only.
    """

    reply: ClassVar = Done
    compute: str
    database: str


class StoragePlace(Message):
    """Where a database's volume is, and under which user it runs."""

    directory: str
    """Holds ``ownership/`` and ``data/``."""
    user_id: int | None = None
    """The user that owns it and that Postgres runs as; None: the agent's own."""


class LocateStorage(Request[StoragePlace]):
    """DataDamaged where the directory is missing though the database was provisioned."""

    reply: ClassVar = StoragePlace
    name: str


class RolePasswordVerifiers(Message):
    verifiers: dict[str, str] = {}


class FetchVerifiers(Request[RolePasswordVerifiers]):
    """The verifiers of the passwords in ``spec.roles`` (given or generated), by role."""

    reply: ClassVar = RolePasswordVerifiers
    name: str


# --- agent -----------------------------------------------------------------------------------


class ComputeAddress(Message):
    """Where the Postgres of a compute answers, and its agent."""

    socket_directory: str | None = None
    """Locally: the folder of its Unix socket."""
    host: str | None = None
    port: int = 5432
    agent: str = ""
    """The agent's control channel."""
    user_id: int | None = None
    """As whom its Postgres runs: whoever else listens at its socket is not it. None: not known."""


class Started(Message):
    """Postgres is ready."""

    address: ComputeAddress
    steps: tuple[Step, ...]
    facts: LoginFacts | None = None
    """None: those stored at the last suspend are still exact (a clean start, an unchanged spec),
    and reading them again would make the first client wait."""
    max_connections: int
    was_recovery: bool = False
    """Postgres had not been stopped cleanly before."""


class StartCompute(Request[Started]):
    """Claim this agent for a database, for good, take the volume and start Postgres.

    Asked again with the same database and epoch it answers the same; with others: Conflict.
    NotFenced where the previous record is held and its epoch is not in ``fenced_epoch``.
    """

    reply: ClassVar = Started
    database: str
    epoch: int
    storage: StoragePlace
    fenced_epoch: int | None = None
    """The newest epoch whose holder the fencer has confirmed dead."""
    spec: DatabaseSpec
    generation: int
    verifiers: dict[str, str] = {}
    """For the roles of the spec: applied when ``generation`` is newer than the volume's."""


class Stopped(Message):
    """Postgres is gone, its data flushed, the ownership record released."""

    steps: tuple[Step, ...]
    facts: LoginFacts


class StopCompute(Request[Stopped]):
    """Stop cleanly. ``Busy`` where a client backend is still there after ``grace_s``.

    Sessions are never ended, unless ``force`` says so. Newcomers are let in until nobody is there;
    from that moment on they hear 57P03.
    """

    reply: ClassVar = Stopped
    epoch: int
    grace_s: float = 5.0
    force: bool = False


class Checkpoint(Request[Done]):
    """Write dirty pages now, so that the stop that follows is short."""

    reply: ClassVar = Done
    epoch: int


class ApplySpec(Request[LoginFactsReply]):
    """Make roles and databases match the spec, while awake."""

    reply: ClassVar = LoginFactsReply
    epoch: int
    spec: DatabaseSpec
    generation: int
    verifiers: dict[str, str] = {}


class RoleFactsReply(Message):
    role: RoleFacts | None


class AskRoleFacts(Request[RoleFactsReply]):
    """The facts of one role as they are now; None for a role that does not exist.

    A role that may log in and that nobody has admitted yet (a tenant has just made it) is admitted
    by being asked for; a superuser only where the spec declares it.
    """

    reply: ClassVar = RoleFactsReply
    role: str


class AgentState(Message):
    """What an agent is: warm (no database), starting, running, stopping, stopped.

    Also refused (claimed, but the volume is not its own: the same claim may be asked again) and
    failed (its Postgres is gone and does not come back under it).
    """

    compute: str
    state: str
    database: str | None = None
    epoch: int = 0
    address: ComputeAddress | None = None
    max_connections: int = 0


class AskAgentState(Request[AgentState]):
    reply: ClassVar = AgentState


class ActivityReply(Message):
    activity: Activity


class AskActivity(Request[ActivityReply]):
    reply: ClassVar = ActivityReply


class PostgresLost(Event):
    """Agent to autoscaler: Postgres died unasked; ``restarting``: under the same epoch."""

    database: str
    epoch: int
    restarting: bool
    reason: str


class PostgresBack(Event):
    """Agent to autoscaler: Postgres is ready again after PostgresLost."""

    database: str
    epoch: int
    started: Started


class LoginFactsChanged(Event):
    """Agent to autoscaler: a role was made, changed or dropped."""

    database: str
    epoch: int
    facts: LoginFacts


# --- autoscaler, asked by proxies ------------------------------------------------------------


class EndpointInfo(Message):
    """What a proxy knows of a database."""

    name: str
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
    reason: str = ""
    """Why the phase is Failed."""


class Endpoints(Message):
    endpoints: tuple[EndpointInfo, ...] = ()


class RegisterProxy(Request[Endpoints]):
    """First word of a proxy: answers with all endpoints, then tells EndpointChanged, -Removed."""

    reply: ClassVar = Endpoints
    proxy: str


class EndpointChanged(Event):
    endpoint: EndpointInfo


class EndpointRemoved(Event):
    name: str


class Awake(Message):
    endpoint: EndpointInfo
    steps: tuple[Step, ...] = ()
    """What autoscaler, agent and Postgres spent since the request, in order."""


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
    queries_total: int = 0
    idle_s: float = 0.0
    """Since the last byte of any client's query or of its answer."""
    pinned: Annotated[tuple[SessionReport, ...], Field(max_length=20)] = ()


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


# --- proxy, asked by the autoscaler over the proxy's own connection ----------------------------


class GateClosed(Message):
    parked: int


class CloseGate(Request[GateClosed]):
    """Park every session of the database and let no byte pass. Busy where one can't be.

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


class OpenGate(Request[Done]):
    """Let sessions attach again to the compute that they had."""

    reply: ClassVar = Done
    name: str
    epoch: int


class HaveHeard(Request[Done]):
    """Answered once all that was told before on this connection is known and counts."""

    reply: ClassVar = Done


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
    backend_process_id: int = 0
    """Of the backend that it is attached to; 0: none."""
    proxy: str = ""
    """Which proxy holds it; told by the autoscaler, for a proxy knows only its own."""


class SessionList(Message):
    sessions: tuple[SessionInfo, ...] = ()
    total: int = 0
    """How many there are; ``sessions`` is cut at the limit that was asked for."""
    missing: tuple[str, ...] = ()
    """Proxies that did not answer in time: their sessions are not among these."""


class ListSessions(Request[SessionList]):
    """Every session of the database in this proxy, those that keep it awake first."""

    reply: ClassVar = SessionList
    name: str
    limit: Annotated[int, Field(ge=1, le=100_000)] = 1000


# --- autoscaler, asked by people -------------------------------------------------------------


class Suspend(Request[Done]):
    """Put the database to sleep now, whatever its idle time; Busy where a session forbids it."""

    reply: ClassVar = Done
    name: str


class AwaitKnown(Request[Done]):
    """Answered once every proxy serves the database as its resource says at this generation.

    So who has just applied it can connect. Unavailable where one does not say so in time.
    """

    reply: ClassVar = Done
    name: str
    generation: int


class Sessions(Request[SessionList]):
    """Every session of the database, over all proxies (each asked by ``ListSessions``)."""

    reply: ClassVar = SessionList
    name: str
    limit: Annotated[int, Field(ge=1, le=100_000)] = 1000


class SwitchedOver(Message):
    """The database has another compute."""

    epoch: int
    compute: str = ""
    pause_ms: float
    """From the moment when the gate began to close to the one when it was open again: the longest
    that a client's query waited."""
    steps: tuple[Step, ...] = ()


class Switchover(Request[SwitchedOver]):
    """Move an awake database to a fresh compute, with its spec as it is now.

    Sessions are parked at their safe points and attached again. Busy, with nothing changed, where
    one of them is pinned or does not reach a safe point within ``patience_s``.
    """

    reply: ClassVar = SwitchedOver
    name: str
    patience_s: Annotated[float, Field(gt=0, le=300)] = 10.0


class WhyReply(Message):
    name: str
    phase: Phase
    reasons: tuple[str, ...]


class Why(Request[WhyReply]):
    """Why the database is awake, or why it can't wake; one line a reason.

    Of an awake one the last line is what its agent said of connections, queries and memory.
    """

    reply: ClassVar = WhyReply
    name: str
