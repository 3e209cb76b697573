"""The files of `manifests/crds`, as text."""

from __future__ import annotations

from pathlib import Path

import yaml

from crds.definitions import serverless_databases, warm_pools

FOLDER = Path(__file__).parents[2] / "manifests" / "crds"

_HEAD = "# Made by `make crds` from the models of torpor_api; change those.\n"


def texts() -> dict[str, str]:
    """By file name."""
    return {
        f"{definition['metadata']['name']}.yaml": _HEAD
        + yaml.safe_dump(definition, sort_keys=False, width=100, allow_unicode=True)
        for definition in (serverless_databases(), warm_pools())
    }
