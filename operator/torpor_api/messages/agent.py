"""Asked of an agent: its claim, its start and its stop, facts; and what it tells."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from torpor_api.chain import Step
from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.messages.base import Done, Event, Message, Request
from torpor_api.messages.cluster import LoginFactsReply, StoragePlace
from torpor_api.resource import DatabaseSpec


class ComputeAddress(Message):
    """Where the Postgres of a compute answers, and its agent."""

    socket_directory: str | None = None
    """Locally: the folder of its Unix socket."""
    host: str | None = None
    port: int = 5432
    agent: str = ""
    """The agent's control channel."""
    compute: str = ""
    """Its id. On a network an address may have passed to another compute since it was told."""
    user_id: int | None = None
    """As whom its Postgres runs: whoever else listens at its socket is not it. None: not known."""
    certificate_sha256: str = ""
    """Over TCP: of the certificate (DER) that its Postgres shows, in hexadecimal. Whoever shows
    another one is not it, and is told nothing."""
    direct_tls: bool = False
    """Its Postgres takes TLS from the first byte (17 and later): a round trip less."""


class Started(Message):
    """Postgres is ready."""

    address: ComputeAddress
    steps: tuple[Step, ...]
    facts: LoginFacts | None = None
    """None: those stored at the last suspend are still exact (a clean start, an unchanged spec),
    and reading them again would make the first client wait. In PostgresBack it says nothing:
    LoginFactsChanged follows."""
    max_connections: int
    was_recovery: bool = False
    """Postgres had not been stopped cleanly before."""


class StartCompute(Request[Started]):
    """Claim this agent for a database, for good, take the volume and start Postgres.

    Asked again with the same database and epoch it answers the same; with others: Conflict.
    NotFenced where the previous record is held by a compute that is not among the ``fenced``,
    StaleEpoch where the volume has seen this epoch or a later one; both name its ``holder``.
    """

    reply: ClassVar = Started
    database: str
    epoch: int
    storage: StoragePlace
    fenced: tuple[str, ...] = ()
    """Computes that the fencer has confirmed dead."""
    spec: DatabaseSpec
    generation: int
    verifiers: dict[str, str] = {}
    """For the roles of the spec: applied when ``generation`` is newer than the volume's."""
    cu: Decimal | None = None
    """The size that the compute is to have: Postgres's settings follow it. None: ``maxCU``."""


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


class SizeFollowed(Message):
    """The settings that Postgres can change while it runs are those of the size."""

    needs_restart: tuple[str, ...] = ()
    """Each setting that only another start brings to it, for a person."""


class FollowSize(Request[SizeFollowed]):
    """Make Postgres's settings those of a compute of this size, by a reload, and have what the
    kernel keeps of its files leave room for it."""

    reply: ClassVar = SizeFollowed
    epoch: int
    cu: Decimal
    max_cu: Decimal
    """Of the spec: what takes a restart to change is sized for this, so that it seldom has to."""


class EraseStorage(Request[Done]):
    """Have an agent that serves nobody remove the database's volume; it never serves anybody then.

    The volume is taken under ``epoch`` as for a start, so that nobody starts on what is vanishing:
    NotFenced, StaleEpoch as there. A volume that is not there is a success, so it may be asked
    again, of another agent as well. One after another: Conflict while the agent is at another one.
    """

    reply: ClassVar = Done
    database: str
    epoch: int
    """Higher than any under which the database was claimed."""
    storage: StoragePlace
    fenced: tuple[str, ...] = ()
    """As in StartCompute."""
    uid: str = ""
    """Of the resource, which tells it from a later one of that name and place: what was done for it
    under this epoch is not done again, however late somebody asks. Empty: it is."""
    compute: str = ""
    """Who is meant: its address may be another's by now. Empty: whoever answers."""


class RoleFactsReply(Message):
    role: RoleFacts | None


