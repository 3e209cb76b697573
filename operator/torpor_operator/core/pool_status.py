"""What a WarmPool's status says, and its volume claim. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torpor_kube import names
from torpor_kube.documents import metadata, name_of
from torpor_kube.kinds import VOLUME_CLAIM, WARM_POOL
from torpor_kube.port import Document
from torpor_operator.core.claims import CLAIM_PENDING, pending_message
from torpor_operator.core.conditions import Finding, are_known, as_conditions
from torpor_operator.core.naming import MANAGED_BY, volume_claim
from torpor_operator.core.pods import spec_of
from torpor_operator.core.pool import PoolPlan


def pool_claim(pool: Document, namespace: str) -> Document:
    """The volume of all databases of the pool. It has no owner: data outlives the pool."""
    storage = spec_of(pool).storage
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.storage_class:
        spec["storageClassName"] = storage.storage_class
    return {
        "apiVersion": VOLUME_CLAIM.api_version,
        "kind": VOLUME_CLAIM.kind,
        "metadata": {
            "name": volume_claim(name_of(pool)),
            "namespace": namespace,
            "labels": {
                names.NAME_LABEL: "torpor",
                names.MANAGED_BY_LABEL: MANAGED_BY,
                names.POOL_LABEL: name_of(pool),
            },
        },
        "spec": spec,
    }


def unread_status(pool: Document, message: str, now: str) -> Document | None:
    """Of a pool whose spec can't be read: its computes stay as they are."""
    return _status(pool, [Finding("Ready", False, "Invalid", message)], {}, now)


def pool_status(
    pool: Document, plan: PoolPlan, refusals: Mapping[str, Finding], namespace: str, now: str
) -> Document | None:
    """``refusals``: of what the pool needs, by the API server; by the type of the condition."""
    ready = refusals.get("Ready") or _ready(plan, pool_claim(pool, namespace))
    findings = [ready, *(one for one in refusals.values() if one.type != "Ready")]
    return _status(pool, findings, {"warm": plan.warm, "claimed": plan.claimed}, now)


def _status(
    pool: Document, findings: Sequence[Finding], counts: dict[str, int], now: str
) -> Document | None:
    """To be applied; None where the pool says all of it already."""
    observed: dict[str, Any] = pool.get("status") or {}
    generation = metadata(pool).get("generation", 0)
    known = observed.get("conditions") or ()
    conditions = as_conditions(findings, known, generation, now)
    numbers = counts | {"observedGeneration": generation}
    status = {**numbers, "conditions": conditions}
    is_over = {one["type"] for one in known} > {one.type for one in findings}
    if (
        not is_over
        and are_known(conditions, known)
        and all(observed.get(n) == numbers[n] for n in numbers)
    ):
        return None
    whole = metadata(pool)
    return {
        "apiVersion": WARM_POOL.api_version,
        "kind": WARM_POOL.kind,
        "metadata": {field: whole[field] for field in ("name", "namespace", "uid")},
        "status": status,
    }


def _ready(plan: PoolPlan, claim: Document) -> Finding:
    if plan.waits_for_claim:
        return Finding("Ready", False, CLAIM_PENDING, pending_message(claim))
    if plan.warm >= plan.wanted:
        return Finding("Ready", True, "Filled")
    if plan.failure:
        message = f"the last compute failed: {plan.failure}; see the log of its pod"
        return Finding("Ready", False, "ComputesFail", message)
    if plan.trouble:
        return Finding("Ready", False, "ComputesWait", f"a compute does not start: {plan.trouble}")
    return Finding("Ready", False, "Filling", "computes are on their way")
