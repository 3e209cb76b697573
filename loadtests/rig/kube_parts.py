"""Operator and autoscaler as processes of this machine, for the cluster of KUBECONFIG.

Pods would do the same; of a process on this machine memory and processor time are read exactly. A
Torpor that is installed on the cluster would provide for the same databases, so there must be none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rig.kube_door import Door, work
from torpor_kube.kinds import NAMESPACE, WARM_POOL
from torpor_kube.port import Document, Kube

ROOT = Path(__file__).parents[2]

SYSTEM = "torpor-bench-system"
DATABASES = "torpor-bench"

STEP_SECONDS_MAX = 120.0
END_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.2

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def kubectl(*arguments: str) -> str:
    """What it prints."""
    done = subprocess.run(
        ["kubectl", *arguments], capture_output=True, text=True, timeout=STEP_SECONDS_MAX
    )
    if done.returncode != 0:
        raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def install_resources() -> None:
    """The custom resources; nothing of a Torpor that is installed already."""
    parts = ("deployments", "--all-namespaces", "--selector=app.kubernetes.io/name=torpor")
    if found := kubectl("get", *parts, "--output=name").split():
        raise SystemExit(
            f"a Torpor is installed on this cluster ({found[0]}) and would provide for the same "
            "databases: uninstall it, or measure on another cluster"
        )
    definitions = ("-k", str(ROOT / "manifests/crds"))
    kubectl("apply", "--server-side", "--force-conflicts", *definitions)
    names = ("crd/serverlessdatabases.torpor.dev", "crd/warmpools.torpor.dev")
    kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)


async def make_namespaces(kube: Kube) -> None:
    """With a pool in which no compute waits: nobody is going to be woken."""
    for name in (SYSTEM, DATABASES):
        await kube.create(NAMESPACE, {"metadata": {"name": name}})
    pool: Document = {
        "metadata": {"name": "default", "namespace": SYSTEM},
        "spec": {"size": {"min": 0, "max": 10}},
    }
    await kube.create(WARM_POOL, pool)


def remove_namespaces() -> None:
    """And what a measurement that failed has left in them, which no operator lets go any more."""
    for kind, namespace in (("serverlessdatabases", DATABASES), ("warmpools", SYSTEM)):
        where = f"--namespace={namespace}"
        for name in kubectl("get", kind, where, "--output=name").split():
            free = ("--type=merge", '--patch={"metadata":{"finalizers":null}}')
            kubectl("patch", name, where, *free)
    kubectl("delete", "namespace", DATABASES, SYSTEM, "--wait=false")


@contextlib.contextmanager
def process(name: str, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m NAME``, told to end at the end of the block."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", name, *arguments], stdout=output, stderr=output, env=environment
        )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(END_SECONDS_MAX)


@contextlib.contextmanager
def operator(door: Door, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """It leads, and has begun to ask."""
    before = work(door.counts())
    with process(
        "torpor_operator",
        *(f"--kubeconfig={door.kubeconfig}", f"--namespace={SYSTEM}"),
        *(f"--watch-namespace={DATABASES}", "--compute-image=none", f"--run-dir={folder}/operator"),
        *(f"--health=127.0.0.1:{_free_port()}", "--identity=bench"),
        log=folder / "operator.log",
    ) as child:
        deadline = time.monotonic() + STEP_SECONDS_MAX
        while work(door.counts()) == before:
            assert time.monotonic() < deadline, "the operator asks nothing"
            time.sleep(LOOK_SECONDS)
        yield child


def autoscaler(
    door: Door, folder: Path
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    return process(
        "torpor_autoscaler",
        *("--cluster=kubernetes", f"--kubeconfig={door.kubeconfig}"),
        *(f"--system-namespace={SYSTEM}", "--warm=0", f"--listen={folder}/autoscaler.sock"),
        "--advertise=*.svc:5432",
        log=folder / "autoscaler.log",
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def processor_seconds(pid: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def settled(reading: Callable[[], int], quiet_seconds: float) -> int:
    """The reading once it has stayed the same for so long."""
    value, since = reading(), time.monotonic()
    deadline = since + STEP_SECONDS_MAX
    while time.monotonic() - since < quiet_seconds:
        assert time.monotonic() < deadline, "it does not come to rest"
        time.sleep(LOOK_SECONDS)
        if (now := reading()) != value:
            value, since = now, time.monotonic()
    return value
