"""Where a database's data is: a directory on its pool's volume, with its own user id. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torpor_api.failures import Refused
from torpor_api.phases import Phase
from torpor_api.resource import ServerlessDatabase
from torpor_operator.core.conditions import Finding
from torpor_operator.core.naming import Key, volume_claim
from torpor_operator.core.retained import Retained
from torpor_operator.core.user_ids import UserIds

VOLUMES = "/volumes"
"""Where the pool's volume is mounted in every compute."""

_TYPE = "StorageReady"


@dataclass(frozen=True, slots=True)
class StoragePlan:
    """``status.storage`` as it shall be; None: it gets none now."""

    storage: dict[str, Any] | None
    finding: Finding


def directory_of(database: Key) -> str:
    """Neither a name nor a namespace has a dot in it: no two databases share one."""
    return f"{VOLUMES}/{database.namespace}.{database.name}"


def plan_storage(
    resource: ServerlessDatabase,
    has_pool: bool,
    retained: Retained | None,
    user_ids: UserIds,
) -> StoragePlan:
    """A place once given stays; a new one is given only where there surely is no data yet."""
    database = Key(resource.metadata.namespace, resource.metadata.name)
    pool = resource.spec.pool
    known = resource.status.storage
    if known is not None and (has_been_started(resource) or not user_ids.is_shared(database)):
        return _known(resource, has_pool)
    if resource.spec.storage.mode != "shared":
        message = "storage.mode dedicated is not available in this release: write shared"
        return StoragePlan(None, Finding(_TYPE, False, "ModeNotAvailable", message))
    if retained is not None and retained.pool != pool:
        message = f"its data is kept in the pool {retained.pool!r}: write spec.pool {retained.pool}"
        return StoragePlan(None, Finding(_TYPE, False, "KeptElsewhere", message))
    if not has_pool:
        return StoragePlan(None, _no_pool(pool))
    try:
        user_id = user_ids.give(database, pool)
    except Refused as refused:
        return StoragePlan(None, Finding(_TYPE, False, "NoUserIdLeft", refused.message))
    storage = {
        "userId": user_id,
        "directory": directory_of(database) if retained is None else retained.directory,
        "isMade": retained is not None,
        "claim": volume_claim(pool) if retained is None else retained.claim,
    }
    return StoragePlan(storage, Finding(_TYPE, True, "Assigned"))


def _known(resource: ServerlessDatabase, has_pool: bool) -> StoragePlan:
    known = resource.status.storage
    assert known is not None
    storage = {
        "userId": known.user_id,
        "directory": known.directory,
        "isMade": has_been_started(resource),
        "claim": known.claim,
    }
    is_there = Finding(_TYPE, True, "Assigned")
    return StoragePlan(storage, is_there if has_pool else _no_pool(resource.spec.pool))


def _no_pool(pool: str) -> Finding:
    message = f"there is no WarmPool {pool!r}: make one, or write another spec.pool"
    return Finding(_TYPE, False, "NoWarmPool", message)


def has_been_started(resource: ServerlessDatabase) -> bool:
    """Whether its data is there: from then on a missing directory is lost data."""
    status = resource.status
    was_made = status.storage is not None and status.storage.is_made
    return was_made or status.observed_generation > 0 or status.phase is Phase.ACTIVE
