"""Reads and writes objects of the cluster by the Kubernetes client.

A test that waits asks several times a second, and each kubectl would take a tenth of a second of a
processor, or three where it brings the API server's schemas first: with three tests at once, most
of what a small machine has. What people do by kubectl some tests do by kubectl.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from kubernetes import config
from kubernetes.client import ApiClient

Json = dict[str, Any]

REQUEST_SECONDS_MAX = 60.0

MANAGER = "torpor-e2e"
"""Who applies, as the fields of an object say."""

JSON = "application/json"

MERGED = "application/merge-patch+json"

APPLIED = "application/apply-patch+yaml"

PLURALS = {
    "crd": "customresourcedefinitions",
    "pvc": "persistentvolumeclaims",
    "sdb": "serverlessdatabases",
}

CORE = "/api/v1"

GROUPS = {
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "deployments": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "events": "/apis/events.k8s.io/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "serverlessdatabases": "/apis/torpor.dev/v1alpha1",
    "warmpools": "/apis/torpor.dev/v1alpha1",
}
"""Of those kinds that are not in the core."""

NOWHERE = ("customresourcedefinitions", "namespaces", "nodes")
"""Kinds whose objects are in no namespace."""


class Refused(AssertionError):
    """By the API server, in its own words."""


def find(kind: str, name: str, namespace: str) -> Json | None:
    """Kinds as kubectl's: ``pod``, ``pods``, ``sdb``, ``events.events.k8s.io``."""
    return _asked(f"{_path(kind, namespace)}/{name}")


def get(kind: str, name: str, namespace: str) -> Json:
    found = find(kind, name, namespace)
    assert found is not None, f"no {kind} {name} in {namespace}"
    return found


def listed(kind: str, namespace: str, selector: str = "") -> list[Json]:
    """An empty namespace: in all of them."""
    query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
    found = _asked(_path(kind, namespace) + query)
    assert found is not None, f"the API server knows no {kind}"
    return list(found["items"])


def create(document: Json, namespace: str, **query: str) -> Json:
    """Strictly: a field that nobody knows is a fault. Raises Refused."""
    return _written("POST", _path(document["kind"].lower(), namespace), document, query)


def judged(document: Json, namespace: str) -> Json:
    """What would be stored. Raises Refused."""
    return create(document, namespace, dryRun="All")


def patch(kind: str, name: str, namespace: str, change: Json, **query: str) -> Json:
    """Merged into it, as ``kubectl patch --type=merge``. Raises Refused."""
    return _written("PATCH", f"{_path(kind, namespace)}/{name}", change, query, MERGED)


def apply(document: Json) -> Json:
    """As ``kubectl apply --server-side --validate=strict``. Raises Refused."""
    metadata = document["metadata"]
    path = _path(document["kind"].lower(), metadata.get("namespace", ""))
    query = {"fieldManager": MANAGER}
    return _written("PATCH", f"{path}/{metadata['name']}", document, query, APPLIED)


def delete(kind: str, name: str, namespace: str) -> None:
    """Begins to; one that is not there is gone."""
    _asked(f"{_path(kind, namespace)}/{name}", "DELETE")


def _path(kind: str, namespace: str) -> str:
    word = kind.partition(".")[0]
    plural = PLURALS.get(word, word if word.endswith("s") else f"{word}s")
    place = "" if plural in NOWHERE or not namespace else f"/namespaces/{namespace}"
    return f"{GROUPS.get(plural, CORE)}{place}/{plural}"


def _written(method: str, path: str, body: Json, query: dict[str, str], how: str = JSON) -> Json:
    strictly = urlencode({"fieldValidation": "Strict", **query})
    stored = _asked(f"{path}?{strictly}", method, body, how)
    assert stored is not None, f"{method} {path}: there is no such object"
    return stored


def _asked(
    path: str, method: str = "GET", body: Json | None = None, how: str = JSON
) -> Json | None:
    """None: not there."""
    client = _client()
    headers: dict[str, str] = {"Accept": JSON, "Content-Type": how}
    client.update_params_for_auth(headers, [], ["BearerToken"], "", method, None)
    answer = client.rest_client.pool_manager.request(
        method,
        client.configuration.host + path,
        body=None if body is None else json.dumps(body),
        headers=headers,
        timeout=REQUEST_SECONDS_MAX,
    )
    content = answer.data
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if answer.status >= HTTPStatus.BAD_REQUEST:
        words = content.decode(errors="replace")
        with contextlib.suppress(ValueError):
            words = json.loads(content)["message"]
        raise Refused(f"{method} {path}: {answer.status}, {words}")
    return dict(json.loads(content))


@functools.cache
def _client() -> ApiClient:
    """For KUBECONFIG's cluster; the library looks for that when it is imported, and it is set later
    where a cluster is started first."""
    client: ApiClient = config.new_client_from_config(os.environ.get("KUBECONFIG"))
    return client
