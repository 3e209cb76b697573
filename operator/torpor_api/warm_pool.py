"""The ``WarmPool`` resource: computes on a cluster that are started before anybody asks for one.

A database names its pool; a compute that it claims leaves the pool for good and is replaced. On one
machine `torpor up` keeps the one pool itself.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from torpor_api.brief import brief
from torpor_api.resource import API_VERSION, Condition, Metadata
from torpor_api.values import CONDITIONS_MAX, WARM_MAX, ApiModel, Line, PostgresVersion, Size

WARM_POOL_KIND: Final = "WarmPool"

LEARNED_CHARACTERS_MAX: Final = 2048
"""Two numbers of two bytes for each minute of an hour and each five minutes of a day."""

_QUANTITY = re.compile(r"[0-9]{1,12}(\.[0-9]{1,3})?(m|Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
QUANTITY_CHARACTERS_MAX = 18


def _quantity(value: str) -> str:
    if not _QUANTITY.fullmatch(value):
        raise ValueError(f"{brief(value)} is not a quantity: write one like 500m, 2 or 4Gi")
    return value


Quantity = Annotated[
    str,
    AfterValidator(_quantity),
    Field(json_schema_extra={"pattern": f"^{_QUANTITY.pattern}$"}),
    StringConstraints(max_length=QUANTITY_CHARACTERS_MAX),
]
LabelText = Annotated[str, StringConstraints(max_length=316)]
"""A label's key with its prefix, or its value."""

AnnotationText = Annotated[str, StringConstraints(max_length=4096)]

OWN_PREFIX = "torpor.dev/"
OWN_LABELS = tuple(
    f"app.kubernetes.io/{name}" for name in ("component", "instance", "managed-by", "name")
)
"""Keys by which Torpor finds its pods again, and tells them apart."""

OWN_KEYS_REFUSED = (
    f"keys under {OWN_PREFIX}, and {', '.join(OWN_LABELS)} are Torpor's own: write others"
)


def is_own_key(key: str) -> bool:
    """Whether a label or an annotation is not a pool's to give."""
    return key.startswith(OWN_PREFIX) or key in OWN_LABELS


def _others(given: dict[str, str]) -> dict[str, str]:
    if any(is_own_key(key) for key in given):
        raise ValueError(OWN_KEYS_REFUSED)
    return given


ObjectName = Annotated[
    str,
    StringConstraints(
        max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
    ),
]
"""Of what is neither a Service nor a label: a DNS name."""


class PoolSize(ApiModel):
    """How many computes wait."""

    min: Annotated[int, Field(ge=0, le=WARM_MAX)] = 1
    """As many wait also where nobody has come for a long time."""
    max: Annotated[int, Field(ge=0, le=WARM_MAX)] = 10
    """More never wait, however many wakes are expected."""
    misses_per_thousand: Annotated[int, Field(ge=1, le=1000)] = 1
    """Between the two, as many wait as it takes for no more than so many of a thousand wakes to
    find none. With 1000 it is ``min`` at all times, and one more for each wake that finds none."""

    @model_validator(mode="after")
    def _bounds_are_possible(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}: min must be at most max")
        return self


class Amounts(ApiModel):
    """Of a pod's container."""

    cpu: Quantity
    """In CPUs: ``500m``, ``"2"``."""
    memory: Quantity
    """In bytes: ``256Mi``, ``4Gi``."""


class PoolResources(ApiModel):
    """What a waiting compute reserves, and what it may use. Resized in place once it is claimed.

    The two differ, because a pod's quality of service is chosen at its birth and only one that is
    Burstable can be resized to a database's size.
    """

    requests: Amounts = Amounts(cpu="50m", memory="192Mi")
    """Reserved on the node while it waits. Of one that was claimed as large a part of its limits is
    reserved as these are of the limits below, and never less than these."""
    limits: Amounts = Amounts(cpu="1", memory="4Gi")
    """What it starts a Postgres with; a limit below one CPU makes every wake slower."""

    @model_validator(mode="after")
    def _is_burstable(self) -> Self:
        if self.requests == self.limits:
            raise ValueError("requests and limits are the same: requests must be smaller")
        return self


