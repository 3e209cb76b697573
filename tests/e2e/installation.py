"""Torpor on the cluster, as its clients and its people see it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import NAMESPACE, RELEASE
from e2e.kubectl import COMMAND_SECONDS_MAX, Json, delete, get, listed, secret, until

POSTGRES_PORT = 5432

REACH_SECONDS_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Installation:
    """Where clients on this machine reach the proxy, and whom they trust."""

    host: str
    port: int
    ca: Path


@contextlib.contextmanager
def reached() -> Iterator[Installation]:
    """By the Service's own address where this machine can reach it, else by a forwarded port."""
    address = get("service", f"{RELEASE}-proxy", NAMESPACE)["spec"]["clusterIP"]
    with tempfile.TemporaryDirectory(prefix="torpor-e2e-") as folder:
        ca = Path(folder) / "ca.crt"
        ca.write_text(secret("torpor-proxy-server-tls", NAMESPACE)["ca.crt"])
        if _answers(address, POSTGRES_PORT):
            yield Installation(address, POSTGRES_PORT, ca)
            return
        with _forwarded() as port:
            yield Installation("127.0.0.1", port, ca)


def pods(component: str) -> list[str]:
    """The names of those that are not on their way out."""
    found = listed("pods", NAMESPACE, f"app.kubernetes.io/component={component}")
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def leader() -> str:
    """The name of the autoscaler's pod to which its Service leads; waits for one."""
    chosen = "app.kubernetes.io/component=autoscaler,torpor.dev/leader=true"

    def leading() -> list[str]:
        found = listed("pods", NAMESPACE, chosen)
        return [pod["metadata"]["name"] for pod in found if _is_ready(pod)]

    until(lambda: len(leading()) == 1, "one autoscaler leads")
    return leading()[0]


def end(component: str, *options: str) -> list[str]:
    """Its pods are told to end; the next ones come by themselves. Waits for neither."""
    ended = pods(component)
    for pod in ended:
        delete("pod", pod, NAMESPACE, "--wait=false", *options)
    return ended


def are_replaced(component: str, ended: list[str]) -> None:
    """Waits until as many others are Ready."""

    def are() -> bool:
        found = listed("pods", NAMESPACE, f"app.kubernetes.io/component={component}")
        ready = {pod["metadata"]["name"] for pod in found if _is_ready(pod)}
        return len(ready - set(ended)) >= len(ended)

    until(are, f"there is another {component} for each of {', '.join(ended)}")


def who_ends_has_ended(component: str) -> None:
    """Waits until none of its pods is on its way out."""

    def have() -> bool:
        found = listed("pods", NAMESPACE, f"app.kubernetes.io/component={component}")
        return not any("deletionTimestamp" in pod["metadata"] for pod in found)

    until(have, f"no {component} is on its way out")


def warm_computes() -> list[str]:
    """Ready, and serving nobody."""
    chosen = "app.kubernetes.io/component=compute,!torpor.dev/database"
    return [pod["metadata"]["name"] for pod in listed("pods", NAMESPACE, chosen) if _is_ready(pod)]


def _is_ready(pod: Json) -> bool:
    """And stays."""
    return "deletionTimestamp" not in pod["metadata"] and any(
        one["type"] == "Ready" and one["status"] == "True"
        for one in pod["status"].get("conditions", ())  # None before its node has seen it.
    )


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), REACH_SECONDS_MAX):
        return True
    return False


@contextlib.contextmanager
def _forwarded() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    target = (f"service/{RELEASE}-proxy", f"{port}:{POSTGRES_PORT}")
    forwarding = subprocess.Popen(
        ["kubectl", "port-forward", "--namespace", NAMESPACE, *target],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: _answers("127.0.0.1", port), "the forwarded port answers")
        yield port
    finally:
        forwarding.terminate()
        forwarding.wait(COMMAND_SECONDS_MAX)
