"""Asks helm about the chart; whoever has none is told what is not tested."""

from __future__ import annotations

import functools
import json
import subprocess
from typing import Any

import pytest
import yaml

from helm import find
from kustomize_base import CHART, NAMESPACE

HELM = find()

COMMAND_SECONDS_MAX = 60.0

Json = dict[str, Any]

needs_helm = pytest.mark.skipif(HELM is None, reason="no helm for the chart: `make helm`")


class Refused(Exception):
    """In helm's words."""


def helm(*arguments: str, values: Json | None = None) -> str:
    """What it prints. Raises Refused."""
    assert HELM is not None
    given = ("--values", "-") if values is not None else ()
    done = subprocess.run(
        [HELM, *arguments, *given],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def rendered(values: Json | None = None, release: str = "torpor") -> list[Json]:
    """All objects of the chart, hooks and tests too."""
    text = _template(json.dumps(values or {}), release)
    return [document for document in yaml.safe_load_all(text) if document]


@functools.cache
def _template(values: str, release: str) -> str:
    """Many tests look at the same objects."""
    place = ("--namespace", NAMESPACE)
    return helm("template", release, str(CHART), *place, values=json.loads(values))


def of_kind(kind: str, objects: list[Json]) -> dict[str, Json]:
    """By name."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}
