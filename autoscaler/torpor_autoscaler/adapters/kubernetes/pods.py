"""What a compute's pod says: where its agent is, and whether anything of it still runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torpor_api.identity import endpoint_name
from torpor_api.messages import AgentInfo, AgentSize
from torpor_autoscaler.adapters.kubernetes.sizes import size_of
from torpor_kube.documents import (
    annotations_of,
    condition,
    labels_of,
    metadata,
    name_of,
    version_of,
)
from torpor_kube.fencing import why_not_gone
from torpor_kube.names import (
    AGENT_PORT,
    DATABASE_LABEL,
    DATABASE_NAMESPACE_LABEL,
    DEDICATED_LABEL,
    OUTDATED_ANNOTATION,
    POOL_LABEL,
    POSTGRES_VERSION_LABEL,
    TEMPLATE_ANNOTATION,
)
from torpor_kube.port import Document


@dataclass(frozen=True, slots=True)
class Compute:
    """What is kept of a pod."""

    name: str
    uid: str
    version: str
    address: str
    """Empty: it has none yet."""
    postgres_version: str
    node: str
    is_ready: bool
    is_leaving: bool
    """Somebody has deleted it."""
    why_not_gone: str
    """Empty: the kubelet has said that all of it has ended."""
    ran_out_of_memory: bool = False
    """Of its containers one was ended for want of it."""
    size: AgentSize | None = None
    database: str = ""
    """Whose own volume it has; empty: its pool's."""
    pool: str = ""
    labelled: str = ""
    """The database in its labels: that it was made for, that has claimed it, or whose data it is to
    erase."""
    template: str = ""
    is_outdated: bool = False
    """Its pool's operator says so."""

    @property
    def is_gone(self) -> bool:
        return not self.why_not_gone

    @property
    def info(self) -> AgentInfo:
        return AgentInfo(
            compute=self.name,
            address=self.address,
            postgres_version=self.postgres_version,
            is_gone=self.is_gone,
            is_leaving=self.is_leaving,
            ran_out_of_memory=self.ran_out_of_memory,
            size=self.size,
            database=self.database,
            pool=self.pool,
            node=self.node,
            is_taken=bool(self.labelled) and not self.database,
            template=self.template,
            is_outdated=self.is_outdated,
        )


def compute_from(pod: Document) -> Compute:
    status, spec = pod.get("status") or {}, pod.get("spec") or {}
    labels, labelled = labels_of(pod), _database(pod)
    ip = status.get("podIP") or ""
    return Compute(
        name=name_of(pod),
        uid=str(metadata(pod).get("uid", "")),
        version=version_of(pod),
        address=f"[{ip}]:{AGENT_PORT}" if ":" in ip else f"{ip}:{AGENT_PORT}" if ip else "",
        postgres_version=labels.get(POSTGRES_VERSION_LABEL, ""),
        node=str(spec.get("nodeName") or ""),
        is_ready=condition(pod, "Ready") == "True",
        is_leaving="deletionTimestamp" in metadata(pod),
        why_not_gone=why_not_gone(pod),
        ran_out_of_memory=any(map(_was_oom_killed, status.get("containerStatuses") or ())),
        size=size_of(pod),
        database=labelled if DEDICATED_LABEL in labels else "",
        pool=labels.get(POOL_LABEL, ""),
        labelled=labelled,
        template=annotations_of(pod).get(TEMPLATE_ANNOTATION, ""),
        is_outdated=OUTDATED_ANNOTATION in annotations_of(pod),
    )


def _was_oom_killed(container: dict[str, Any]) -> bool:
    """A runtime gives this reason for any process of it that the kernel has ended, also where the
    container lived on, and ended later by itself."""
    terminated = (container.get("state") or {}).get("terminated") or {}
    return terminated.get("reason") == "OOMKilled" and terminated.get("exitCode") != 0


def _database(pod: Document) -> str:
    labels = labels_of(pod)
    if DATABASE_LABEL not in labels:
        return ""
    return endpoint_name(labels[DATABASE_LABEL], labels.get(DATABASE_NAMESPACE_LABEL, ""))
