"""The Torpor that is installed on the cluster of KUBECONFIG, as a benchmark needs it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from rig.client import Target
from rig.table import fill
from torpor_api.chain import Step
from torpor_api.failures import Busy, NotFound
from torpor_cli.kubernetes.cluster import OnCluster, on_cluster

SYSTEM = "torpor-system"
RELEASE = "torpor"
SPACE = "torpor-bench"
"""The namespace of the benchmark's own databases."""

WAIT_SECONDS_MAX = 120.0
LOOK_SECONDS = 0.05
REACH_SECONDS_MAX = 2.0
POSTGRES_PORT = 5432

Json = dict[str, Any]


def kubectl(*arguments: str, stdin: str = "") -> str:
    """What it prints. Raises SystemExit with what it complained about."""
    done = subprocess.run(
        ["kubectl", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def until(holds: Callable[[], bool], what: str, seconds_max: float = WAIT_SECONDS_MAX) -> None:
    deadline = time.monotonic() + seconds_max
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds_max:g} s not so: {what}")
        time.sleep(LOOK_SECONDS)


def warm_computes() -> list[str]:
    """Ready, and serving nobody."""
    pods = _pods("app.kubernetes.io/component=compute,!torpor.dev/database")
    return [
        pod["metadata"]["name"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"] and _is_ready(pod)
    ]


def is_pool_at_rest() -> bool:
    """As many wait as shall, and no pod of a compute is being made or ended beside them."""
    found = kubectl("get", "warmpool", "default", "--namespace", SYSTEM, "--output", "json")
    wanted = json.loads(found)["status"].get("wanted", 0)
    going_on = [
        pod
        for pod in _pods("app.kubernetes.io/component=compute")
        if pod["status"]["phase"] not in ("Succeeded", "Failed") and not _is_ready(pod)
    ]
    return not going_on and len(warm_computes()) >= wanted


def _pods(labels: str) -> list[Json]:
    found = kubectl("get", "pods", "--namespace", SYSTEM, "--selector", labels, "--output", "json")
    pods: list[Json] = json.loads(found)["items"]
    return pods


def _is_ready(pod: Json) -> bool:
    return any(
        one["type"] == "Ready" and one["status"] == "True"
        for one in pod["status"].get("conditions", ())
    )


def keep_warm(count: int) -> None:
    """So many computes wait from now on, whatever comes."""
    _size_pool({"min": count, "missesPerThousand": 1000})
    until(lambda: bool(warm_computes()) == bool(count), f"{count} computes are warm")


@contextlib.contextmanager
def pool_as_before() -> Iterator[None]:
    """Behind it, whatever is made of it within."""
    found = kubectl("get", "warmpool", "default", "--namespace", SYSTEM, "--output", "json")
    before = json.loads(found)["spec"]["size"]
    try:
        yield
    finally:
        _size_pool({name: before.get(name) for name in ("min", "max", "missesPerThousand")})


def _size_pool(size: Json) -> None:
    """What is None is left to its default."""
    patch = json.dumps({"spec": {"size": size}})
    options = ("--namespace", SYSTEM, "--type=merge", f"--patch={patch}")
    kubectl("patch", "warmpool", "default", *options)


class Release:
    """One database on it, which sleeps when the benchmark says so."""

    def __init__(self, place: OnCluster, name: str, target: Target) -> None:
        self._place = place
        self.name = name
        self.target = target
        self._seen: Json = {}
        """When the last wake was that is known of."""

    def suspend(self) -> None:
        until(self._is_suspended, "the database sleeps")
        self._seen = self._last()

    def _is_suspended(self) -> bool:
        try:
            self._place.ask_autoscaler("Suspend", name=self.name)
        except Busy:
            # A session is being looked at in this very moment; it says so itself.
            return False
        return True

    def resize(self, cu: float) -> None:
        """As a person does; until its next sleep."""
        self._place.ask_autoscaler("Resize", name=self.name, cu=cu)

    def status(self) -> Json:
        resource: Json = self._place.ask_cluster("GetResource", name=self.name)["resource"]
        return dict(resource["status"])

    def steps(self) -> list[Step]:
        """Of the wake since its last sleep, once they are written."""
        until(self._is_chain_whole, "the chain of the wake is written")
        return [Step(**step) for step in self._last()["steps"]]

    def _is_chain_whole(self) -> bool:
        """Of another wake: two may be of one second, but none took as long as another."""
        last = self._last()
        return last != self._seen and last["steps"][-1]["name"] == "first row"

    def _last(self) -> Json:
        return self.status().get("lastResume") or {}


@contextlib.contextmanager
def release(database: str, **spec: Any) -> Iterator[Release]:
    """With a database of pgbench's tables, asleep."""
    kubectl("get", "deployment", f"{RELEASE}-proxy", "--namespace", SYSTEM)
    place = on_cluster(None, None, SPACE)
    kubectl("create", "namespace", SPACE)
    try:
        document = {
            "metadata": {"name": database, "namespace": SPACE},
            "spec": {"idleTimeout": "1h", "deletionPolicy": "Delete", **spec},
        }
        place.ask_cluster("ApplyResource", resource=document)
        name = f"{database}.{SPACE}"
        place.ask_autoscaler("AwaitKnown", name=name, generation=1)
        found = Release(place, name, _target(place, name))
        # The pgbench that is installed with Torpor has no TLS.
        fill(dataclasses.replace(found.target, tls=False))
        found.suspend()
        yield found
    finally:
        kubectl("delete", "namespace", SPACE)


def _target(place: OnCluster, name: str) -> Target:
    """The proxy's Service, as a pod on this node reaches it; the database by its own name."""
    until(lambda: _has_credentials(place, name), "the database has credentials")
    known = place.connection(name)
    found = json.loads(
        kubectl("get", "service", f"{RELEASE}-proxy", "--namespace", SYSTEM, "--output", "json")
    )
    address = str(found["spec"]["clusterIP"])
    try:
        socket.create_connection((address, POSTGRES_PORT), REACH_SECONDS_MAX).close()
    except OSError as error:
        raise SystemExit(f"this machine is no node: {address}:{POSTGRES_PORT}: {error}") from None
    return Target(
        host=address,
        port=POSTGRES_PORT,
        user=known.role,
        database=known.database,
        password=known.password or "",
        options=f"endpoint={name}",
        tls=True,
    )


def _has_credentials(place: OnCluster, name: str) -> bool:
    try:
        return bool(place.connection(name).password)
    except NotFound:
        return False
