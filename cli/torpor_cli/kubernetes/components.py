"""The autoscaler and the proxies of a cluster, reached through the API server.

A person needs three rights in the namespace of the release, which the chart's Role ``…-people``
has: to find the pods, to forward their ports, and to read the certificate that the autoscaler wants
to see, ``client.torpor``.
"""

from __future__ import annotations

import base64
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

from torpor_api.failures import Refused, Unavailable
from torpor_channel.tls import AUTOSCALER, Identity
from torpor_cli.client import Json, ask_over
from torpor_cli.kubernetes.api_server import ApiServer
from torpor_cli.place import NotAllowed
from torpor_kube.documents import condition, metadata, name_of
from torpor_kube.kinds import POD, SECRET
from torpor_kube.names import AUTOSCALER_PORT, COMPONENT_LABEL, LEADER_LABEL, NAME_LABEL
from torpor_kube.port import Document

CLIENT_TLS_SECRET = "torpor-client-tls"
"""Made by the operator, beside those of the components."""

POSTGRES_PORT = 5432
"""Of a proxy's pod."""


def ask_autoscaler(
    api: ApiServer, system: str, request: str, body: dict[str, Any], timeout_s: float
) -> Json:
    """``system``: the namespace of the release that the database belongs to."""
    try:
        identity = _identity(api.get(SECRET, CLIENT_TLS_SECRET, system))
        forwarded = _forwarded(api, system, "autoscaler", AUTOSCALER_PORT, leads=True)
    except Refused as refused:  # By the API server; the autoscaler's own refusals come later.
        raise NotAllowed(refused.message, refused.hint) from None
    with forwarded as raw:
        raw.settimeout(timeout_s)
        try:
            connection = identity.wrap_socket(raw, server_hostname=AUTOSCALER)
        except OSError as error:
            raise Unavailable(f"the autoscaler in {system} is not to be reached: {error}") from None
        with connection:
            return ask_over(connection, "the autoscaler", request, body, timeout_s)


def proxy_port(api: ApiServer, system: str) -> socket.socket:
    """A connection to where a proxy listens for clients."""
    return _forwarded(api, system, "proxy", POSTGRES_PORT)


def dashboard_port(api: ApiServer, system: str, port: int) -> socket.socket:
    """A connection to where the autoscaler that leads serves the dashboard: to its own loopback,
    which nobody else on the cluster's network reaches."""
    return _forwarded(api, system, "autoscaler", port, leads=True)


def _forwarded(
    api: ApiServer, system: str, component: str, port: int, *, leads: bool = False
) -> socket.socket:
    """``leads``: not to one that stands by."""
    labels = f"{NAME_LABEL}=torpor,{COMPONENT_LABEL}={component}"
    chosen = f"{labels},{LEADER_LABEL}=true" if leads else labels
    ready = [pod for pod in api.listed(POD, system, labels=chosen) if _is_there(pod)]
    if not ready:
        raise Unavailable(
            f"no {component} {'leads' if leads else 'is ready'} in the namespace {system}",
            hint=f"kubectl get pods --namespace {system} --selector {labels}",
        )
    return api.forwarded(name_of(ready[0]), system, port)


def _is_there(pod: Document) -> bool:
    return condition(pod, "Ready") == "True" and "deletionTimestamp" not in metadata(pod)


def _identity(secret: Document) -> ssl.SSLContext:
    """Python's TLS reads keys from files only: in a folder of our own, for a moment."""
    with tempfile.TemporaryDirectory(prefix="torpor-") as made:
        folder = Path(made)
        for name, value in (secret.get("data") or {}).items():
            (folder / name).write_bytes(base64.b64decode(value))
        return Identity(folder).for_client()
