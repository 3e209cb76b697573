"""The API server, asked one question after another, as the person whom a kubeconfig names."""

from __future__ import annotations

import contextlib
import functools
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

import urllib3
import websocket
from kubernetes import config
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.client.rest import RESTResponse
from kubernetes.stream.ws_client import (
    STDERR_CHANNEL,
    STDOUT_CHANNEL,
    WSClient,
    get_websocket_url,
    portforward_call,
)

from torpor_api.brief import in_one_line
from torpor_api.failures import InvalidRequest, Unavailable
from torpor_api.identity import DEFAULT_NAMESPACE
from torpor_cli.place import NotAllowed
from torpor_kube.answers import failure_of
from torpor_kube.kinds import POD, Kind
from torpor_kube.port import Document

MANAGER = "torpor-cli"
"""The field manager of what a person applies."""

JSON = "application/json"
METADATA_ONLY = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{JSON}"
"""A list of objects without spec and status; whole where a server does not know that."""

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

REQUEST_SECONDS_MAX = 15.0
"""A healthy server needs milliseconds; a distant one, and a login by a program, some seconds."""


PAGE_ITEMS_MAX = 500
"""Of a list: databases have 3 KB each."""

HANDSHAKE_FORBIDDEN = "Handshake status 403"
"""In the words of the client library, which tells no status of a WebSocket that was refused."""

HANDSHAKE_SEPARATOR = "-+-+- "
"""Of what it puts into them."""

LOG_BYTES_MAX = 16 << 20
"""Of one answer with a pod's log, which is as much as is kept of one on one machine."""

ResultT = TypeVar("ResultT")


