"""The pod of a compute: of one that waits for any database, or of one with a database's own volume.
Pure.

The agent is the only child of process 1 of the only container, which ends with it: its end is the
end of every process in the pod. It starts as root because Postgres must run as the database's own
user id, which is known only when the pod is claimed; what it may do as root is listed below, and
Postgres itself gets none of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from torpor_api.brief import in_one_line
from torpor_api.failures import InvalidRequest
from torpor_api.logs import LEVEL_VARIABLE
from torpor_api.warm_pool import WarmPoolSpec, is_own_key
from torpor_kube import names
from torpor_kube.documents import name_of
from torpor_kube.kinds import POD, WARM_POOL
from torpor_kube.port import Document
from torpor_operator.core.naming import (
    MANAGED_BY,
    Key,
    own_volume_claim,
    owner_reference,
    volume_claim,
)
from torpor_operator.core.storage import VOLUMES

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""Lay out a directory for another user, start Postgres as that user, and end it."""

LEAVE_S = 30
"""For the sessions of a pod that is evicted or deleted to move to another compute. Those that are
idle take a moment; a transaction may go on for so long, and so long a drain waits for it."""

END_S_MAX = 100
"""After that, for a checkpoint and a clean stop: then the agent itself ends what is left."""

KILL_MARGIN_S = 20
"""Before the kubelet kills, and the next start recovers."""

GRACE_S = LEAVE_S + END_S_MAX + KILL_MARGIN_S

READY_EVERY_S = 2

_SHORT_END = ["--linger-seconds", "1"]
"""Its successor gets the volume when its pod has ended, and sessions may be waiting for that."""

HEALTH_PORT = 8080
"""For the kubelet only; the control channel speaks with nobody who has no certificate."""

SHARED_MEMORY = "/dev/shm"
SCRATCH_BYTES_MAX = "64Mi"

_HASH_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What holds for all pools."""

    image: str
    namespace: str
    instance: str = "torpor"
    """The release, as the chart names it."""
    service_account: str = "torpor-compute"
    tls_secret: str = "torpor-compute-tls"
    image_pull_policy: str = "IfNotPresent"
    log_level: str = ""
    """As the variable has it that agents read. Empty: their own default."""


def spec_of(pool: Document) -> WarmPoolSpec:
    """What a newer release has added is passed over. Raises InvalidRequest where somebody got past
    the schema."""
    try:
        return WarmPoolSpec.model_validate(_readable(pool.get("spec") or {}), extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        raise InvalidRequest(f"{where}: {in_one_line(first['msg'])}") from None


def _readable(spec: dict[str, Any]) -> dict[str, Any]:
    """Keys that are Torpor's own are refused today, and passed over where a pool has had them for
    longer: they never meant anything."""
    fields = ("podLabels", "podAnnotations")
    written: dict[str, Any] = {field: spec[field] for field in fields if field in spec}
    others: dict[str, Any] = {
        field: {key: value for key, value in given.items() if not is_own_key(key)}
        for field, given in written.items()
        if isinstance(given, dict)
    }
    return {**spec, **others}


def compute_pod(
    pool: Document, settings: PodSettings, suffix: str, database: Key | None = None
) -> Document:
    """A new one; ``suffix`` makes its name, which is the compute's id and is never used again.

    ``database``: the one that has a volume of its own, and that alone it may serve.
    """
    pool_spec = spec_of(pool)
    claim = volume_claim(name_of(pool)) if database is None else own_volume_claim(database)
    return {
        "apiVersion": POD.api_version,
        "kind": POD.kind,
        "metadata": {
            "name": f"compute-{name_of(pool)}-{suffix}",
            "namespace": settings.namespace,
            "labels": {
                **pool_spec.pod_labels,
                names.NAME_LABEL: "torpor",
                names.COMPONENT_LABEL: names.COMPUTE,
                names.INSTANCE_LABEL: settings.instance,
                names.MANAGED_BY_LABEL: MANAGED_BY,
                names.POOL_LABEL: name_of(pool),
                names.POSTGRES_VERSION_LABEL: pool_spec.postgres_version,
                **_labels_of_own(database),
            },
            "annotations": {
                **pool_spec.pod_annotations,
                names.TEMPLATE_ANNOTATION: template_hash(pool, settings),
            },
            "finalizers": [names.FENCE_FINALIZER],
            "ownerReferences": [owner_reference(pool, WARM_POOL)],
        },
        "spec": _spec(pool, settings, claim, is_dedicated=database is not None),
    }


def _labels_of_own(database: Key | None) -> dict[str, str]:
    if database is None:
        return {}
    return {
        names.DEDICATED_LABEL: "true",
        names.DATABASE_LABEL: database.name,
        names.DATABASE_NAMESPACE_LABEL: database.namespace,
    }


def template_hash(pool: Document, settings: PodSettings) -> str:
    """Changes with everything that a pod can't change while it runs."""
    claim = volume_claim(name_of(pool))
    spec = spec_of(pool)
    template = [_spec(pool, settings, claim), spec.pod_labels, spec.pod_annotations]
    text = json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]


