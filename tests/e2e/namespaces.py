"""A namespace for each test. Each takes ten seconds to go, for which no other test waits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from e2e import kubectl
from e2e.database import fresh_name
from e2e.kubectl import Json, until

LABEL = "e2e.torpor.dev/of"

GONE_SECONDS_MAX = 300.0
"""Fifty databases with all their data: each takes a compute of its own to be erased."""


@contextlib.contextmanager
def fresh() -> Iterator[str]:
    """Removed with all that is in it, after a test that passed or failed."""
    name = fresh_name("e2e")
    metadata = {"name": name, "labels": {LABEL: "test"}}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        yield name
    finally:
        kubectl.kubectl("delete", "namespace", name, "--wait=false")


def those_of_the_past_are_gone() -> None:
    """Waits until nothing of an earlier test is erased any more, also of one of another worker."""
    until(lambda: not any(map(_is_leaving, _all())), "what was deleted is gone", GONE_SECONDS_MAX)


def are_gone() -> None:
    """Waits until none is left, with every database that was in them: no test runs any more."""
    until(lambda: not _all(), "the namespace of every test is gone", GONE_SECONDS_MAX)


def _all() -> list[Json]:
    return kubectl.listed("namespaces", "", LABEL)


def _is_leaving(namespace: Json) -> bool:
    return "deletionTimestamp" in namespace["metadata"]
