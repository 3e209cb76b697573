"""A namespace for each test. Each takes ten seconds to go, for which no other test waits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from e2e import api
from e2e.api import Json
from e2e.database import fresh_name
from e2e.kubectl import until

LABEL = "e2e.torpor.dev/of"

GONE_SECONDS_MAX = 300.0
"""Fifty databases with all their data, which four computes erase."""


@contextlib.contextmanager
def fresh() -> Iterator[str]:
    """Removed with all that is in it, after a test that passed or failed."""
    name = fresh_name("e2e")
    metadata = {"name": name, "labels": {LABEL: "test"}}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        yield name
    finally:
        api.delete("namespace", name, "")


def those_of_the_past_are_gone() -> None:
    """Waits until nothing of an earlier test is erased any more, also of one of another worker.

    The API server looks after a namespace that is not empty again in seconds only; what is erased
    has ended long before.
    """
    until(_none_is_erased, "what was deleted is gone", GONE_SECONDS_MAX)


def _none_is_erased() -> bool:
    leaving = {one["metadata"]["name"] for one in _all() if _is_leaving(one)}
    there = {one["metadata"]["namespace"] for one in api.listed("serverlessdatabases", "")}
    return not leaving & there


def are_gone() -> None:
    """Waits until none is left, with every database that was in them: no test runs any more."""
    until(lambda: not _all(), "the namespace of every test is gone", GONE_SECONDS_MAX)


def _all() -> list[Json]:
    return api.listed("namespaces", "", LABEL)


def _is_leaving(namespace: Json) -> bool:
    return "deletionTimestamp" in namespace["metadata"]
