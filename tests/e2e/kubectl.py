"""What the tests ask of a cluster, by kubectl as an engineer would; mere reads cost less (api)."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable

from e2e.api import Json as Json
from e2e.api import find as find
from e2e.api import get as get
from e2e.api import listed as listed

COMMAND_SECONDS_MAX = 60.0

WAIT_SECONDS_MAX = 120.0
"""For what takes seconds on a machine of its own, and longer beside other work."""

POLL_SECONDS = 0.2


class KubectlFailed(AssertionError):
    """With kubectl's own words."""


def kubectl(*arguments: str, stdin: str = "", timeout_s: float = COMMAND_SECONDS_MAX) -> str:
    """What it prints. Raises KubectlFailed."""
    done = subprocess.run(
        ["kubectl", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode != 0:
        raise KubectlFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def warnings(*arguments: str) -> str:
    """What the API server has said beside its answer."""
    done = subprocess.run(
        ["kubectl", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=True,
    )
    return done.stderr


def apply(*objects: Json) -> None:
    """Strictly: a field that nobody knows is a fault."""
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    kubectl("apply", "--validate=strict", "-f", "-", stdin=json.dumps(listed))


def delete(kind: str, name: str, namespace: str, *options: str) -> None:
    """Returns when it is gone, unless the options say otherwise; one that is not there is gone."""
    kubectl(
        *("delete", kind, name, "--namespace", namespace, "--ignore-not-found", *options),
        timeout_s=WAIT_SECONDS_MAX,
    )


def wait_for(
    kind: str, name: str, namespace: str, what: str, timeout_s: float = WAIT_SECONDS_MAX
) -> None:
    """As ``kubectl wait --for=WHAT``."""
    kubectl(
        *("wait", f"{kind}/{name}", "--namespace", namespace),
        *(f"--for={what}", f"--timeout={timeout_s:.0f}s"),
        timeout_s=timeout_s + COMMAND_SECONDS_MAX,
    )


def wait_for_all(kind: str, namespace: str, what: str, timeout_s: float) -> None:
    """As ``kubectl wait --all --for=WHAT``."""
    kubectl(
        *("wait", kind, "--all", "--namespace", namespace),
        *(f"--for={what}", f"--timeout={timeout_s:.0f}s"),
        timeout_s=timeout_s + COMMAND_SECONDS_MAX,
    )


def secret(name: str, namespace: str) -> dict[str, str]:
    """Its keys, decoded."""
    data = get("secret", name, namespace)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def until(holds: Callable[[], bool], reason: str, seconds_max: float = WAIT_SECONDS_MAX) -> None:
    """Poll, with a deadline."""
    deadline = time.monotonic() + seconds_max
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {reason}"
        time.sleep(POLL_SECONDS)
