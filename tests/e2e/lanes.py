"""Lanes: releases of Torpor beside each other on one cluster, in each of which tests run in turn.

A test that ends, holds up or changes Torpor, or counts who waits warm, disturbs whoever uses the
same release, and nobody else: such tests wait for leases and time-outs for most of their time, and
wait side by side in lanes. What two releases share is the node and the API server; each serves the
databases of one namespace only, which has to be there before it (``watchNamespaces``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

VARIABLE = "TORPOR_E2E_LANES"
"""All lanes, for the workers of pytest: the first takes the first one."""

WORKER_VARIABLE = "PYTEST_XDIST_WORKER"

WORKER_PREFIX = "gw"


@dataclass(frozen=True, slots=True)
class Lane:
    """A release, and whose databases it serves."""

    release: str
    namespace: str
    """Of the release itself."""
    served: str = ""
    """The namespace of its databases; empty: all that there are."""
    has_crds: bool = True
    """The custom resources are one release's; the others do with them."""


SHARED = Lane("torpor", "torpor-system")
"""Of all tests that leave each other alone."""


def several(count: int, run: str) -> list[Lane]:
    """The first is the shared release, which serves nobody else as long as there are others.

    ``run`` is in the names of what they serve, so that none of it is an earlier run's.
    """
    return [_lane(number, run) for number in range(count)]


def _lane(number: int, run: str) -> Lane:
    ending = f"-{number}" if number else ""
    release, namespace = SHARED.release + ending, SHARED.namespace + ending
    return Lane(release, namespace, served=f"{run}-{number}", has_crds=not number)


def told(lanes: Sequence[Lane]) -> dict[str, str]:
    """The environment in which pytest's workers find them."""
    return {VARIABLE: json.dumps([asdict(lane) for lane in lanes])}


def current() -> Lane:
    """This process's. Raises LookupError where there are more workers than lanes."""
    text, worker = os.environ.get(VARIABLE), os.environ.get(WORKER_VARIABLE)
    if text is None or worker is None:
        return SHARED
    lanes = json.loads(text)
    number = int(worker.removeprefix(WORKER_PREFIX))
    if number >= len(lanes):
        raise LookupError(f"{worker} has no lane: {VARIABLE} names {len(lanes)}")
    return Lane(**lanes[number])
