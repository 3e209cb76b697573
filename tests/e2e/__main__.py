"""Every promise, on a real cluster: what tests share is made first, and then they run.

    python -m e2e [PYTEST-OPTION | tests/e2e/test_….py]...

Three kinds of tests, one kind after the other:

- Those marked ``own_release`` end, hold up or change Torpor, or count who waits warm. They run in
  lanes (LANES=3): each lane has a release of its own, in which one test runs at a time.
- Most leave each other alone and run side by side (WORKERS=4), in one release.
- Those marked ``alone`` befall the node or take all of it: nothing else runs, and they come one by
  one in the order of their files' names. Fifty databases come behind those that wait until nothing
  is erased any more.

Where files are chosen there are no lanes: the first kind then comes one by one, with the last.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

import pytest

from e2e import cluster, kubectl, lanes, namespaces
from e2e.database import fresh_name
from e2e.lanes import SHARED, Lane

SIDE_BY_SIDE = os.environ.get("WORKERS") or "4"
"""Tests that run at once: they mostly wait, and two processors are enough for four."""

LANES = int(os.environ.get("LANES") or 3)
"""Releases at once; 1: no lanes. Each is six pods, and those of its pool."""

FOLDER = "tests/e2e"

CUSTOM_RESOURCES = cluster.ROOT / "manifests/crds"

SLOWEST = "15"
"""Tests whose time is told, and that of their fixtures."""

IS_REAL = "real or kubelet"
"""In the names of those cases of a contract that need a cluster."""

NEXT_FREE = ("--dist", "load", "--maxschedchunk", "1", "--max-worker-restart", "0")
"""Whichever lane is done takes the next test. A worker that is started anew would have no lane."""

Made = TypeVar("Made")


def main(arguments: list[str]) -> int:
    """The worst of pytest's exit codes; 1 where there is nothing to test on."""
    is_whole = not any(FOLDER in word for word in arguments)
    try:
        _told("a cluster", cluster.use_cluster)
        tag = _told("images", cluster.use_images)
        os.environ |= {cluster.TAG_VARIABLE: tag, cluster.INSTALLED_VARIABLE: "yes"}
        codes = _whole(tag, arguments) if is_whole else _some(tag, arguments)
    except cluster.NothingToTestOn as lack:
        print(f"e2e: NOTHING IS TESTED: {lack}", file=sys.stderr)
        return 1
    _told("the namespace of every test is gone", namespaces.are_gone)
    # None of the chosen tests may be of the one kind, or of the other.
    nothing = int(pytest.ExitCode.NO_TESTS_COLLECTED)
    return max((code for code in codes if code != nothing), default=nothing)


def _whole(tag: str, options: Sequence[str]) -> list[int]:
    codes, chosen = [_contracts()], (FOLDER, *options)
    if LANES == 1:
        return codes + _some(tag, chosen)
    several = lanes.several(LANES, fresh_name("e2e"))
    with ThreadPoolExecutor() as threads:
        try:
            _told("Torpor in each lane", lambda: _installed(tag, several, threads))
            codes.append(_in_lanes(several, chosen))
        finally:
            leaving = [threads.submit(_leave, lane) for lane in several]
        _told("Torpor for everybody", lambda: cluster.install(tag))
        codes.append(_side_by_side(chosen))
        _told("the other lanes are gone", lambda: [one.result() for one in leaving])
    return [*codes, _one_by_one("alone", chosen)]


def _some(tag: str, chosen: Sequence[str]) -> list[int]:
    _told("Torpor for everybody", lambda: cluster.install(tag))
    return [_side_by_side(chosen), _one_by_one("alone or own_release", chosen)]


def _installed(tag: str, several: Sequence[Lane], threads: Executor) -> None:
    for lane in several:
        namespaces.make(lane.served)
    list(threads.map(lambda lane: cluster.install(tag, lane), several))


def _leave(lane: Lane) -> None:
    """Only the shared release stays."""
    cluster.no_database_is_left(lane)
    if lane.release != SHARED.release:
        cluster.uninstall(lane)
    namespaces.remove(lane.served)


def _in_lanes(several: Sequence[Lane], chosen: Sequence[str]) -> int:
    how = ("-n", str(len(several)), *NEXT_FREE, "-m", "own_release")
    return _run("tests, in lanes", *how, *chosen, more=lanes.told(several))


def _side_by_side(chosen: Sequence[str]) -> int:
    how = ("-n", SIDE_BY_SIDE, "--dist", "worksteal", "-m", "not alone and not own_release")
    return _run("tests, side by side", *how, *chosen)


def _one_by_one(which: str, chosen: Sequence[str]) -> int:
    return _run("tests, one after the other", "-m", which, *chosen)


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


def _run(how: str, *options: str, more: Mapping[str, str] | None = None) -> int:
    """Pytest's exit code. ``more`` is added to its environment."""
    print(f"e2e: {how}", flush=True)
    told = ("--verbose", "--durations", SLOWEST)
    argv = [sys.executable, "-m", "pytest", *told, *options]
    return subprocess.run(argv, env=os.environ | (more or {}), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
