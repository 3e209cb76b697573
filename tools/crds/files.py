"""The files of the custom resources, as text, and where they lie."""

from __future__ import annotations

from pathlib import Path

import yaml

from crds.definitions import serverless_databases, warm_pools

MANIFESTS = Path(__file__).parents[2] / "manifests"

FOLDERS = (MANIFESTS / "crds", MANIFESTS / "chart/torpor/files/crds")
"""Twice, because a chart can't read beyond its own folder."""

_HEAD = "# Made by `make manifests` from the models of torpor_api; change those.\n"


def texts() -> dict[str, str]:
    """By file name."""
    return {
        f"{definition['metadata']['name']}.yaml": _HEAD
        + yaml.safe_dump(definition, sort_keys=False, width=100, allow_unicode=True)
        for definition in (serverless_databases(), warm_pools())
    }
