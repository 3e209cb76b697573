"""What the operator wants done, as values; an adapter carries them out one by one, in order.

Each may be done twice. What was written meanwhile by somebody else shows as a Conflict: then the
object is looked at again and everything is decided anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from torpor_kube.kinds import Kind
from torpor_kube.port import Document
from torpor_operator.core.naming import Key
from torpor_operator.core.seen import Child


@dataclass(frozen=True, slots=True)
class Create:
    """Make the object; one of that name that has another owner is left alone (``NameTaken``)."""

    kind: Kind
    document: Document


@dataclass(frozen=True, slots=True)
class Repair:
    """Make our object as in ``document`` where it is still as it was seen: the password that a
    person has written into it meanwhile counts."""

    kind: Kind
    document: Document
    seen: Child


@dataclass(frozen=True, slots=True)
class Apply:
    """Make the fields of our object as in ``document``; those of others stay."""

    kind: Kind
    document: Document
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch; with ``metadata.resourceVersion`` in it a compare-and-swap."""

    kind: Kind
    key: Key
    patch: Document
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Ask for the object's end; that it is gone already is a success."""

    kind: Kind
    key: Key
    resource_version: str = ""
    owner: str | None = None
    """The uid of its controller (empty: it has none); one of that name with another owner stays."""


@dataclass(frozen=True, slots=True)
class Suspend:
    """Ask the autoscaler to put the database to sleep."""

    database: Key


@dataclass(frozen=True, slots=True)
class Erase:
    """Have the data of a sleeping database removed by an agent that serves nobody."""

    database: Key
    uid: str
    """Of its resource: the next one of its name has its place as well."""
    pool: str
    epoch: int
    directory: str
    user_id: int
    fenced: tuple[str, ...] = ()
    """Computes that were confirmed gone without having released the volume."""


class Weight(StrEnum):
    """The two types of a Kubernetes event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Tell:
    """An event about the object, for people."""

    about: Document
    weight: Weight
    reason: str
    note: str


Action: TypeAlias = Create | Repair | Apply | Patch | Delete | Suspend | Erase | Tell
