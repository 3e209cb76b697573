"""Which compute serves a database, and what is done to its pod."""

from __future__ import annotations

import json

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.database import Database
from e2e.installation import warm_computes
from e2e.kubectl import Json, until


def pod_of(database: Database) -> Json:
    """Of the compute that serves it now."""
    return kubectl.get("pod", database.status["compute"], NAMESPACE)


def somebody_is_warm() -> None:
    """Waits: what comes next is not to depend on how fast the pool is filled."""
    until(lambda: bool(warm_computes()), "a compute is warm")


def evict(pod: Json) -> None:
    """As a drain does: by the Eviction API, which asks disruption budgets."""
    head = {"name": pod["metadata"]["name"], "namespace": NAMESPACE}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": head}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{head['name']}/eviction"
    kubectl.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def delete(pod: Json, *options: str) -> None:
    """Its finalizer keeps the object: nobody waits for its end."""
    kubectl.delete("pod", pod["metadata"]["name"], NAMESPACE, "--wait=false", *options)


def has_moved(database: Database, before: Json) -> None:
    """Waits until another compute serves it."""

    def has() -> bool:
        status = database.status
        is_other: bool = status["compute"] != before["metadata"]["name"]
        return is_other and status["phase"] == "Active"

    until(has, f"{database.name} is on another compute than {before['metadata']['name']}")


def end_of(pod: Json) -> Json:
    """What the kubelet wrote of its container's end; {}: nothing."""
    found = kubectl.find("pod", pod["metadata"]["name"], NAMESPACE) or {}
    (container,) = found.get("status", {}).get("containerStatuses", [{}])
    return dict(container.get("state", {}).get("terminated") or {})
