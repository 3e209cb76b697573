"""PersistentVolumeClaims that computes wait for. Pure.

That a claim is Pending is no fault by itself: many classes make a volume only when a pod asks for
it. One that pods have waited for in vain is said to be, by its pool and by the pool's databases,
until it has its volume, also when nobody waits any more.
"""

from __future__ import annotations

from torpor_kube.documents import name_of
from torpor_kube.port import Document

CLAIM_PENDING = "ClaimPending"
"""Why a pool, and the storage of its databases, is not ready."""

CLAIM_WAIT_S = 20.0
"""How long a compute waits before that is said of its claim: longer than most classes take to make
a volume."""


def is_bound(claim: Document) -> bool:
    return (claim.get("status") or {}).get("phase") == "Bound"


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
