"""The ``ServerlessDatabase`` resource: what a user declares and what Torpor reports.

The same models validate a YAML file on one machine and generate the custom resource on Kubernetes.
Names are camelCase outside and snake_case inside. A value that can't be is refused with a message
that names the field, the value and what is allowed.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from torpor_api.chain import Chain, Milliseconds, Step
from torpor_api.decided import LOOPS_MAX, CurrentDecision
from torpor_api.identity import DEFAULT_NAMESPACE, DatabaseName, endpoint_name
from torpor_api.left_out import with_what_follows
from torpor_api.phases import Phase
from torpor_api.rhythm import SCHEDULES_MAX, CronJobs, LearnedGaps, Schedule
from torpor_api.values import (
    CONDITION_TYPE_CHARACTERS_MAX,
    CONDITIONS_MAX,
    FENCED_MAX,
    ApiModel,
    Cidr,
    ComputeUnits,
    DnsLabel,
    Duration,
    IdleTimeout,
    InnerDatabaseName,
    Line,
    PostgresVersion,
    RoleName,
    Size,
    Timestamp,
)

API_VERSION: Final = "torpor.dev/v1alpha1"
KIND: Final = "ServerlessDatabase"
DEFAULT_POOL: Final = "default"

TARGET_LATENCY_SECONDS_MAX = 60
"""Queries that take a minute on average are not made quick by a larger compute."""


class SecretKey(ApiModel):
    """One key of a Secret in the database's namespace."""

    name: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)
    ]
    """The Secret's name."""
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] = (
        "password"
    )
    """Which of its keys."""


class Role(ApiModel):
    """A role that may log in."""

    name: RoleName
    """As Postgres knows it."""
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """On one machine: given here, or generated and shown by ``torpor uri``. Never stored in the
    resource itself. A cluster refuses it here; see passwordSecret."""
    password_secret: SecretKey | None = None
    """On a cluster: where the password is. Without it one is generated, into a Secret NAME-ROLE."""
    superuser: bool = False
    """Only where this says so; test suites need it and nobody else."""
    createdb: bool = False
    """May make databases, in SQL."""
    createrole: bool = False
    """May make roles, in SQL."""
    connection_limit: Annotated[int, Field(ge=-1, le=10_000)] = -1
    """Concurrent sessions of this role; -1 is no limit, as in Postgres."""
    valid_until: Timestamp | None = None
    """The password is refused from then on."""

    @model_validator(mode="after")
    def _password_stands_once(self) -> Self:
        if self.password is not None and self.password_secret is not None:
            raise ValueError(f"role {self.name!r}: write password or passwordSecret, not both")
        return self


class Database(ApiModel):
    """A database inside the Postgres cluster."""

    name: InnerDatabaseName
    """As Postgres knows it."""
    owner: RoleName
    """One of the roles."""


class Storage(ApiModel):
    """Where the data directory lives."""

    size: Size = "10Gi"
    """Requested on Kubernetes; on one machine the folder's file system is the limit."""
    mode: Literal["shared", "dedicated"] = "shared"
    """``shared``: a directory on the pool's volume, woken fastest; ``dedicated``: an own volume.

    It matters on a cluster. One machine has one file system: either is accepted there and means the
    same, a directory for each database, which as root also has a user id of its own.
    """


class Access(ApiModel):
    """Who may connect."""

    allow: Annotated[tuple[Cidr, ...], Field(max_length=64)] = ("0.0.0.0/0", "::/0")
    """Client addresses that are let in; everybody by default."""


class Keepalives(StrEnum):
    """What answers a keep-alive (``SELECT 1``, the empty query) while the database sleeps."""

    ANSWER = "answer"
    WAKE = "wake"


