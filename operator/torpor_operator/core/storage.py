"""Where a database's data is, with a user id of its own: on its pool's volume, or on its own. Pure.

``shared``: a directory on the one volume that every compute of the pool mounts. ``dedicated``: a
ReadWriteOncePod claim, mounted by the compute that is made for the database, and by one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torpor_api.failures import Refused
from torpor_api.phases import Phase
from torpor_api.resource import ServerlessDatabase
from torpor_kube import names
from torpor_kube.kinds import VOLUME_CLAIM
from torpor_kube.port import Document
from torpor_operator.core.actions import Patch
from torpor_operator.core.claims import CLAIM_PENDING, SeenClaim, growth, why_no_volume
from torpor_operator.core.conditions import Finding
from torpor_operator.core.naming import Key, labels_of_child, own_volume_claim, volume_claim
from torpor_operator.core.retained import NAMESPACE_UID, Retained
from torpor_operator.core.user_ids import UserIds

VOLUMES = "/volumes"
"""Where a compute mounts its pool's volume, or its database's own."""

STORAGE_CONDITION = "StorageReady"


@dataclass(frozen=True, slots=True)
class StoragePlan:
    """``status.storage`` as it shall be; None: it gets none now."""

    storage: dict[str, Any] | None
    finding: Finding
    claim: Document | None = None
    """Of a volume of its own, which is to be made before anybody is told of the place."""
    growth: Patch | None = None
    """Of the claim of its own that is there."""
    is_user_id_shared: bool = False
    """With a database that has had it for longer."""


@dataclass(frozen=True, slots=True)
class Volumes:
    """What there is to put data on."""

    pool: Document | None
    """The database's WarmPool; None: there is none of that name."""
    claims: Mapping[str, SeenClaim] = field(default_factory=dict)
    """Every PersistentVolumeClaim of Torpor's."""
    namespace: str = ""
    """Where they are."""
    is_unlabelled: bool = False
    """The database's own claim is there, and lacks the label by which claims are found."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Data of an earlier database of this name, and for whom."""

    retained: Retained
    namespace_uid: str
    """Of the namespace that bears the name now: data is no tenant's who came later."""


def directory_of(database: Key) -> str:
    """Neither a name nor a namespace has a dot in it: no two databases share one."""
    return f"{VOLUMES}/{database.namespace}.{database.name}"


def plan_storage(
    resource: ServerlessDatabase,
    volumes: Volumes,
    kept: Kept | None,
    user_ids: UserIds,
) -> StoragePlan:
    """A place once given stays; a new one is given only where there surely is no data yet."""
    database = Key(resource.metadata.namespace, resource.metadata.name)
    pool = resource.spec.pool
    known = resource.status.storage
    if known is not None and (has_been_started(resource) or not user_ids.is_shared(database)):
        plan = _known(resource, volumes)
        return replace(plan, is_user_id_shared=user_ids.is_shared(database))
    retained = kept.retained if kept else None
    obstacle = _obstacle(resource, kept) if kept else None
    if obstacle is not None:
        return StoragePlan(None, obstacle)
    if volumes.pool is None:
        return StoragePlan(None, _no_pool(pool))
    try:
        user_id = user_ids.give(database, pool)
    except Refused as refused:
        return StoragePlan(None, Finding(STORAGE_CONDITION, False, "NoUserId", refused.message))
    storage = {
        "userId": user_id,
        "directory": directory_of(database) if retained is None else retained.directory,
        "isMade": retained is not None,
        "claim": claim_of(resource) if retained is None else retained.claim,
    }
    if retained is not None:
        return StoragePlan(storage, _finding(resource, storage, volumes))
    claim = _own_claim(resource, volumes.pool, volumes.namespace)
    return StoragePlan(storage, _assigned(resource, volumes.pool), claim)


def claim_of(resource: ServerlessDatabase) -> str:
    """The claim that new data is put on."""
    if is_dedicated(resource):
        return own_volume_claim(Key(resource.metadata.namespace, resource.metadata.name))
    return volume_claim(resource.spec.pool)


def is_dedicated(resource: ServerlessDatabase) -> bool:
    return resource.spec.storage.mode == "dedicated"


def may_adopt(resource: ServerlessDatabase, kept: Kept) -> bool:
    """Whether data that was kept under its name is its own, and where its spec says."""
    return _obstacle(resource, kept) is None


def why_not_adopted(resource: ServerlessDatabase, kept: Kept) -> str:
    """In words; empty: it may be taken over."""
    obstacle = _obstacle(resource, kept)
    return obstacle.message if obstacle else ""


