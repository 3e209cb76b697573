"""Who stands around the autoscaler on Kubernetes: people with kubectl, and the operator.

Of the operator only what the autoscaler needs: it provides storage and verifiers.
"""

from __future__ import annotations

import base64
from typing import Any

from torpor_api import messages as m
from torpor_api.failures import InvalidRequest, NotFound
from torpor_api.identity import split_endpoint_name
from torpor_api.resource import ServerlessDatabase
from torpor_api.secret_keys import key_of_role
from torpor_autoscaler.adapters.kubernetes.documents import known_from
from torpor_kube import kinds, names
from torpor_kube.documents import metadata, name_of, namespace_of
from torpor_kube.port import Document, Kube

FIRST_USER_ID = 100_000


class People:
    """They answer the questions that on Kubernetes are asked of the API server itself."""

    def __init__(self, kube: Kube, system: str) -> None:
        self._kube = kube
        self._system = system
        self._user_ids = 0

    async def answer(self, request: m.Request[Any]) -> m.Message:
        match request:
            case m.ApplyResource(resource=document):
                return m.Stored(resource=await self.apply(document))
            case m.ListResources():
                page = await self._kube.page(kinds.SERVERLESS_DATABASE)
                found = [known_from(one).resource for one in page.items]
                return m.Resources(resources=tuple(one for one in found if one is not None))
            case m.DeleteResource(name=name):
                own, namespace = split_endpoint_name(name)
                await self._kube.delete(kinds.SERVERLESS_DATABASE, own, namespace)
                return m.Done()
            case _:
                raise InvalidRequest(f"nobody asks people for {type(request).__name__}")

    async def apply(self, document: Document) -> ServerlessDatabase:
        """As ``kubectl apply``; answered once the operator has provided for it."""
        head = {"namespace": "default", **document["metadata"]}
        wanted = {"metadata": head, "spec": document.get("spec") or {}}
        stored = await self._kube.apply(kinds.SERVERLESS_DATABASE, wanted, manager="kubectl")
        known = known_from(stored)
        if known.resource is None:
            raise InvalidRequest(known.refusal)
        await self._make_verifiers(known.resource)
        if known.storage is None:
            stored = await self.provide(stored)
        resource = known_from(stored).resource
        assert resource is not None
        return resource

    async def provide(self, stored: Document, **storage: Any) -> Document:
        self._user_ids += 1
        return await self._kube.apply(
            kinds.SERVERLESS_DATABASE,
            provided(stored, self._user_ids, **storage),
            manager=names.OPERATOR_MANAGER,
            subresource="status",
        )

    async def _make_verifiers(self, resource: ServerlessDatabase) -> None:
        secret = verifiers_document(resource, self._system)
        await self._kube.apply(kinds.SECRET, secret, manager=names.OPERATOR_MANAGER)

    # --- computes --------------------------------------------------------------------------

    async def make_pool(self, name: str = "default") -> None:
        head = {"name": name, "namespace": self._system}
        spec = {"postgresVersion": "17", "size": {"min": 1, "max": 10}}
        await self._kube.apply(
            kinds.WARM_POOL, {"metadata": head, "spec": spec}, manager=names.OPERATOR_MANAGER
        )

    async def wanted(self, name: str = "default") -> int | None:
        pool = await self._kube.get(kinds.WARM_POOL, name, self._system)
        return (pool.get("status") or {}).get("wanted")

    async def make_pod(self, name: str, *, node: str = "", **spec: Any) -> Document:
        return await self._kube.create(
            kinds.POD, pod_document(name, self._system, node=node, **spec)
        )

    async def say_of_pod(self, name: str, **status: Any) -> Document:
        """As its kubelet."""
        return await self._kube.patch(
            kinds.POD, name, self._system, {"status": status}, subresource="status"
        )

    async def is_there(self, kind: kinds.Kind, name: str) -> bool:
        try:
            await self._kube.get(kind, name, self._system)
        except NotFound:
            return False
        return True


def provided(stored: Document, user_id: int, **storage: Any) -> Document:
    """The operator's part of the status."""
    name, namespace = name_of(stored), namespace_of(stored)
    made = {
        "directory": f"/volumes/{namespace}.{name}",
        "userId": FIRST_USER_ID + user_id,
        "isMade": False,
    }
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": metadata(stored)["uid"]},
        "status": {"storage": {**made, **storage}},
    }


def verifiers_document(resource: ServerlessDatabase, system: str) -> Document:
    """A verifier for every role, by which a test knows whose it is."""
    name, namespace = split_endpoint_name(resource.name)
    texts = {role.name: f"SCRAM-SHA-256${role.name}" for role in resource.spec.roles}
    return {
        "metadata": {"name": names.verifiers_secret(namespace, name), "namespace": system},
        "data": {
            key_of_role(role): base64.b64encode(text.encode()).decode()
            for role, text in texts.items()
        },
    }


def pod_document(name: str, system: str, *, node: str = "", **spec: Any) -> Document:
    """A compute's pod; without a node no kubelet has anything to do with it."""
    labels = {
        names.COMPONENT_LABEL: names.COMPUTE,
        names.POOL_LABEL: "default",
        names.POSTGRES_VERSION_LABEL: "17",
    }
    head = {"name": name, "namespace": system, "labels": labels}
    return {
        "metadata": {**head, "finalizers": [names.FENCE_FINALIZER]},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "agent", "image": "none:0"}],
            **({"nodeName": node} if node else {}),
            **spec,
        },
    }


RUNNING: dict[str, Any] = {
    "phase": "Running",
    "podIP": "10.1.2.3",
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [
        {"name": "agent", "state": {"running": {"startedAt": "2027-01-01T00:00:00Z"}}}
    ],
}

ENDED: dict[str, Any] = {
    "phase": "Succeeded",
    "conditions": [{"type": "Ready", "status": "False"}],
    "containerStatuses": [
        {
            "name": "agent",
            "state": {
                "terminated": {
                    "exitCode": 0,
                    "reason": "Completed",
                    "containerID": "containerd://1",
                    "startedAt": "2027-01-01T00:00:00Z",
                    "finishedAt": "2027-01-01T00:01:00Z",
                }
            },
        }
    ],
}