class PoolStorage(ApiModel):
    """The volume that every compute of the pool mounts before it knows whom it will serve."""

    mode: Literal["shared"] = "shared"
    """One ReadWriteMany volume with a directory for each database."""
    storage_class: Annotated[str, StringConstraints(max_length=253)] | None = None
    """A StorageClass that offers ReadWriteMany; the cluster's default where this is left out."""
    size: Size = "100Gi"
    """Of the volume; all databases of the pool share it."""
    dedicated_storage_class: Annotated[str, StringConstraints(max_length=253)] | None = None
    """A StorageClass for the volumes of databases that have their own; the cluster's default where
    this is left out."""


class TolerationOperator(StrEnum):
    """How a toleration's value is compared."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class Toleration(ApiModel):
    """A taint of nodes that does not keep this pool's computes away; as in a pod."""

    key: LabelText | None = None
    """The taint's key; left out: any, with operator Exists."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """``Exists`` matches every value."""
    value: LabelText | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; left out: all of them."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """With NoExecute: how long a compute stays all the same."""


class PullSecret(ApiModel):
    """A Secret with which a registry is asked for the image; as in a pod."""

    name: ObjectName
    """In Torpor's own namespace."""


class UpdateStrategy(StrEnum):
    """When a database that is awake gets a compute of another image or pool spec."""

    WHEN_IDLE = "WhenIdle"
    """As soon as nobody is at work, one database after the other."""
    ON_SLEEP = "OnSleep"
    """At its next sleep, or when a person moves it."""


class WarmPoolSpec(ApiModel):
    """What the pool's computes are like."""

    postgres_version: PostgresVersion = "17"
    """The major version in the image."""
    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    """Of the computes; left out: the one that was installed with the operator."""
    size: PoolSize = PoolSize()
    resources: PoolResources = PoolResources()
    update_strategy: UpdateStrategy = UpdateStrategy.WHEN_IDLE
    """When databases that are awake leave computes of an older image or pool spec: ``WhenIdle``, as
    soon as nobody is at work, one after the other; or ``OnSleep``, at their next sleep."""
    storage: PoolStorage = PoolStorage()
    node_selector: Annotated[dict[LabelText, LabelText], Field(max_length=32)] = {}
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that don't matter."""
    priority_class_name: ObjectName | None = None
    """Which pods give way when a node is full. A compute keeps it when it is claimed."""
    runtime_class_name: ObjectName | None = None
    """How the node runs the containers, as with gVisor or Kata: a wall around each database."""
    image_pull_secrets: Annotated[tuple[PullSecret, ...], Field(max_length=8)] = ()
    """For an image of the pool's own, in place of those that the installation has."""
    pod_labels: Annotated[
        dict[LabelText, LabelText], Field(max_length=32), AfterValidator(_others)
    ] = {}
    """More labels of the pods, beside Torpor's own."""
    pod_annotations: Annotated[
        dict[LabelText, AnnotationText], Field(max_length=32), AfterValidator(_others)
    ] = {}
    """More annotations of the pods, beside Torpor's own."""


class WarmPoolStatus(ApiModel):
    """What is so. Written by Torpor only."""

    wanted: int = 0
    """How many computes the autoscaler wants to wait."""
    decision: Line = ""
    """Why so many, by its words: the figure that made it the last size."""
    learned: Annotated[str, Field(max_length=LEARNED_CHARACTERS_MAX)] = ""
    """What it knows of hours and days, for the next one; packed, and written every ten minutes at
    most."""
    warm: int = 0
    """How many are ready and serve nobody."""
    claimed: int = 0
    """How many serve a database."""
    observed_generation: int = 0
    """The generation of ``spec`` that new computes are made from."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=CONDITIONS_MAX)] = ()
    """Ready, and what it rests on; each type once."""


class WarmPool(BaseModel):
    """One pool, in the namespace that Torpor is installed in."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True
    )

    api_version: Annotated[Literal["torpor.dev/v1alpha1"], Field(alias="apiVersion")] = API_VERSION
    kind: Literal["WarmPool"] = WARM_POOL_KIND
    metadata: Metadata
    spec: WarmPoolSpec = WarmPoolSpec()
    status: WarmPoolStatus = WarmPoolStatus()

    @property
    def name(self) -> str:
        """What databases write into ``spec.pool``."""
        return self.metadata.name