class AskRoleFacts(Request[RoleFactsReply]):
    """The facts of one role as they are now; None for a role that does not exist.

    A role that may log in and that nobody has admitted yet (a tenant has just made it) is admitted
    by being asked for; a superuser only where the spec declares it. Conflict where the agent is not
    that of ``compute``: whose facts they were nobody could tell.
    """

    reply: ClassVar = RoleFactsReply
    role: str
    compute: str = ""
    """"": whichever it is."""


class AgentState(Message):
    """What an agent is: warm (no database), starting, running, stopping, stopped.

    Also refused (claimed, but the volume is not its own: the same claim may be asked again),
    failed (its Postgres is gone and does not come back under it) and erased (it has removed a
    volume, and may be asked to remove another one).
    """

    compute: str
    state: str
    database: str | None = None
    epoch: int = 0
    address: ComputeAddress | None = None
    max_connections: int = 0
    leaves_in_s: float | None = None
    """As in AgentLeaving; None: it has not been told to end."""


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


class AgentLeaving(Event):
    """Agent to autoscaler: nobody gets it any more.

    It was told to end, and lets its Postgres go on for ``leaves_in_s``: time for its sessions to
    move elsewhere, after which it ends whoever is still there, and stops. Or it erases a volume.
    """

    compute: str
    leaves_in_s: float


class LoginFactsChanged(Event):
    """Agent to autoscaler: a role was made, changed or dropped."""

    database: str
    epoch: int
    facts: LoginFacts


class WatchSamples(Request[Done]):
    """From now on ComputeSample is told on this connection, once a second while Postgres runs.

    Nothing is sampled where nobody has asked for it.
    """

    reply: ClassVar = Done


class ComputeUse(Message):
    """What a compute has used and uses: of its container, or without one of Postgres's processes.

    Totals grow while the container, or that Postgres, goes on. None: can't be known here.
    """

    cpu_seconds: float
    """Of a processor."""
    memory_bytes: int
    """With what the kernel caches for a container; without one, resident memory, shared pages
    counted once."""
    anonymous_bytes: int
    """Private to its processes: not to be had back while they run."""
    shared_memory_bytes: int
    """Shared buffers, as far as they were ever touched; nor is this."""
    kernel_bytes: int | None = None
    """Page tables, stacks and the like, which the kernel holds for its processes; nor is this."""
    memory_limit_bytes: int | None = None
    oom_kills: int | None = None
    """Processes that the kernel has ended because of that limit."""
    file_bytes: int | None = None
    """Files that the kernel keeps in memory for it."""
    refaults: int | None = None
    """Pages of files read again that were given up for want of memory."""
    cpu_limit: float | None = None
    """Processors that it may use at a time."""
    throttled_seconds: float | None = None
    """Held back by that limit."""


class PostgresUse(Message):
    """What Postgres counts. Totals grow until somebody resets its statistics."""

    transactions: float
    """Committed and rolled back."""
    blocks_hit: int
    """Pages that were wanted and were in shared buffers."""
    blocks_read: int
    """Pages that were wanted and were not."""
    temporary_bytes: int
    """Written by sorts and hashes that did not fit into memory."""
    read_bytes: int
    """By all its processes, from the kernel's cache or from a disk."""
    written_bytes: int
    evictions: int
    """Of buffers whose room was needed."""
    wal_bytes: int
    backends: int
    """Of clients, the agent's own left out; so are the following."""
    active_backends: int
    waiting_backends: dict[str, int]
    """Active ones that wait, by the type of the event as Postgres names it: Lock, IO and so on."""
    statements: int | None = None
    """Executed; None without ``pg_stat_statements``."""
    statement_seconds: float | None = None


class ComputeSample(Event):
    """Agent to whoever watches: what a compute uses and what its Postgres does.

    That it is looked at is no use of the database. ``postgres`` is None where Postgres does not
    answer.
    """

    database: str
    epoch: int
    at_s: float
    """By the agent's own clock, which never jumps: for the distance between two samples."""
    use: ComputeUse
    postgres: PostgresUse | None = None
    shared_buffers_bytes: int | None = None
    working_set_bytes: dict[int, int] | None = None
    """An estimate, by window in seconds: windows that have been watched for as long. None: it can't
    be made here."""
