"""The cluster that the tests use, and Torpor on it.

- The cluster is that of KUBECONFIG; where that is not set, the one that a tool starts: the program
  that TORPOR_CLUSTER_TOOL names; ``make e2e`` finds one beside the checkout, too. ``TOOL up``
  starts it (or finds it running) and prints the kubeconfig's path; ``TOOL image TAG FOLDER
  [OPTION...]`` builds an image and brings it to the node.
- The images are built from this checkout, once for each content of it; TORPOR_IMAGE_TAG names some
  that the cluster can already get.
- Torpor is installed by its Helm chart and stays, so that the next run begins at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from e2e import api, lanes
from e2e.api import Json
from e2e.kubectl import WAIT_SECONDS_MAX, apply, find, kubectl, until
from e2e.lanes import Lane
from helm import find as find_helm

ROOT = Path(__file__).parents[2]

CHART = ROOT / "manifests/chart/torpor"

TOOL_VARIABLE = "TORPOR_CLUSTER_TOOL"

TOOL = os.environ.get(TOOL_VARIABLE)
"""Read when this is imported: no test sees a setting of its user."""

START = str(ROOT / "tools/cluster.sh")

TAG_VARIABLE = "TORPOR_IMAGE_TAG"

TAG = os.environ.get(TAG_VARIABLE)

INSTALLED_VARIABLE = "TORPOR_E2E_INSTALLED"

IS_INSTALLED = INSTALLED_VARIABLE in os.environ
"""Once, by who has started these tests: workers that run side by side would do it at once."""

KUBECONFIG = os.environ.get("KUBECONFIG") or None

LANE = lanes.current()

RELEASE = LANE.release

NAMESPACE = LANE.namespace

MARK = "torpor-e2e-images"
"""A ConfigMap with the tag that was loaded last: what a node has, its cluster remembers."""

CLUSTER_SECONDS_MAX = 1500.0
"""The first time its processes are built; as tools/cluster.sh has it, which ends them then."""

CLUSTER_ENDS_SECONDS_MAX = 60.0
"""For that."""

INSTALL_SECONDS_MAX = 300.0

GONE_SECONDS_MAX = 300.0
"""Fifty databases with all their data, which four computes erase."""

WARM_MAX = 4
"""Computes that wait: what all tests together want of them is more than two processors can start
while they do anything else."""

WARM_IN_LANE_MAX = 2
"""The same for one lane among others: one test at a time uses it."""

LEAST = {"resources": {"requests": {"cpu": "50m"}}}
"""Of a component in a lane, as of a compute: so a node with two processors has room for three lanes
of six pods and six computes each."""


class NothingToTestOn(Exception):
    """What the machine lacks, and what would help."""


@dataclass(frozen=True, slots=True)
class Image:
    """Of one component, as a pod names it."""

    component: str
    tag: str

    def __str__(self) -> str:
        return f"torpor/{self.component}:{self.tag}"


def use_cluster() -> None:
    """Whatever runs kubectl from now on uses it."""
    if KUBECONFIG is None:
        os.environ["KUBECONFIG"] = _started()
    if not shutil.which("kubectl"):
        raise NothingToTestOn("no kubectl is on the PATH")
    try:
        kubectl("get", "--raw", "/readyz")
    except AssertionError as failed:
        raise NothingToTestOn(f"the cluster of {os.environ['KUBECONFIG']}: {failed}") from None


def _started() -> str:
    """The path of its kubeconfig. A tool may bring its own kubectl: in ``bin``, beside that."""
    environment = os.environ | ({TOOL_VARIABLE: TOOL} if TOOL else {})
    try:
        limit_s = CLUSTER_SECONDS_MAX + CLUSTER_ENDS_SECONDS_MAX
        done = _run(START, timeout_s=limit_s, environment=environment)
    except AssertionError as failed:
        raise NothingToTestOn(f"no cluster: {failed}") from None
    kubeconfig = done.stdout.strip().splitlines()[-1]
    os.environ["PATH"] += f":{Path(kubeconfig).parent / 'bin'}"
    return kubeconfig


def use_images() -> str:
    """The tag of images that the cluster has, or can get."""
    if TAG is not None:
        return TAG
    environment = os.environ | ({TOOL_VARIABLE: TOOL} if TOOL else {})
    program = (sys.executable, str(ROOT / "tools/images.py"))
    tag = _run(*program, "--print-tag").stdout.strip()
    mark = find("configmap", MARK, "default")
    if mark is None or mark["data"]["tag"] != tag:
        _run(*program, "--load", timeout_s=CLUSTER_SECONDS_MAX, environment=environment)
        metadata = {"name": MARK, "namespace": "default"}
        apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"tag": tag}})
    return tag


def install(tag: str, lane: Lane = LANE, **values: object) -> None:
    """Or bring it up to date; returns when everything is Ready."""
    size = {"max": WARM_IN_LANE_MAX if lane.served else WARM_MAX}
    pool = {"spec": {"size": size}}
    made = {"image": {"tag": tag}, "defaultPool": pool, "people": {"shell": True}}
    chosen = made | _values_of(lane) | values
    _run(
        *(_helm(), "upgrade", "--install", lane.release, str(CHART), "--namespace", lane.namespace),
        # Custom resources that somebody has applied by hand belong to the release from now on.
        *("--create-namespace", "--take-ownership"),
        *("--wait", f"--timeout={INSTALL_SECONDS_MAX:.0f}s"),
        *("--values", "-"),
        stdin=json.dumps(chosen),
        timeout_s=INSTALL_SECONDS_MAX + 60,
    )
    # The chart makes a pool once: this one may be a lane's that is not one any more.
    api.patch("warmpool", "default", lane.namespace, pool)


def _values_of(lane: Lane) -> dict[str, object]:
    if not lane.served:
        return {}
    components = dict.fromkeys(("operator", "autoscaler", "proxy"), LEAST)
    return {
        "watchNamespaces": [lane.served],
        "crds": {"enabled": lane.has_crds},
        **components,
    }


def no_database_is_left(lane: Lane) -> None:
    """Waits until what was deleted is gone."""
    until(lambda: not served(lane), f"no database of {lane.release} is left", GONE_SECONDS_MAX)


def uninstall(lane: Lane) -> None:
    """With no database left, and its computes first: it is the operator that lets them go."""
    pools = ("warmpool", "--all", "--namespace", lane.namespace)
    kubectl("delete", *pools, timeout_s=GONE_SECONDS_MAX)
    where = ("--namespace", lane.namespace, "--wait", f"--timeout={WAIT_SECONDS_MAX:.0f}s")
    _run(_helm(), "uninstall", lane.release, *where, timeout_s=WAIT_SECONDS_MAX + 60)
    # The next run installs into it: none may be on its way out then.
    kubectl("delete", "namespace", lane.namespace, timeout_s=GONE_SECONDS_MAX)


def served(lane: Lane = LANE) -> list[Json]:
    """The databases that are this release's."""
    return api.listed("serverlessdatabases", lane.served)


def _helm() -> str:
    found = find_helm()
    if found is None:
        raise NothingToTestOn("there is no helm: `make helm` brings one")
    return str(found)


def _run(
    *argv: str,
    stdin: str = "",
    timeout_s: float = 60.0,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr[-4000:]}"
    return done
