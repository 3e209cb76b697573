"""How long a cluster takes to run a pod, by its own watch."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from rig.kube_release import WAIT_SECONDS_MAX, kubectl

Json = dict[str, Any]


def seconds_to_run(pod: Json) -> float:
    """From its creation asked until a watch says that its container runs; it is deleted again.

    The watch begins before, so that its connection is no part of it.
    """
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    place = ("--namespace", namespace)
    chosen = f"--field-selector=metadata.name={name}"
    phase = "--output=jsonpath={.status.phase}{'\\n'}"
    watching = ("kubectl", "get", "pods", *place, chosen, phase, "--watch")
    with subprocess.Popen(watching, stdout=subprocess.PIPE, text=True) as watch:
        try:
            assert watch.stdout
            began = time.perf_counter()
            kubectl("create", "--filename", "-", stdin=json.dumps(pod))
            for line in watch.stdout:
                if line.strip() == "Running":
                    return time.perf_counter() - began
                if time.perf_counter() - began > WAIT_SECONDS_MAX:
                    break
        finally:
            watch.kill()
            kubectl("delete", "pod", name, *place, "--grace-period=1")
    raise SystemExit(f"pod {name} did not run within {WAIT_SECONDS_MAX:g} s")
