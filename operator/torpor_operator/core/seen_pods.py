"""The pods of computes, as far as a pool cares. Pure.

*Ended* is what :mod:`torpor_kube.fencing` takes for proof, or that it has never been ready for
anybody: such a pod can't have been claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from torpor_kube import names
from torpor_kube.documents import (
    annotations_of,
    condition,
    labels_of,
    metadata,
    name_of,
    version_of,
)
from torpor_kube.fencing import why_not_gone
from torpor_kube.port import Document
from torpor_operator.core.naming import Key


@dataclass(frozen=True, slots=True)
class SeenPod:
    """One compute's pod."""

    name: str
    version: str
    pool: str
    template: str
    created_at: float
    ip: str = ""
    database: Key | None = None
    """Whom it was claimed for, by its labels; what counts is the databases' own word."""
    is_dedicated: bool = False
    """It was made for that database, with that one's own volume."""
    is_ready: bool = False
    is_deleting: bool = False
    deleted_at: float = 0.0
    """When it must have ended, had its kubelet heard of it."""
    has_ended: bool = False
    ended_at: float = 0.0
    is_lost: bool = False
    """Its kubelet has lost its container, and will not start it again: no proof of an end, and
    nothing that anybody could claim."""
    failure: str = ""
    """Why it ended, where that was not by its own will."""
    trouble: str = ""
    """Why it does not start: no node for it, no image, no volume."""
    finalizers: tuple[str, ...] = ()
    says_outdated: bool = False
    """For the autoscaler, which moves its database."""

    @property
    def is_fenced(self) -> bool:
        return names.FENCE_FINALIZER in self.finalizers


def see_pod(document: Document) -> SeenPod:
    labels, status = labels_of(document), document.get("status") or {}
    has_ended = _has_ended(document)
    is_lost = not has_ended and status.get("phase") in ("Failed", "Succeeded")
    database = labels.get(names.DATABASE_LABEL)
    namespace = labels.get(names.DATABASE_NAMESPACE_LABEL, "")
    return SeenPod(
        name=name_of(document),
        version=version_of(document),
        pool=labels.get(names.POOL_LABEL, ""),
        template=annotations_of(document).get(names.TEMPLATE_ANNOTATION, ""),
        created_at=_seconds(metadata(document).get("creationTimestamp")),
        ip=status.get("podIP") or "",
        database=Key(namespace, database) if database else None,
        is_dedicated=names.DEDICATED_LABEL in labels,
        is_ready=condition(document, "Ready") == "True",
        is_deleting="deletionTimestamp" in metadata(document),
        deleted_at=_seconds(metadata(document).get("deletionTimestamp")),
        has_ended=has_ended,
        ended_at=max((_seconds(end.get("finishedAt")) for end in _ends(document)), default=0.0),
        is_lost=is_lost,
        failure=_failure(document) if has_ended or is_lost else "",
        trouble="" if has_ended or is_lost else _trouble(status),
        finalizers=tuple(metadata(document).get("finalizers") or ()),
        says_outdated=names.OUTDATED_ANNOTATION in annotations_of(document),
    )


def _has_ended(document: Document) -> bool:
    spec, status = document.get("spec") or {}, document.get("status") or {}
    if status.get("containerStatuses"):
        return not why_not_gone(document)
    # Refused by its node, or deleted before it had one.
    was_refused = status.get("phase") == "Failed"
    was_never_placed = not spec.get("nodeName") and "deletionTimestamp" in metadata(document)
    return was_refused or was_never_placed


def _ends(document: Document) -> list[dict[str, Any]]:
    """What its kubelet wrote of the ends of its containers."""
    statuses = (document.get("status") or {}).get("containerStatuses") or []
    return [(item.get("state") or {}).get("terminated") or {} for item in statuses]


def _failure(document: Document) -> str:
    """Why it ended, where that was not by its own will."""
    status = document.get("status") or {}
    bad = [end for end in _ends(document) if end.get("exitCode")]
    if bad:
        return f"{bad[0].get('reason', 'Error')}, exit code {bad[0]['exitCode']}"
    if status.get("phase") == "Failed" and not _ends(document):
        return str(status.get("message") or status.get("reason") or "refused by its node")
    return ""


_USUAL = ("ContainerCreating", "PodInitializing")


def _trouble(status: dict[str, Any]) -> str:
    for item in status.get("conditions") or ():
        if item["type"] == "PodScheduled" and item["status"] == "False":
            return f"{item.get('reason', 'Unschedulable')}: {item.get('message', '')}"
    for item in status.get("containerStatuses") or ():
        waiting = (item.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in _USUAL:
            return f"{waiting['reason']}: {waiting.get('message', '')}"
    return ""


def _seconds(timestamp: str | None) -> float:
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0
