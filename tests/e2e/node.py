"""What befalls a node: where this machine is the cluster's only node, its processes are here.

Found by what they are and never by whose tool started them: the kubelet by its command line, the
processes of a pod by their control group.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.kubectl import Json, until

AGENT = ("-m", "torpor_compute")
"""How the command line of a compute's agent goes on after its program."""

LEASE_SECONDS = 5.0
"""Between two renewals of a node's Lease, which holds for forty."""

API_SERVER = "kubernetes.io/service-name=kubernetes"

CHAINS = ("INPUT", "OUTPUT", "FORWARD")


def name() -> str:
    """Of the only node. Skips the test where there are several."""
    nodes = [node["metadata"]["name"] for node in kubectl.listed("nodes", "default")]
    if len(nodes) != 1:
        pytest.skip(f"NOT TESTED: {len(nodes)} nodes, of which none may be this machine")
    return str(nodes[0])


def needs_to_be_here() -> None:
    """Skips the test where the node's processes can't be reached."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root reaches the processes of a node")
    if not shutil.which("iptables"):
        pytest.skip("NOT TESTED: no iptables, so no pod can be cut off")
    if len(_kubelets()) != 1:
        pytest.skip("NOT TESTED: the node is not this machine: no kubelet runs here")


def is_ready() -> bool:
    """As the cluster believes."""
    (node,) = kubectl.listed("nodes", "default")
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


# --- the kubelet ------------------------------------------------------------------------------


@contextlib.contextmanager
def silent_kubelet() -> Iterator[None]:
    """It neither hears nor says anything of its pods; what it has started runs on.

    Its Lease is renewed for it: were the only node not Ready, no compute on it would be, and nobody
    could take over.
    """
    (kubelet,) = _kubelets()
    os.kill(kubelet, signal.SIGSTOP)
    is_over = Event()
    with ThreadPoolExecutor(1) as threads:
        renewing = threads.submit(_renew_lease_until, is_over)
        try:
            yield
        finally:
            is_over.set()
            os.kill(kubelet, signal.SIGCONT)
            renewing.result()
            _is_back()


def _renew_lease_until(is_over: Event) -> None:
    while not is_over.wait(LEASE_SECONDS):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        patch = json.dumps({"spec": {"renewTime": now}})
        where = ("lease", name(), "--namespace", "kube-node-lease")
        kubectl.kubectl("patch", *where, "--type=merge", "--patch", patch)


def count_as_silent() -> None:
    """As the node controller says of a node whose Lease has run out; pods stay as they are."""
    condition = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    patch = json.dumps({"status": {"conditions": [condition]}})
    kubectl.kubectl("patch", "node", name(), "--subresource=status", "--patch", patch)


def _is_back() -> None:
    until(is_ready, "the node is Ready again")
    # While it was not, what was on it may have been told to go.
    for deployment in kubectl.listed("deployments", NAMESPACE):
        which = deployment["metadata"]["name"]
        kubectl.wait_for("deployment", which, NAMESPACE, "condition=Available")


def _kubelets() -> list[int]:
    return [pid for pid in _all() if _is_kubelet(_words(pid))]


def _is_kubelet(words: list[str]) -> bool:
    """By its own name, or that of a program that is all of Kubernetes."""
    return any(Path(word).name == "kubelet" for word in words[:2])


# --- pods -------------------------------------------------------------------------------------


def processes_of(pod: Json) -> list[int]:
    """All of its containers'."""
    uid = pod["metadata"]["uid"]
    marks = (uid, uid.replace("-", "_"))
    return [pid for pid in _all() if any(mark in _text(pid, "cgroup") for mark in marks)]


def words_of(pid: int) -> list[str]:
    """Its command line."""
    return _words(pid)


def agent_of(pod: Json) -> int:
    """With it all others of a compute's container end. What it has just started looks like it."""
    return min(pid for pid in processes_of(pod) if _words(pid)[1:3] == [*AGENT])


def postmaster_of(pod: Json) -> int:
    """The process of its Postgres that starts all others; 0: there is none at this moment."""
    agent = agent_of(pod)
    children = _text(agent, f"task/{agent}/children").split()
    found = [int(pid) for pid in children if Path(_words(int(pid))[0]).name == "postgres"]
    return found[0] if found else 0


def kill(pod: Json) -> None:
    """The power fails in it."""
    for pid in processes_of(pod):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not processes_of(pod), "nothing of the pod runs")


def psql_within(pod: Json, database: str, statement: str) -> str:
    """As its agent: over the Unix socket, whatever has become of the pod's network."""
    inside = ("nsenter", f"--target={agent_of(pod)}", "--mount", "--pid", "--root", "--wd")
    psql = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
    done = subprocess.run(
        [*inside, *psql, "--host=/run/torpor", "--username=torpor_admin", database],
        input=statement,
        capture_output=True,
        text=True,
        timeout=kubectl.COMMAND_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextlib.contextmanager
def cut_off(pod: Json) -> Iterator[None]:
    """Nothing reaches the pod over its network, nor anybody from it."""
    address = pod["status"]["podIP"]
    with _dropped((side, address) for side in ("--source", "--destination")):
        yield


@contextlib.contextmanager
def without_api_server(pods: list[Json]) -> Iterator[None]:
    """What these pods say to it is lost, and they hear no refusal; everybody else is heard."""
    servers = [
        ("--destination", address, "--protocol", "tcp", "--dport", str(port["port"]))
        for found in kubectl.listed("endpointslices", "default", API_SERVER)
        for port in found["ports"]
        for endpoint in found["endpoints"]
        for address in endpoint["addresses"]
    ]
    sources = [("--source", pod["status"]["podIP"]) for pod in pods]
    with _dropped((*source, *server) for source in sources for server in servers):
        yield


@contextlib.contextmanager
def _dropped(packets: Iterable[tuple[str, ...]]) -> Iterator[None]:
    made: list[tuple[str, ...]] = []
    try:
        for rule in [(chain, *chosen) for chosen in packets for chain in CHAINS]:
            _firewall("--insert", *rule)
            made.append(rule)
        yield
    finally:
        for rule in made:
            _firewall("--delete", *rule)


def _firewall(what: str, chain: str, *packets: str) -> None:
    rule = ("iptables", "--wait", "10", what, chain, *packets, "--jump", "DROP")
    done = subprocess.run(rule, capture_output=True, text=True, timeout=30.0, check=False)
    assert done.returncode == 0, f"{' '.join(rule)}: {done.stderr}"


# --- processes --------------------------------------------------------------------------------


def _all() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _words(pid: int) -> list[str]:
    return _text(pid, "cmdline").split("\0")


def _text(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except OSError:
        return ""  # It has just ended.
