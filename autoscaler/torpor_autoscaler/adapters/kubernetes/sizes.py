"""A compute's size as its pod has it, and as it is asked for. Pure.

Limits are the size. Requests are as large a part of it as those of a pod that waits are of its own
limits, and never less than these: so the pool says how much of what its databases may use is set
aside for them. They stay below the limits, because a pod's quality of service can't change.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from torpor_api.messages import AgentSize
from torpor_api.sizes import cpu_milli, memory_bytes
from torpor_api.warm_pool import PoolResources
from torpor_kube.documents import metadata
from torpor_kube.port import Document
from torpor_kube.quantities import milli_of, whole_of

PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
"""Conditions by which a kubelet tells of a resize that has not come about."""

REFUSAL_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True)
class Amount:
    """Of CPU and memory."""

    cpu_milli: int
    memory_bytes: int


def wanted_limits(pod: Document) -> Amount | None:
    """What its spec says; None where that limits nothing."""
    return _limits(_container(pod))


def size_of(pod: Document) -> AgentSize | None:
    """What the kubelet has given it, else what it was made with."""
    given = _limits(_status(pod)) or wanted_limits(pod)
    if given is None:
        return None
    refusal, is_for_want_of_room = _refusal(pod)
    return AgentSize(
        cpu_milli=given.cpu_milli,
        memory_bytes=given.memory_bytes,
        refusal=refusal[:REFUSAL_CHARACTERS_MAX],
        is_for_want_of_room=is_for_want_of_room,
    )


def resize_patch(pod: Document, cu: Decimal, pool: PoolResources) -> Document:
    """For the subresource ``resize``."""
    limits = Amount(cpu_milli(cu), memory_bytes(cu))
    requests = _requests(limits, pool)
    resources = {"requests": _resources(requests), "limits": _resources(limits)}
    name = _container(pod).get("name")
    return {"spec": {"containers": [{"name": name, "resources": resources}]}}


def _requests(limits: Amount, pool: PoolResources) -> Amount:
    return Amount(
        _part(
            limits.cpu_milli,
            milli_of(pool.requests.cpu) or 0,
            milli_of(pool.limits.cpu) or 0,
        ),
        _part(
            limits.memory_bytes,
            whole_of(pool.requests.memory) or 0,
            whole_of(pool.limits.memory) or 0,
        ),
    )


def _part(limit: int, pool_request: int, pool_limit: int) -> int:
    share = limit * pool_request // pool_limit if pool_limit else 0
    return min(max(share, pool_request), limit - 1)


def _resources(amount: Amount) -> dict[str, str]:
    return {"cpu": f"{amount.cpu_milli}m", "memory": str(amount.memory_bytes)}


def _container(pod: Document) -> dict[str, Any]:
    """The agent's, which is the only one."""
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    return dict(containers[0])


def _status(pod: Document) -> dict[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return dict(statuses[0])


def _limits(part: dict[str, Any]) -> Amount | None:
    limits = (part.get("resources") or {}).get("limits") or {}
    cpu, memory = milli_of(limits.get("cpu")), whole_of(limits.get("memory"))
    return None if cpu is None or memory is None else Amount(cpu, memory)


def _refusal(pod: Document) -> tuple[str, bool]:
    """Why it is not as its spec says, and whether another node might do better.

    What a kubelet said of an earlier spec counts no more.
    """
    generation = metadata(pod).get("generation") or 0
    for one in (pod.get("status") or {}).get("conditions") or ():
        is_old = one.get("observedGeneration", generation) < generation
        if is_old or one.get("status") != "True":
            continue
        words = f"{one.get('reason')}: {one.get('message', '')}".rstrip(": ")
        if one.get("type") == PENDING:
            return words, True
        if one.get("type") == IN_PROGRESS and one.get("reason") == "Error":
            return words, False
    return "", False
