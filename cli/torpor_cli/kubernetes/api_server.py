"""The API server, asked one question after another, as the person whom a kubeconfig names."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.client.rest import RESTResponse
from kubernetes.stream.ws_client import portforward_call

from torpor_api.failures import InvalidRequest, Unavailable
from torpor_api.identity import DEFAULT_NAMESPACE
from torpor_kube.answers import failure_of
from torpor_kube.kinds import POD, Kind
from torpor_kube.port import Document

MANAGER = "torpor-cli"
"""The field manager of what a person applies."""

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

REQUEST_SECONDS_MAX = 15.0
"""A healthy server needs milliseconds; a distant one, and a login by a program, some seconds."""


class ApiServer:
    """One context of a kubeconfig. Raises InvalidRequest where there is none of that name."""

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        file = None if kubeconfig is None else str(kubeconfig)
        configuration = Configuration()
        # Nobody waits for the fourth attempt at a server that is not there.
        configuration.retries = False
        try:
            contexts, current = config.list_kube_config_contexts(config_file=file)
            chosen = next((one for one in contexts if one["name"] == context), current)
            if context is not None and chosen["name"] != context:
                names = ", ".join(one["name"] for one in contexts)
                raise InvalidRequest(f"no context {context!r} in the kubeconfig: there is {names}")
            config.load_kube_config(file, context=context, client_configuration=configuration)
        except (config.ConfigException, OSError) as error:
            raise InvalidRequest(
                f"no way to a cluster: {error}",
                hint="name a file with --kubeconfig FILE, or set KUBECONFIG",
            ) from None
        self.namespace = str(chosen["context"].get("namespace") or DEFAULT_NAMESPACE)
        self._client = ApiClient(configuration)

    def get(self, kind: Kind, name: str, namespace: str) -> Document:
        return self._ask("GET", kind.path(namespace, name))

    def listed(self, kind: Kind, namespace: str = "", *, labels: str = "") -> list[Document]:
        """Of all namespaces where none is named."""
        query = {"labelSelector": labels}
        return list(self._ask("GET", kind.path(namespace), query).get("items") or ())

    def apply(self, kind: Kind, document: Document) -> Document:
        """Server-side: fields of other managers stay; those of the document are this person's."""
        metadata = document["metadata"]
        typed = {**document, "apiVersion": kind.api_version, "kind": kind.kind}
        path = kind.path(metadata["namespace"], metadata["name"])
        query = {"fieldManager": MANAGER, "force": "true"}
        return self._ask("PATCH", path, query, typed, APPLY)

    def merge(self, kind: Kind, name: str, namespace: str, patch: Document) -> Document:
        query = {"fieldManager": MANAGER}
        return self._ask("PATCH", kind.path(namespace, name), query, patch, MERGE)

    def delete(self, kind: Kind, name: str, namespace: str, *, uid: str) -> None:
        """That very object, and none that has taken its name since."""
        conditions = {"preconditions": {"uid": uid}}
        self._ask("DELETE", kind.path(namespace, name), body=conditions)

    def forwarded(self, pod: str, namespace: str, port: int) -> socket.socket:
        """A connection to a port of a pod, through the API server and the pod's kubelet."""
        path = POD.path(namespace, pod, "portforward")
        headers = self._headers("GET")
        url = f"{self._client.configuration.host}{path}"
        try:
            forwarding = portforward_call(
                self._client.configuration,
                "GET",
                url,
                headers=headers,
                query_params=[("ports", str(port))],
            )
        except ApiException as error:
            raise Unavailable(
                f"the API server forwards no port of pod {pod}: {error.reason}",
                hint=f"kubectl auth can-i create pods/portforward --namespace {namespace}",
            ) from None
        return socket.socket(fileno=forwarding.socket(port).detach())

    def _ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Document | None = None,
        content_type: str = "application/json",
    ) -> Document:
        given = urlencode({key: value for key, value in (query or {}).items() if value})
        url = f"{self._client.configuration.host}{path}" + (f"?{given}" if given else "")
        headers = self._headers(method) | {"Content-Type": content_type}
        try:
            response: RESTResponse = self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=REQUEST_SECONDS_MAX
            )
            content = response.read()
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise Unavailable(f"the API server can't be asked {method} {path}: {error}") from None
        if not 200 <= response.status < 300:
            raise failure_of(response.status, content, f"{method} {path}")
        found: Document = json.loads(content)
        return found

    def _headers(self, method: str) -> dict[str, Any]:
        headers: dict[str, Any] = {"Accept": "application/json"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], "", method, None)
        return headers
