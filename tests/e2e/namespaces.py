"""A namespace for each test, or for each lane. Each takes ten seconds to go, for which no other
test waits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from e2e import api, cluster
from e2e.api import Json
from e2e.cluster import GONE_SECONDS_MAX, LANE
from e2e.database import KIND, fresh_name
from e2e.kubectl import until

LABEL = "e2e.torpor.dev/of"


@contextlib.contextmanager
def fresh() -> Iterator[str]:
    """Removed with all that is in it, after a test that passed or failed.

    That of a lane is emptied only: with it would go the right of the lane's operator to let its
    databases go.
    """
    name = LANE.served or fresh_name("e2e")
    make(name)
    try:
        yield name
    finally:
        if LANE.served:
            _empty(name)
        else:
            remove(name)


def _empty(name: str) -> None:
    for one in api.listed(f"{KIND}s", name):
        api.delete(KIND, one["metadata"]["name"], name)


def make(name: str) -> None:
    metadata = {"name": name, "labels": {LABEL: "test"}}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def remove(name: str) -> None:
    """Begins to."""
    api.delete("namespace", name, "")


def those_of_the_past_are_gone() -> None:
    """Waits until nothing of an earlier test is erased any more, also of one of another worker.

    The API server looks after a namespace that is not empty again in seconds only; what is erased
    has ended long before.
    """
    until(_none_is_erased, "what was deleted is gone", GONE_SECONDS_MAX)


def _none_is_erased() -> bool:
    leaving = {one["metadata"]["name"] for one in _all() if _is_leaving(one)}
    return not any(
        _is_leaving(one) or one["metadata"]["namespace"] in leaving for one in cluster.served()
    )


def are_gone() -> None:
    """Waits until none is left, with every database that was in them: no test runs any more."""
    until(lambda: not _all(), "the namespace of every test is gone", GONE_SECONDS_MAX)


def _all() -> list[Json]:
    return api.listed("namespaces", "", LABEL)


def _is_leaving(thing: Json) -> bool:
    return "deletionTimestamp" in thing["metadata"]
