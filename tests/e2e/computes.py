"""Which compute serves a database, and what is done to its pod."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator

from e2e import kubectl, node
from e2e.cluster import NAMESPACE
from e2e.database import Database
from e2e.installation import warm_computes
from e2e.kubectl import Json, KubectlFailed, until

DRAIN_SECONDS_MAX = 240.0
"""An autoscaler that is young lets no compute go: what one before it has claimed may still come."""

SEEN_FINALIZER = "e2e.torpor.dev/seen"


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


@contextlib.contextmanager
def draining(pod: Json) -> Iterator[subprocess.Popen[str]]:
    """By ``kubectl drain``, of its node and this pod alone; it ends when the object is gone."""
    labels = pod["metadata"]["labels"]
    words = ("torpor.dev/database", "torpor.dev/database-namespace")
    chosen = ",".join(f"{word}={labels[word]}" for word in words)
    options = ("--ignore-daemonsets", "--delete-emptydir-data", "--force")
    where = (node.name(), f"--pod-selector={chosen}", f"--timeout={DRAIN_SECONDS_MAX:.0f}s")
    drain = subprocess.Popen(
        ["kubectl", "drain", *where, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield drain
    finally:
        drain.kill()
        drain.communicate()
        kubectl.kubectl("uncordon", node.name())


@contextlib.contextmanager
def kept_to_be_seen(pod: Json) -> Iterator[None]:
    """Its object stays after its end, for the test to look at: nobody else would keep it."""
    name = pod["metadata"]["name"]
    _patch(name, {"op": "add", "path": "/metadata/finalizers/-", "value": SEEN_FINALIZER})
    try:
        yield
    finally:
        until(lambda: _is_left_alone(name), f"{name} is not kept any more")


def _is_left_alone(name: str) -> bool:
    found = kubectl.find("pod", name, NAMESPACE) or {"metadata": {}}
    finalizers = found["metadata"].get("finalizers", [])
    if SEEN_FINALIZER not in finalizers:
        return True
    where = {"path": f"/metadata/finalizers/{finalizers.index(SEEN_FINALIZER)}"}
    try:
        _patch(name, {"op": "test", "value": SEEN_FINALIZER, **where}, {"op": "remove", **where})
    except KubectlFailed:
        return False  # Somebody else has taken his own away in between.
    return True


def _patch(name: str, *operations: Json) -> None:
    patch = ("--type=json", "--patch", json.dumps(operations))
    kubectl.kubectl("patch", "pod", name, "--namespace", NAMESPACE, *patch)


def has_moved(database: Database, before: Json) -> None:
    """Waits until another compute serves it."""

    def has() -> bool:
        status = database.status
        is_other: bool = status["compute"] != before["metadata"]["name"]
        return is_other and status["phase"] == "Active"

    until(has, f"{database.name} is on another compute than {before['metadata']['name']}")


def tells_of_its_move(database: Database) -> None:
    """Waits: whoever is served hears of it before the status does."""

    def tells() -> bool:
        told: Json = database.status.get("lastSwitchover", {})
        return told.get("epoch") == database.epoch

    until(tells, f"the status of {database.name} tells of its last move")


def end_of(pod: Json) -> Json:
    """What the kubelet wrote of its container's end; {}: nothing, or the object is gone."""
    found = kubectl.find("pod", pod["metadata"]["name"], NAMESPACE) or {}
    (container,) = found.get("status", {}).get("containerStatuses", [{}])
    return dict(container.get("state", {}).get("terminated") or {})