class DeletionPolicy(StrEnum):
    """What becomes of the data when the resource is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


_MAX_CU = Field(alias="maxCU", gt=0, json_schema_extra={"exclusiveMinimum": 0})


class DatabaseSpec(ApiModel):
    """What the user wants."""

    postgres_version: PostgresVersion | None = None
    """The major version; the installed one where this is left out."""
    min_cu: Annotated[ComputeUnits, Field(alias="minCU")] = Decimal(0)
    """0 lets the database sleep; more keeps a compute of that size at all times."""
    max_cu: Annotated[ComputeUnits, _MAX_CU] = Decimal(1)
    """The largest size. A compute starts with 1 unit, or what these two allow, and then has what
    its load needs, unless `torpor resize` chose another. A unit is 1 vCPU and 4 GiB of memory."""
    target_latency: Annotated[Duration, Field(gt=0, le=TARGET_LATENCY_SECONDS_MAX)] | None = None
    """The mean time that queries shall take: above it a compute with much to do grows. Left out,
    none is asked for."""
    idle_timeout: IdleTimeout = 300.0
    """How long every session must have been idle before the database is put to sleep. ``auto``: as
    long as pays, by when it was used before."""
    keep_awake: bool = False
    """True: never put to sleep."""
    schedules: Annotated[tuple[Schedule, ...], Field(max_length=SCHEDULES_MAX)] = Field(
        default_factory=tuple
    )
    """When it is awake by the clock, and how large at least; it is woken ahead of the time."""
    keepalives: Keepalives = Keepalives.ANSWER
    """What answers a pool's ``SELECT 1`` while the database sleeps: the proxy, or a wake."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=64)] = Field(
        default_factory=lambda: (Role(name="app"),)
    )
    """Who may log in; all others are made by these, in SQL. Left out: the owners of the databases,
    or `app`."""
    databases: Annotated[tuple[Database, ...], Field(min_length=1, max_length=64)] = Field(
        default_factory=lambda: (Database(name="app", owner="app"),)
    )
    """Databases inside this Postgres; the first is the one that connection strings name. Left out:
    one that is named after the first role, which owns it."""
    storage: Storage = Storage()
    access: Access = Access()
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """``Retain``: the data outlives the resource, and the same name brings it back; ``Delete``: it
    is erased with the resource."""
    pool: DnsLabel = DEFAULT_POOL
    """The WarmPool whose computes serve this database. One machine has one pool."""

    @model_validator(mode="before")
    @classmethod
    def _what_is_left_out_follows(cls, written: object) -> object:
        return with_what_follows(written) if isinstance(written, dict) else written

    @model_validator(mode="after")
    def _combinations_are_possible(self) -> Self:
        if self.min_cu > self.max_cu:
            raise ValueError(
                f"minCU {self.min_cu} is more than maxCU {self.max_cu}: minCU must be at most maxCU"
            )
        for number, schedule in enumerate(self.schedules):
            if schedule.min_cu > self.max_cu:
                raise ValueError(
                    f"schedules.{number}: minCU {schedule.min_cu} is more than maxCU {self.max_cu}"
                )
        _refuse_duplicates("roles", [role.name for role in self.roles])
        _refuse_duplicates("databases", [database.name for database in self.databases])
        known = {role.name for role in self.roles}
        for database in self.databases:
            if database.owner not in known:
                raise ValueError(
                    f"databases: owner {database.owner!r} of {database.name!r} is not among "
                    f"the roles ({', '.join(sorted(known))})"
                )
        return self


def _refuse_duplicates(field: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{field}: {', '.join(twice)} stands twice: each name once")


class Metadata(BaseModel):
    """The part of Kubernetes' ObjectMeta that Torpor uses; the rest is kept as it came."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_camel, validate_by_name=True
    )

    name: DnsLabel
    namespace: DnsLabel = DEFAULT_NAMESPACE
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    generation: int = 1
    """Grows by one whenever ``spec`` changes."""
    resource_version: str = ""
    """Changes at every write; the compare-and-swap of the claim rests on it."""
    creation_timestamp: str = ""
    deletion_timestamp: Annotated[str, Field(exclude=True)] = ""
    """Somebody has deleted it, and it is held until it sleeps."""


class Condition(ApiModel):
    """One of ``metav1.Condition``: what is true of the resource, since when, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["type", "status", "reason", "message", "lastTransitionTime"]
        }
    )

    type: Annotated[str, Field(json_schema_extra={"maxLength": CONDITION_TYPE_CHARACTERS_MAX})]
    """What it is about, like Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """Why, in a word, for programs."""
    message: Line = ""
    """Why, for people."""
    observed_generation: int = 0
    """The generation of the resource that this was said of."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})] = ""
    """When ``status`` last changed."""


class Endpoint(ApiModel):
    """Where clients connect."""

    host: str
    """Its name, also in the certificate."""
    port: int
    """Its TCP port."""


class LastResume(Chain):
    """The critical chain of the latest resume."""

    model_config = ApiModel.model_config

    at: str = ""
    """When it was asked for."""
    cause: Line = ""
    """Which session of whom asked for it."""


class LastSwitchover(ApiModel):
    """The latest move to another compute, and where the time went that clients waited."""

    at: str = ""
    """When it began."""
    epoch: int
    """Of the compute that it led to."""
    pause_ms: Milliseconds
    """From the moment when the gate began to close to the one when it was open again."""
    steps: Annotated[tuple[Step, ...], Field(max_length=32)] = ()
    """Where the time went, in order."""


