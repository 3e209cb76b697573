"""PersistentVolumeClaims that computes wait for. Pure.

That a claim is Pending is no fault by itself: many classes make a volume only when a pod asks for
it. One that pods have waited for in vain is said to be, by its pool and by the pool's databases,
until it has its volume, also when nobody waits any more.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from torpor_api.quantities import parse_bytes
from torpor_kube.documents import metadata, name_of
from torpor_kube.kinds import VOLUME_CLAIM
from torpor_kube.port import Document
from torpor_operator.core.actions import Patch
from torpor_operator.core.naming import Key

CLAIM_PENDING = "ClaimPending"
"""Why a pool, and the storage of its databases, is not ready."""

CLAIM_WAIT_S = 20.0
"""How long a compute waits before that is said of its claim: longer than most classes take to make
a volume."""


VOLUME_SIZED = "VolumeSized"
"""A condition that is False where a volume is not as large as its spec says."""


@dataclass(frozen=True, slots=True)
class SeenClaim:
    """What is kept of a PersistentVolumeClaim."""

    is_bound: bool
    size: str
    """Which it asks for."""

    def is_less_than(self, size: str) -> bool:
        """A claim that waits for its volume can't be changed."""
        try:
            return self.is_bound and parse_bytes(self.size) < parse_bytes(size)
        except ValueError:
            return False  # Somebody else's spelling of an amount: not ours to change.


def see_claim(claim: Document) -> SeenClaim | None:
    """None: it is being deleted, and nobody can use it any more."""
    if "deletionTimestamp" in metadata(claim):
        return None
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    is_bound = (claim.get("status") or {}).get("phase") == "Bound"
    return _seen(is_bound, str(requests.get("storage", "")))


@functools.lru_cache(maxsize=256)
def _seen(is_bound: bool, size: str) -> SeenClaim:
    """One for all that are alike: most are."""
    return SeenClaim(is_bound, size)


def growth(claim: Key, size: str) -> Patch:
    """Refused where its class does not allow it."""
    requests = {"requests": {"storage": size}}
    return Patch(VOLUME_CLAIM, claim, {"spec": {"resources": requests}})


def why_no_volume(pool: Document) -> str:
    """What the pool says of its claim; empty: nothing that would keep its databases asleep."""
    for one in (pool.get("status") or {}).get("conditions") or ():
        if (one.get("type"), one.get("reason")) == ("Ready", CLAIM_PENDING):
            return str(one.get("message", ""))
    return ""


def pending_message(claim: Document) -> str:
    """What a person can do about it, before what may be cut off as too long."""
    name, namespace = name_of(claim), claim["metadata"]["namespace"]
    return (
        "the pool's volume is Pending: where no class offers ReadWriteMany, take storage.mode "
        f"dedicated; `kubectl describe pvc {name} -n {namespace}` says why"
    )
