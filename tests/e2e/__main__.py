"""Every promise, on a real cluster: what tests share is made first, and then they run.

    python -m e2e [PYTEST-OPTION | tests/e2e/test_….py]...

Most tests have nothing to do with each other and run side by side. Those marked ``alone`` end,
hold up or use what all others need: one after the other, when the others are done, in the order of
their files' names. Those that end an autoscaler come behind those that wait for a pod to be let go,
which one does not do in the first 75 s of its life; fifty databases come behind those that
wait until nothing is erased any more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from e2e import cluster, kubectl, namespaces

SIDE_BY_SIDE = os.environ.get("WORKERS") or "4"
"""Tests that run at once: they mostly wait, and two processors are enough for four."""

FOLDER = "tests/e2e"

CUSTOM_RESOURCES = cluster.ROOT / "manifests/crds"

SLOWEST = "15"
"""Tests whose time is told, and that of their fixtures."""

IS_REAL = "real or kubelet"
"""In the names of those cases of a contract that need a cluster."""

Made = TypeVar("Made")


def main(arguments: list[str]) -> int:
    """The worst of pytest's exit codes; 1 where there is nothing to test on."""
    is_whole = not any(FOLDER in word for word in arguments)
    chosen = [FOLDER, *arguments] if is_whole else arguments
    try:
        _told("a cluster", cluster.use_cluster)
        tag = _told("images", cluster.use_images)
        codes = [_contracts()] if is_whole else []
        _told("Torpor on it", lambda: cluster.install(tag))
    except cluster.NothingToTestOn as lack:
        print(f"e2e: NOTHING IS TESTED: {lack}", file=sys.stderr)
        return 1
    os.environ |= {cluster.TAG_VARIABLE: tag, cluster.INSTALLED_VARIABLE: "yes"}
    several = ("-n", SIDE_BY_SIDE, "--dist", "worksteal")
    codes += [
        _run("tests, side by side", *several, "-m", "not alone", *chosen),
        _run("tests, one after the other", "-m", "alone", *chosen),
    ]
    _told("the namespace of every test is gone", namespaces.are_gone)
    # None of the chosen tests may be of the one kind, or of the other.
    nothing = int(pytest.ExitCode.NO_TESTS_COLLECTED)
    return max((code for code in codes if code != nothing), default=nothing)


def _contracts() -> int:
    """Before anybody is installed who would answer as well. The chart's fields are Helm's."""
    how = ("--server-side", "--force-conflicts", "--field-manager=helm")
    kubectl.kubectl("apply", *how, "-k", str(CUSTOM_RESOURCES))
    files = [f"tests/contract/test_{part}.py" for part in ("cluster", "kube_api", "kubelet")]
    return _run("the contracts of the ports, on the real API server", *files, "-k", IS_REAL)


def _told(what: str, make: Callable[[], Made]) -> Made:
    began = time.monotonic()
    made = make()
    print(f"e2e: {what}, after {time.monotonic() - began:.0f} s", flush=True)
    return made


def _run(how: str, *options: str) -> int:
    print(f"e2e: {how}", flush=True)
    told = ("--verbose", "--durations", SLOWEST)
    done = subprocess.run([sys.executable, "-m", "pytest", *told, *options], check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
