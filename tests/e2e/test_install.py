"""What is installed without Helm is taken by a real API server as it is, without a warning."""

from __future__ import annotations

import pytest

from e2e import kubectl
from e2e.cluster import ROOT
from e2e.installation import Installation

MANIFESTS = ROOT / "manifests"

WAYS = {
    "one file": ("-f", str(MANIFESTS / "install.yaml")),
    "kustomize": ("-k", str(MANIFESTS / "kustomize/base")),
    "with a pool": ("-k", str(MANIFESTS / "kustomize/pool")),
}

DRY = ("--server-side", "--dry-run=server", "--force-conflicts", "--validate=strict")
"""Torpor is installed: nothing of it is changed."""


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_it_is_taken(torpor: Installation, way: tuple[str, ...]) -> None:
    assert kubectl.warnings("apply", *DRY, *way) == ""
