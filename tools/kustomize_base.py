"""Renders the chart with its defaults into the kustomize base; a part of `make manifests`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helm import find

MANIFESTS = Path(__file__).parents[1] / "manifests"

CHART = MANIFESTS / "chart/torpor"

BASE = MANIFESTS / "kustomize/base/torpor.yaml"

NAMESPACE = "torpor-system"

_HEAD = "# Made by `make manifests` from the chart with its default values; change that.\n"

_HELM_SECONDS_MAX = 60.0


def rendered(helm: str) -> str:
    """Without hooks, and without the custom resources: those have a folder of their own."""
    argv = [helm, "template", "torpor", str(CHART), "--namespace", NAMESPACE, "--no-hooks"]
    argv += ["--skip-tests", "--set", "crds.enabled=false"]
    done = subprocess.run(
        argv, check=True, capture_output=True, text=True, timeout=_HELM_SECONDS_MAX
    )
    return _HEAD + done.stdout.replace("managed-by: Helm", "managed-by: kustomize")


def main() -> None:
    helm = find()
    if helm is None:
        sys.exit("there is no helm, and the kustomize base stays as it is: `make helm` brings one")
    BASE.write_text(rendered(helm))


if __name__ == "__main__":
    main()
