"""The ``ServerlessDatabase`` resource: what a user declares and what Torpor reports.

The same models validate a YAML file on one machine and generate the custom resource on Kubernetes.
Names are camelCase outside and snake_case inside. A value that can't be is refused with a message
that names the field, the value and what is allowed.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from torpor_api.brief import brief
from torpor_api.chain import Chain, Milliseconds, Step
from torpor_api.identity import DATABASE_NAME_LENGTH_MAX, is_database_name
from torpor_api.phases import Phase
from torpor_api.postgres_names import inner_database_name, role_name
from torpor_api.quantities import format_duration, parse_bytes, parse_cu, parse_duration_s

API_VERSION: Final = "torpor.dev/v1alpha1"
KIND: Final = "ServerlessDatabase"
DEFAULT_NAMESPACE = "default"

IDLE_TIMEOUT_SECONDS_MAX = 30 * 86400
"""A database that should stay awake for a month says ``keepAwake: true`` instead."""


class ApiModel(BaseModel):
    """Base of every part of the resource: strict about unknown fields, camelCase outside."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


def _duration(value: object) -> float:
    if isinstance(value, str):
        return parse_duration_s(value)
    raise ValueError(
        f"{brief(value)} is not a duration: write a number with a unit, like 30s or 5m"
    )


def _database_name(value: str) -> str:
    if not is_database_name(value):
        raise ValueError(
            f"{brief(value)} is not a DNS label: use lower-case letters, digits and hyphens, "
            f"at most {DATABASE_NAME_LENGTH_MAX} characters"
        )
    return value


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(
            f"{brief(value)} is not a CIDR ({error}): write one like 10.0.0.0/8"
        ) from None


def _size(value: str) -> str:
    parse_bytes(value)
    return value


def _timestamp(value: str) -> str:
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ValueError(
            f"{brief(value)} is not a time with a zone: write one like 2027-01-01T00:00:00Z"
        )
    return value


Duration = Annotated[
    float, BeforeValidator(_duration), PlainSerializer(format_duration, return_type=str)
]
"""Seconds inside, ``5m`` outside."""

ComputeUnits = Annotated[
    Decimal, BeforeValidator(parse_cu), PlainSerializer(float, return_type=float), Field(le=64)
]
RoleName = Annotated[str, AfterValidator(role_name)]
InnerDatabaseName = Annotated[str, AfterValidator(inner_database_name)]
Cidr = Annotated[str, AfterValidator(_cidr)]
Size = Annotated[str, AfterValidator(_size)]
Timestamp = Annotated[str, AfterValidator(_timestamp)]


class Role(ApiModel):
    """A role that may log in."""

    name: RoleName
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Given here, or generated and shown by ``torpor uri``. Never stored in the resource itself."""
    superuser: bool = False
    """Only where this says so; test suites need it and nobody else."""
    createdb: bool = False
    createrole: bool = False
    connection_limit: Annotated[int, Field(ge=-1, le=10_000)] = -1
    """Concurrent sessions of this role; -1 is no limit, as in Postgres."""
    valid_until: Timestamp | None = None
    """The password is refused from then on."""


class Database(ApiModel):
    """A database inside the Postgres cluster."""

    name: InnerDatabaseName
    owner: RoleName


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


class DatabaseSpec(ApiModel):
    """What the user wants."""

    postgres_version: Annotated[str, StringConstraints(pattern=r"^\d{2}$")] | None = None
    """The major version; the installed one where this is left out."""
    min_cu: Annotated[ComputeUnits, Field(alias="minCU")] = Decimal(0)
    """0 lets the database sleep; more keeps a compute of that size at all times."""
    max_cu: Annotated[ComputeUnits, Field(alias="maxCU", gt=0)] = Decimal(1)
    """The largest size. A unit is 1 vCPU and 4 GiB of memory."""
    idle_timeout: Annotated[Duration, Field(gt=0, le=IDLE_TIMEOUT_SECONDS_MAX)] = 300.0
    """How long every session must have been idle before the database is put to sleep."""
    keep_awake: bool = False
    """True: never put to sleep."""
    keepalives: Keepalives = Keepalives.ANSWER
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=64)] = (Role(name="app"),)
    databases: Annotated[tuple[Database, ...], Field(min_length=1, max_length=64)] = (
        Database(name="app", owner="app"),
    )
    storage: Storage = Storage()
    access: Access = Access()

    @model_validator(mode="after")
    def _combinations_are_possible(self) -> Self:
        if self.min_cu > self.max_cu:
            raise ValueError(
                f"minCU {self.min_cu} is more than maxCU {self.max_cu}: minCU must be at most maxCU"
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

    name: Annotated[str, AfterValidator(_database_name)]
    namespace: str = DEFAULT_NAMESPACE
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    generation: int = 1
    """Grows by one whenever ``spec`` changes."""
    resource_version: str = ""
    """Changes at every write; the compare-and-swap of the claim rests on it."""
    creation_timestamp: str = ""


class Condition(ApiModel):
    """One of ``metav1.Condition``: what is true of the resource, since when, and why."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""


class Endpoint(ApiModel):
    """Where clients connect."""

    host: str
    port: int


class LastResume(Chain):
    """The critical chain of the latest resume."""

    model_config = ApiModel.model_config

    at: str = ""
    cause: str = ""


class LastSwitchover(ApiModel):
    """The latest move to another compute, and where the time went that clients waited."""

    at: str = ""
    epoch: int
    """Of the compute that it led to."""
    pause_ms: Milliseconds
    """From the moment when the gate began to close to the one when it was open again."""
    steps: Annotated[tuple[Step, ...], Field(max_length=32)] = ()


class DatabaseStatus(ApiModel):
    """What is so. Written by Torpor only."""

    phase: Phase = Phase.SUSPENDED
    epoch: int = 0
    compute: str | None = None
    """The id of the compute that holds the database, or that held it when it was lost."""
    endpoint: Endpoint | None = None
    observed_generation: int = 0
    """The generation of ``spec`` that roles and databases were last made to match."""
    conditions: tuple[Condition, ...] = ()
    last_resume: LastResume | None = None
    last_switchover: LastSwitchover | None = None
    why_awake: tuple[str, ...] = ()
    """Each reason why the database is not asleep, for a person; empty while it is."""


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
    def name(self) -> str:
        """Short for ``metadata.name``."""
        return self.metadata.name

    def as_json(self) -> dict[str, object]:
        """The resource as Kubernetes would hold it: camelCase, units spelled out, no passwords."""
        return self.model_dump(
            mode="json", by_alias=True, exclude={"spec": {"roles": {"__all__": {"password"}}}}
        )