def _obstacle(resource: ServerlessDatabase, kept: Kept) -> Finding | None:
    """Why data that is kept under this name can't be taken over by this resource."""
    retained = kept.retained
    if retained.namespace_uid not in ("", kept.namespace_uid):
        note = names.retained_config_map(resource.metadata.namespace, resource.metadata.name)
        message = (
            "data of another namespace of this name is kept under it: take another name, or have "
            f"{NAMESPACE_UID} taken out of ConfigMap {note}"
        )
        return Finding(STORAGE_CONDITION, False, "KeptOfOthers", message)
    if retained.is_to_erase:
        message = (
            "data of an earlier one was to be erased and may be there still: delete this one with "
            "deletionPolicy: Delete, which erases it, then apply it again"
        )
        return Finding(STORAGE_CONDITION, False, "KeptToErase", message)
    if retained.pool != resource.spec.pool:
        message = f"its data is kept in the pool {retained.pool!r}: write spec.pool {retained.pool}"
        return Finding(STORAGE_CONDITION, False, "KeptElsewhere", message)
    mode = "dedicated" if retained.has_own_claim else "shared"
    if mode != resource.spec.storage.mode:
        message = f"its data is kept on {retained.claim}: write spec.storage.mode {mode}"
        return Finding(STORAGE_CONDITION, False, "KeptElsewhere", message)
    return None


def _own_claim(resource: ServerlessDatabase, pool: Document, namespace: str) -> Document | None:
    """It has no owner: data outlives the resource, unless that says otherwise."""
    if not is_dedicated(resource):
        return None
    database = Key(resource.metadata.namespace, resource.metadata.name)
    storage_class = (pool.get("spec") or {}).get("storage", {}).get("dedicatedStorageClass")
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": resource.spec.storage.size}},
        **({"storageClassName": storage_class} if storage_class else {}),
    }
    labels = {names.POOL_LABEL: resource.spec.pool, **labels_of_child(database)}
    return {
        "apiVersion": VOLUME_CLAIM.api_version,
        "kind": VOLUME_CLAIM.kind,
        "metadata": {
            "name": own_volume_claim(database),
            "namespace": namespace,
            "labels": labels,
        },
        "spec": spec,
    }


def _known(resource: ServerlessDatabase, volumes: Volumes) -> StoragePlan:
    known = resource.status.storage
    assert known is not None
    storage = {
        "userId": known.user_id,
        "directory": known.directory,
        "isMade": has_been_started(resource),
        "claim": known.claim,
    }
    finding, growth = _finding(resource, storage, volumes), _growth(resource, volumes)
    if has_been_started(resource) or volumes.pool is None:
        return StoragePlan(storage, finding, growth=growth)
    claim = _own_claim(resource, volumes.pool, volumes.namespace)
    return StoragePlan(storage, _assigned(resource, volumes.pool), claim, growth)


def _growth(resource: ServerlessDatabase, volumes: Volumes) -> Patch | None:
    """Of a volume that is there: volumes only grow, and only their size is anybody's to change."""
    known = resource.status.storage
    if known is None or not is_dedicated(resource):
        return None
    claim, size = volumes.claims.get(known.claim), resource.spec.storage.size
    is_small = claim is not None and claim.is_less_than(size)
    return growth(Key(volumes.namespace, known.claim), size) if is_small else None


def _finding(resource: ServerlessDatabase, storage: dict[str, Any], volumes: Volumes) -> Finding:
    """A claim that is gone took the data along: another one would only hide that."""
    if volumes.pool is None:
        return _no_pool(resource.spec.pool)
    claim = storage["claim"]
    if is_dedicated(resource) and claim not in volumes.claims and volumes.is_unlabelled:
        label = f"{names.POOL_LABEL}={resource.spec.pool}"
        message = f"PersistentVolumeClaim {claim} has no label {label}: it is not seen without it"
        return Finding(STORAGE_CONDITION, False, "VolumeUnlabelled", message)
    if is_dedicated(resource) and claim not in volumes.claims:
        message = f"the PersistentVolumeClaim {claim} is gone, and its data with it"
        return Finding(STORAGE_CONDITION, False, "VolumeLost", message)
    return _assigned(resource, volumes.pool)


def _assigned(resource: ServerlessDatabase, pool: Document) -> Finding:
    """A place on a volume that is not there serves nobody."""
    missing = "" if is_dedicated(resource) else why_no_volume(pool)
    if missing:
        return Finding(STORAGE_CONDITION, False, CLAIM_PENDING, missing)
    return Finding(STORAGE_CONDITION, True, "Assigned")


def _no_pool(pool: str) -> Finding:
    message = f"there is no WarmPool {pool!r}: make one, or write another spec.pool"
    return Finding(STORAGE_CONDITION, False, "NoWarmPool", message)


def has_been_started(resource: ServerlessDatabase) -> bool:
    """Whether its data is there: from then on a missing directory is lost data."""
    status = resource.status
    was_made = status.storage is not None and status.storage.is_made
    return was_made or status.observed_generation != 0 or status.phase is Phase.ACTIVE
