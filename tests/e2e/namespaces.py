"""A namespace for each test. Each takes ten seconds to go, for which no other test waits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from e2e import api, cluster
from e2e.api import Json
from e2e.cluster import GONE_SECONDS_MAX, LANE
from e2e.database import KIND, fresh_name
from e2e.kubectl import until

LABEL = "e2e.torpor.dev/of"

_left = iter(LANE.served)
"""Of the lane's own namespaces, those that no test of this process has had."""


@contextlib.contextmanager
def fresh() -> Iterator[str]:
    """Emptied after a test that passed or failed, and removed then or with its lane."""
    if LANE.served:
        with _of_lane() as name:
            yield name
        return
    name = fresh_name("e2e")
    make([name])
    try:
        yield name
    finally:
        remove([name])


@contextlib.contextmanager
def _of_lane() -> Iterator[str]:
    """With a namespace would go the right of the lane's operator to let its databases go."""
    name = next(_left, None)
    assert name is not None, f"more than {len(LANE.served)} tests in {LANE.release}: make more"
    try:
        yield name
    finally:
        for one in api.listed(f"{KIND}s", name):
            api.delete(KIND, one["metadata"]["name"], name)


def make(names: Sequence[str]) -> None:
    for name in names:
        metadata = {"name": name, "labels": {LABEL: "test"}}
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def remove(names: Sequence[str]) -> None:
    """Begins to; with all that is in them."""
    for name in names:
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