class StorageStatus(ApiModel):
    """Where the data of a database is on a cluster. Written by the operator."""

    user_id: Annotated[int, Field(ge=1)]
    """Owns the directory and is whom its Postgres runs as; no other database of the pool has it."""
    directory: str
    """Holds ``ownership/`` and ``data/``, as a compute sees it."""
    is_made: bool = False
    """Once true, a directory that is not there is lost data and never made anew."""
    generation_offset: Annotated[int, Field(ge=0)] = 0
    """Added to ``metadata.generation``, for computes: they apply only what is newer than what the
    volume has, also over data that was kept and when only a password has changed."""
    claim: str = ""
    """The PersistentVolumeClaim that it is on, in the namespace of the computes."""
    namespace: str = ""
    """The namespace of the computes, and of the Torpor that serves it: every other one leaves it
    alone."""


class Binding(ApiModel):
    """The Secret that applications bind to (servicebinding.io)."""

    name: str
    """In the database's own namespace; the credentials of its first role."""


class DatabaseStatus(ApiModel):
    """What is so. Written by Torpor only."""

    phase: Annotated[Phase, WithJsonSchema({"type": "string", "maxLength": 32})] = Phase.SUSPENDED
    """What the database is doing, for people; programs look at the condition Ready."""
    epoch: int = 0
    """The fencing token: grows by one at every claim."""
    compute: str | None = None
    """The id of the compute that holds the database, or that held it when it was lost."""
    fenced: Annotated[tuple[str, ...], Field(max_length=FENCED_MAX)] = ()
    """Computes that were lost and are confirmed gone, since the last start that succeeded: the
    volume may still name one of them as its holder."""
    endpoint: Endpoint | None = None
    """Where clients connect."""
    observed_generation: int = 0
    """The generation of ``spec`` that roles and databases were last made to match; 0: none, below
    0: an older one, with other passwords."""
    observed_offset: Annotated[int | None, Field(ge=0)] = None
    """The ``storage.generationOffset`` by which the generations in this status are told; it grows
    when passwords change. Not used on one machine."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=CONDITIONS_MAX)] = ()
    """Ready, and what it rests on; each type once."""
    last_resume: LastResume | None = None
    """The critical chain of the latest resume."""
    last_switchover: LastSwitchover | None = None
    """The latest move to another compute."""
    why_awake: Annotated[tuple[Line, ...], Field(max_length=64)] = ()
    """Each reason why the database is not asleep, for a person; empty while it is."""
    decisions: Annotated[tuple[CurrentDecision, ...], Field(max_length=LOOPS_MAX)] = ()
    """What each policy has decided last, beyond `whyAwake`; empty while the database sleeps."""
    current_cu: Annotated[ComputeUnits | None, Field(alias="currentCU")] = None
    """The size of the compute that serves it now; nothing while it sleeps."""
    chosen_cu: Annotated[ComputeUnits | None, Field(alias="chosenCU")] = None
    """What `torpor resize` asked for, until it next sleeps; without it the load decides."""
    learned_gaps: LearnedGaps | None = None
    """What `idleTimeout: auto` rests on, as of the last sleep or wake."""
    cron_jobs: CronJobs | None = None
    """Jobs of pg_cron, which wake the database in time."""
    awaits_compute: bool = False
    """Somebody wants it awake and its compute has to be made: it has a volume of its own, which no
    warm compute has mounted."""
    sessions: Annotated[int, Field(ge=0)] | None = None
    """How many clients were connected, parked ones too, when this status was written."""
    storage: StorageStatus | None = None
    """Where the data is. Not used on one machine."""
    binding: Binding | None = None
    """The Secret to bind to. Not used on one machine."""


class ServerlessDatabase(BaseModel):
    """One database: declared by ``metadata`` and ``spec``, reported in ``status``."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True
    )

    api_version: Annotated[Literal["torpor.dev/v1alpha1"], Field(alias="apiVersion")] = API_VERSION
    kind: Literal["ServerlessDatabase"] = KIND
    metadata: Metadata
    spec: DatabaseSpec = DatabaseSpec()
    status: DatabaseStatus = DatabaseStatus()

    @property
    def name(self) -> DatabaseName:
        """The endpoint name, by which everybody but the cluster itself knows the database."""
        return endpoint_name(self.metadata.name, self.metadata.namespace)

    def as_json(self) -> dict[str, object]:
        """The resource as Kubernetes would hold it: camelCase, units spelled out, no passwords."""
        return self.model_dump(
            mode="json", by_alias=True, exclude={"spec": {"roles": {"__all__": {"password"}}}}
        )
