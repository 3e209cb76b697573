"""Whether anything of a pod can still write: what is proof of that, and what is none. Pure.

Only a kubelet knows whether a container runs. Its word is ``state.terminated`` with the time and
the id that the container runtime gave it. Not its word, and proof of nothing: a phase (the garbage
collector writes one), ``ContainerStatusUnknown`` (the kubelet did not find the container, and makes
no claim of what became of it), ``NodeLost`` (the node controller's guess), an object that is gone.
"""

from __future__ import annotations

from typing import Any

from torpor_kube.documents import condition
from torpor_kube.port import Document

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""The taint by which a person says that a node is shut down and does not come back by itself."""


def why_not_gone(pod: Document) -> str:
    """For a person; empty: its kubelet has said that all of it has ended."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if spec.get("restartPolicy") != "Never":
        return "its containers are started again when they end"
    states = {one.get("name"): one for one in status.get("containerStatuses") or []}
    containers = spec.get("containers") or []
    if not containers:
        return "its object names no container"
    for container in containers:
        why = _why_container_runs(container, states.get(container.get("name")))
        if why:
            return f"container {container.get('name')}: {why}"
    return ""


def _why_container_runs(container: dict[str, Any], status: dict[str, Any] | None) -> str:
    if container.get("restartPolicy", "Never") != "Never" or container.get("restartPolicyRules"):
        return "it is started again when it ends"
    terminated = ((status or {}).get("state") or {}).get("terminated")
    if not terminated:
        return "no kubelet has said that it ended"
    if terminated.get("reason") == "ContainerStatusUnknown":
        return "its kubelet did not find it, and does not say how it ended"
    # The runtime's own words, which nobody invents who only guesses that a container has ended.
    if not all(terminated.get(word) for word in ("containerID", "finishedAt")):
        return "who says that it ended does not say when"
    return ""


def is_out_of_service(node: Document) -> bool:
    """A person's word that it is off, and nothing that speaks against it: its kubelet is silent.

    The taint alone may have been forgotten on a node that is back.
    """
    taints = (node.get("spec") or {}).get("taints") or []
    is_marked = any(taint.get("key") == OUT_OF_SERVICE for taint in taints)
    return is_marked and condition(node, "Ready") != "True"
