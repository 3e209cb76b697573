"""Reads objects of the cluster by the Kubernetes client.

A test that waits asks several times a second, and each kubectl would take a tenth of a second of a
processor: with three tests at once, most of what a small machine has.
"""

from __future__ import annotations

import functools
import json
import os
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from kubernetes import config
from kubernetes.client import ApiClient

Json = dict[str, Any]

READ_SECONDS_MAX = 60.0

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


class ReadFailed(AssertionError):
    """With the API server's own words."""


def find(kind: str, name: str, namespace: str) -> Json | None:
    """Kinds as kubectl's: ``pod``, ``pods``, ``sdb``, ``events.events.k8s.io``."""
    return _asked(f"{_path(kind, namespace)}/{name}")


def get(kind: str, name: str, namespace: str) -> Json:
    found = find(kind, name, namespace)
    assert found is not None, f"no {kind} {name} in {namespace}"
    return found


def listed(kind: str, namespace: str, selector: str = "") -> list[Json]:
    query = f"?{urlencode({'labelSelector': selector})}" if selector else ""
    found = _asked(_path(kind, namespace) + query)
    assert found is not None, f"the API server knows no {kind}"
    return list(found["items"])


def _path(kind: str, namespace: str) -> str:
    word = kind.partition(".")[0]
    plural = PLURALS.get(word, word if word.endswith("s") else f"{word}s")
    place = "" if plural in NOWHERE else f"/namespaces/{namespace}"
    return f"{GROUPS.get(plural, CORE)}{place}/{plural}"


def _asked(path: str) -> Json | None:
    """None: not there."""
    client = _client()
    headers: dict[str, str] = {"Accept": "application/json"}
    client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
    url = client.configuration.host + path
    answer = client.rest_client.request(
        "GET", url, headers=headers, _request_timeout=READ_SECONDS_MAX
    )
    content = answer.read()
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if answer.status != HTTPStatus.OK:
        raise ReadFailed(f"GET {path}: {answer.status}, {content.decode(errors='replace')}")
    return dict(json.loads(content))


@functools.cache
def _client() -> ApiClient:
    """For KUBECONFIG's cluster; the library looks for that when it is imported, and it is set later
    where a cluster is started first."""
    client: ApiClient = config.new_client_from_config(os.environ.get("KUBECONFIG"))
    return client
