"""Renders the chart with its defaults into the kustomize base, and that into one file; a part of
`make manifests`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helm import find

MANIFESTS = Path(__file__).parents[1] / "manifests"

CHART = MANIFESTS / "chart/torpor"

BASE = MANIFESTS / "kustomize/base/torpor.yaml"

INSTALL = MANIFESTS / "install.yaml"
"""For whoever has neither Helm nor kustomize."""

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


def one_file(base: str) -> str:
    """Custom resources, namespace and all that the base has. Without a pool: that takes the custom
    resources to be known, and a storage class to be chosen."""
    parts = [
        *sorted((MANIFESTS / "crds").glob("*.torpor.dev.yaml")),
        BASE.parent / "namespace.yaml",
    ]
    return (
        _HEAD + "".join(f"---\n{part}" for part in map(_content, parts)) + base.removeprefix(_HEAD)
    )


def _content(path: Path) -> str:
    """Without what its head says of the one file."""
    lines = path.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("# Made by"))


def main() -> None:
    helm = find()
    if helm is None:
        sys.exit("there is no helm, and the kustomize base stays as it is: `make helm` brings one")
    base = rendered(helm)
    BASE.write_text(base)
    INSTALL.write_text(one_file(base))


if __name__ == "__main__":
    main()