def _spec(
    pool: Document, settings: PodSettings, claim: str, *, is_dedicated: bool = False
) -> dict[str, Any]:
    spec = spec_of(pool)
    return {
        "restartPolicy": "Never",
        "serviceAccountName": settings.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        **_placement(spec, name_of(pool)),
        **_as_pods_say(spec, "runtime_class_name", "image_pull_secrets"),
        "containers": [_container(spec, settings, is_dedicated=is_dedicated)],
        "volumes": _volumes(settings, claim),
    }


def _placement(spec: WarmPoolSpec, pool: str) -> dict[str, Any]:
    """Computes of a pool are apart where that can be: a lost node takes only some of them along."""
    apart = {"matchLabels": {names.COMPONENT_LABEL: names.COMPUTE, names.POOL_LABEL: pool}}
    return {
        "nodeSelector": {**spec.node_selector, "kubernetes.io/os": "linux"},
        **_as_pods_say(spec, "tolerations", "priority_class_name"),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": apart,
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
    }


def _as_pods_say(spec: WarmPoolSpec, *fields: str) -> dict[str, Any]:
    """Fields that a pod has as well, where they are given."""
    given = spec.model_dump(mode="json", by_alias=True, exclude_none=True, include={*fields})
    return {name: value for name, value in given.items() if value}


def _pull_policy(spec: WarmPoolSpec, settings: PodSettings) -> str:
    """That an installation fetches nothing is said of its own image, which has no registry."""
    if spec.image is not None and settings.image_pull_policy == "Never":
        return "IfNotPresent"
    return settings.image_pull_policy


def _container(spec: WarmPoolSpec, settings: PodSettings, *, is_dedicated: bool) -> dict[str, Any]:
    return {
        "name": "compute",
        "image": spec.image or settings.image,
        "imagePullPolicy": _pull_policy(spec, settings),
        "args": _arguments(spec.postgres_version) + (_SHORT_END if is_dedicated else []),
        "env": [
            *(_own("POD_NAME", "metadata.name"), _own("POD_IP", "status.podIP")),
            *(
                [{"name": LEVEL_VARIABLE, "value": settings.log_level}]
                if settings.log_level
                else ()
            ),
        ],
        "ports": [
            {"name": "postgres", "containerPort": 5432},
            {"name": "agent", "containerPort": names.AGENT_PORT},
            {"name": "health", "containerPort": HEALTH_PORT},
        ],
        # Burstable from birth: the class of a pod can't change, its size can.
        "resources": spec.resources.model_dump(mode="json", by_alias=True),
        "resizePolicy": [
            {"resourceName": "cpu", "restartPolicy": "NotRequired"},
            {"resourceName": "memory", "restartPolicy": "NotRequired"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "health"},
            "periodSeconds": READY_EVERY_S,
            "timeoutSeconds": READY_EVERY_S,
        },
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)},
        },
        "volumeMounts": [
            {"name": "volumes", "mountPath": VOLUMES},
            {"name": "tls", "mountPath": "/etc/torpor/tls", "readOnly": True},
            {"name": "run", "mountPath": "/run/torpor"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shared-memory", "mountPath": SHARED_MEMORY},
        ],
    }


def _arguments(version: str) -> list[str]:
    options = {
        "--compute": "$(POD_NAME)",
        "--listen": f"0.0.0.0:{names.AGENT_PORT}",
        "--tls": "/etc/torpor/tls",
        "--advertise": "$(POD_IP)",
        "--health": f"0.0.0.0:{HEALTH_PORT}",
        "--run-dir": "/run/torpor",
        "--postgres": f"/usr/lib/postgresql/{version}/bin",
        "--postgres-version": version,
        "--template": "/opt/torpor/template",
        "--leave-seconds": str(LEAVE_S),
        "--end-seconds-max": str(END_S_MAX),
    }
    return [*(word for option in options.items() for word in option), "--own-container"]


def _own(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _volumes(settings: PodSettings, claim: str) -> list[dict[str, Any]]:
    return [
        {"name": "volumes", "persistentVolumeClaim": {"claimName": claim}},
        {"name": "tls", "secret": {"secretName": settings.tls_secret, "defaultMode": 0o400}},
        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": SCRATCH_BYTES_MAX}},
        {"name": "tmp", "emptyDir": {"sizeLimit": SCRATCH_BYTES_MAX}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
    ]