def _within(seconds: float, call: Callable[[], ResultT]) -> ResultT:
    """What the call gives, which has no limit of its own. Raises TimeoutError; nobody waits for the
    call then, nor does the process at its end."""
    outcome: queue.SimpleQueue[tuple[ResultT | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return cast(ResultT, result)


def refusal(text: str) -> str:
    """What the server answered to whoever asked for a WebSocket, of the client library's words: in
    these are all headers as well, and the answer stands behind them."""
    try:
        return str(json.loads(text.rpartition(HANDSHAKE_SEPARATOR)[2])["message"])
    except (ValueError, TypeError, KeyError):
        return in_one_line(text)


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
        return _document(self._answer("GET", kind.path(namespace, name)))

    def listed(self, kind: Kind, namespace: str = "", *, labels: str = "") -> list[Document]:
        """Of all namespaces where none is named. In parts, each within the time of a request."""
        query = {"labelSelector": labels, "limit": str(PAGE_ITEMS_MAX)}
        return list(self._pages(kind, namespace, query, JSON))

    def first(
        self, kind: Kind, namespace: str, holds: Callable[[Document], bool]
    ) -> Document | None:
        """One of which something holds, of as few pages as that takes."""
        query = {"limit": str(PAGE_ITEMS_MAX)}
        return next(filter(holds, self._pages(kind, namespace, query, JSON)), None)

    def names(self, kind: Kind, namespace: str) -> Iterator[tuple[str, str]]:
        """Namespace and name of each, without the rest."""
        query = {"limit": str(PAGE_ITEMS_MAX)}
        for found in self._pages(kind, namespace, query, METADATA_ONLY):
            yield found["metadata"]["namespace"], found["metadata"]["name"]

    def _pages(
        self, kind: Kind, namespace: str, query: dict[str, str], accept: str
    ) -> Iterator[Document]:
        while True:
            page = _document(self._answer("GET", kind.path(namespace), query, accept=accept))
            yield from page.get("items") or ()
            query["continue"] = str((page.get("metadata") or {}).get("continue") or "")
            if not query["continue"]:
                return

    def apply(self, kind: Kind, document: Document) -> Document:
        """Server-side: fields of other managers stay; those of the document are this person's."""
        metadata = document["metadata"]
        typed = {**document, "apiVersion": kind.api_version, "kind": kind.kind}
        path = kind.path(metadata["namespace"], metadata["name"])
        query = {"fieldManager": MANAGER, "force": "true"}
        return _document(self._answer("PATCH", path, query, typed, APPLY))

    def merge(self, kind: Kind, name: str, namespace: str, patch: Document) -> Document:
        query = {"fieldManager": MANAGER}
        return _document(self._answer("PATCH", kind.path(namespace, name), query, patch, MERGE))

    def delete(self, kind: Kind, name: str, namespace: str, *, uid: str) -> None:
        """That very object, and none that has taken its name since."""
        conditions = {"preconditions": {"uid": uid}}
        self._answer("DELETE", kind.path(namespace, name), body=conditions)

    def forwarded(self, pod: str, namespace: str, port: int) -> socket.socket:
        """A connection to a port of a pod, through the API server and the pod's kubelet."""
        path = POD.path(namespace, pod, "portforward")
        forward = functools.partial(
            portforward_call,
            self._client.configuration,
            "GET",
            f"{self._client.configuration.host}{path}",
            headers=self._headers("GET"),
            query_params=[("ports", str(port))],
        )
        try:
            forwarding = _within(REQUEST_SECONDS_MAX, forward)
        except ApiException as error:
            reason = str(error.reason)
            failure = NotAllowed if HANDSHAKE_FORBIDDEN in reason else Unavailable
            raise failure(
                f"the API server forwards no port of pod {pod}: {refusal(reason)}",
                hint=f"kubectl auth can-i create pods/portforward --namespace {namespace}",
            ) from None
        except TimeoutError:
            raise Unavailable(
                f"the API server forwards no port of pod {pod} within {REQUEST_SECONDS_MAX:g} s"
            ) from None
        return socket.socket(fileno=forwarding.socket(port).detach())

    def log(self, pod: str, namespace: str, container: str, since: dict[str, str]) -> list[str]:
        """Lines, each behind its time and a space; ``since``: sinceSeconds or sinceTime."""
        query = {"container": container, "timestamps": "true", "limitBytes": str(LOG_BYTES_MAX)}
        content = self._answer("GET", POD.path(namespace, pod, "log"), query | since)
        return content.decode(errors="replace").splitlines()

    def run(
        self, pod: str, namespace: str, container: str, argv: Sequence[str]
    ) -> tuple[int, bytes]:
        """A command in a container: its exit status, and what it has printed. Raises Unavailable,
        with what it complains of, where that is not there to be known."""
        path = POD.path(namespace, pod, "exec")
        query = [("container", container), ("stdout", "true"), ("stderr", "true")]
        query += [("command", word) for word in argv]
        url = get_websocket_url(f"{self._client.configuration.host}{path}", query)

        def ran() -> tuple[int, bytes]:
            headers = self._headers("GET")
            channels = WSClient(self._client.configuration, url, headers, False, binary=True)
            # The server has hung up then: there is nobody to take leave of, as close() would.
            with contextlib.closing(channels.sock.sock):
                channels.run_forever(timeout=REQUEST_SECONDS_MAX)
                told = channels.read_channel(STDOUT_CHANNEL)
                complaint = channels.read_channel(STDERR_CHANNEL).decode(errors="replace")
                status = channels.returncode
            if status is None:
                raise Unavailable(f"{argv[0]} in pod {pod} does not end: {complaint}")
            return status, told

        try:
            return _within(2 * REQUEST_SECONDS_MAX, ran)
        except (websocket.WebSocketException, OSError, KeyError) as error:
            failure = NotAllowed if HANDSHAKE_FORBIDDEN in str(error) else Unavailable
            raise failure(
                f"the API server runs nothing in pod {pod}: {refusal(str(error))}",
                hint=f"kubectl auth can-i create pods/exec --namespace {namespace}",
            ) from None

    def _answer(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Document | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> bytes:
        given = urlencode({key: value for key, value in (query or {}).items() if value})
        url = f"{self._client.configuration.host}{path}" + (f"?{given}" if given else "")
        headers = self._headers(method) | {"Content-Type": content_type, "Accept": accept}
        try:
            response: RESTResponse = self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=REQUEST_SECONDS_MAX
            )
            content: bytes = response.read()
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise Unavailable(f"the API server can't be asked {method} {path}: {error}") from None
        if not 200 <= response.status < 300:
            raise failure_of(response.status, content, f"{method} {path}")
        return content

    def _headers(self, method: str) -> dict[str, Any]:
        headers: dict[str, Any] = {"Accept": JSON}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], "", method, None)
        return headers


def _document(answer: bytes) -> Document:
    found: Document = json.loads(answer)
    return found
