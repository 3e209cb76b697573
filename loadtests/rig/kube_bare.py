"""A bare Postgres in a pod like a compute's: its image, its limits, its volume, and no agent.

The pod runs nothing but a sleep; a program of this folder is executed in it, which copies the
database's data and then starts Postgres whenever it is told to.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rig.kube_release import SYSTEM, kubectl, until, warm_computes

RIG = Path(__file__).parent

NAME = "torpor-bench-bare"

MODULES = (
    "__init__.py",
    "bare_in_pod.py",
    "client.py",
    "postgres.py",
    "scram_client.py",
    "torpor.py",
)
"""The program and what it imports of this folder; Torpor's own packages are in the image."""

PYTHON = "/opt/torpor/bin/python"

PROGRAM, SCRATCH = "/bench", "/scratch"

READY_SECONDS_MAX = 60

Json = dict[str, Any]


class BareInPod:
    """Answers by the clock of its own container."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def first_answer_s(self, sql: str) -> float:
        """Seconds from the exec of Postgres to the first row of the first answered query."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{sql}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the bare Postgres in its pod has ended: see above")
        return float(line)


@contextlib.contextmanager
def bare_in_pod(data: str) -> Iterator[BareInPod]:
    """On a copy of the data directory ``data`` of a database that sleeps, as computes see it."""
    program = [*("kubectl", "exec", "--namespace", SYSTEM, "--stdin", NAME, "--"), PYTHON]
    program += [f"{PROGRAM}/rig/bare_in_pod.py", data, SCRATCH]
    _make(_pod(compute_spec()))
    try:
        with subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            yield BareInPod(process)
            assert process.stdin
            process.stdin.close()
    finally:
        for kind in ("pod", "configmap"):
            options = ("--ignore-not-found", "--grace-period=1", "--namespace", SYSTEM)
            kubectl("delete", kind, NAME, *options)


def compute_spec() -> Json:
    """Of the pod of a compute that waits warm."""
    until(lambda: bool(warm_computes()), "a compute is warm")
    (name, *_) = warm_computes()
    found = json.loads(kubectl("get", "pod", name, "--namespace", SYSTEM, "--output", "json"))
    return dict(found["spec"])


def sleeping_pod(name: str, spec: Json) -> Json:
    """One like that of ``spec``, whose container does nothing."""
    container = {
        key: spec["containers"][0][key]
        for key in ("name", "image", "imagePullPolicy", "resources", "securityContext")
    }
    mounts = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] != "tls"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SYSTEM},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"kubernetes.io/hostname": spec["nodeName"]},
            "containers": [
                {
                    **container,
                    "command": [PYTHON, "-c", "import signal; signal.pause()"],
                    "volumeMounts": mounts,
                }
            ],
            "volumes": [volume for volume in spec["volumes"] if volume["name"] != "tls"],
        },
    }


def _pod(spec: Json) -> Json:
    pod = sleeping_pod(NAME, spec)
    pod["spec"]["containers"][0]["volumeMounts"] += [
        {"name": "program", "mountPath": f"{PROGRAM}/rig"},
        {"name": "scratch", "mountPath": SCRATCH},
    ]
    pod["spec"]["volumes"] += [
        {"name": "program", "configMap": {"name": NAME}},
        {"name": "scratch", "emptyDir": {}},
    ]
    return pod


def _make(pod: Json) -> None:
    program = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": SYSTEM},
        "data": {name: (RIG / name).read_text() for name in MODULES},
    }
    listed = {"apiVersion": "v1", "kind": "List", "items": [program, pod]}
    kubectl("apply", "--filename", "-", stdin=json.dumps(listed))
    ready = ("--for=condition=Ready", f"--timeout={READY_SECONDS_MAX}s", "--namespace", SYSTEM)
    kubectl("wait", f"pod/{NAME}", *ready)
