"""What a write makes of a stored resource. Pure.

The rules of the Kubernetes API server that Torpor rests on: ``generation`` grows when the wish
changes, ``resourceVersion`` at every write, and a status is written by compare-and-swap only.
"""

from __future__ import annotations

from dataclasses import dataclass

from torpor_api.failures import Conflict, InvalidRequest, Refused, StaleEpoch
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, Metadata, ServerlessDatabase


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new resource is given that no rule can know."""

    uid: str
    at: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives a resource together with its data."""

    epoch: int = 0
    generation: int = 0


def created(
    wanted: ServerlessDatabase, kept: Kept, birth: Birth, version: int
) -> ServerlessDatabase:
    """A new resource; over kept data its epoch and generation go on where they ended."""
    metadata = wanted.metadata.model_copy(
        update={
            "uid": birth.uid,
            "creation_timestamp": birth.at,
            "generation": kept.generation + 1,
            "resource_version": str(version),
        }
    )
    status = DatabaseStatus(epoch=kept.epoch, observed_generation=kept.generation)
    return _without_passwords(wanted, metadata, status)


def changed(
    stored: ServerlessDatabase, wanted: ServerlessDatabase, *, new_passwords: bool, version: int
) -> ServerlessDatabase | None:
    """The resource after an apply, or None where that changes nothing.

    Passwords stand beside the resource, but a new one has to reach Postgres like any other change
    of the spec, so it raises the generation too.
    """
    spec_changed = new_passwords or spec_json(wanted) != spec_json(stored)
    old, new = stored.metadata, wanted.metadata
    if not spec_changed and (old.labels, old.annotations) == (new.labels, new.annotations):
        return None
    metadata = old.model_copy(
        update={
            "labels": new.labels,
            "annotations": new.annotations,
            "generation": old.generation + spec_changed,
            "resource_version": str(version),
        }
    )
    return _without_passwords(wanted, metadata, stored.status)


def with_status(
    stored: ServerlessDatabase, expected_version: str, status: DatabaseStatus, version: int
) -> ServerlessDatabase:
    """The resource after a status write. Raises Conflict, or StaleEpoch for a lower epoch."""
    found = stored.metadata.resource_version
    if expected_version != found:
        raise Conflict(
            f"{stored.name}: resourceVersion is {found}, not {expected_version}: read it again"
        )
    if status.epoch < stored.status.epoch:
        raise StaleEpoch(f"{stored.name}: epoch {status.epoch} after {stored.status.epoch}")
    metadata = stored.metadata.model_copy(update={"resource_version": str(version)})
    return stored.model_copy(update={"metadata": metadata, "status": status})


def refuse_deletion_while_awake(stored: ServerlessDatabase) -> None:
    """Raises Refused unless the database sleeps or has failed."""
    phase = stored.status.phase
    if phase not in (Phase.SUSPENDED, Phase.FAILED):
        raise Refused(
            f"{stored.name} is {phase}: it can be deleted once it sleeps",
            hint=f"`torpor suspend {stored.name}` puts it to sleep",
        )


def refuse_other_versions(wanted: ServerlessDatabase, installed: str) -> None:
    """Raises InvalidRequest where the resource asks for a Postgres that is not there."""
    version = wanted.spec.postgres_version
    if version not in (None, installed):
        raise InvalidRequest(
            f"{wanted.name}: spec.postgresVersion: Postgres {version} is not installed here: "
            f"use {installed}, or leave it out"
        )


def refuse_secret_references(wanted: ServerlessDatabase) -> None:
    """Raises InvalidRequest where a password is said to be in a Secret: one machine has none."""
    for role in wanted.spec.roles:
        if role.password_secret is not None:
            raise InvalidRequest(
                f"{wanted.name}: spec.roles: {role.name}: passwordSecret names a Secret of a "
                "cluster: write password, or neither, and one is generated"
            )


def spec_json(resource: ServerlessDatabase) -> object:
    """The spec as it is stored and compared: without passwords."""
    return resource.as_json()["spec"]


def _without_passwords(
    wanted: ServerlessDatabase, metadata: Metadata, status: DatabaseStatus
) -> ServerlessDatabase:
    roles = tuple(role.model_copy(update={"password": None}) for role in wanted.spec.roles)
    spec = wanted.spec.model_copy(update={"roles": roles})
    return wanted.model_copy(update={"metadata": metadata, "spec": spec, "status": status})
