"""A wake from the warm pool, and one without it: what the resource says of each."""

from __future__ import annotations

from time import monotonic

import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.conftest import MakeDatabase
from e2e.database import QUICK, Database
from e2e.installation import warm_computes
from e2e.kubectl import Json, until

pytestmark = pytest.mark.own_release

WARM_SECONDS_MAX = 5.0
"""Ten times what it takes on a machine that is busy with nothing else."""


def test_a_wake_takes_a_warm_compute_which_is_replaced(
    make_database: MakeDatabase, calm: None
) -> None:
    database = make_database(idleTimeout=QUICK)
    until(_as_many_are_warm_as_are_wanted, "the pool is warm")
    warm = set(warm_computes())
    with database.connect() as client:
        began = monotonic()
        client.execute("select 1")
        took_s = monotonic() - began
    (pod,) = database.pods
    assert pod["metadata"]["name"] in warm
    assert took_s < WARM_SECONDS_MAX
    until(lambda: _pool()["wanted"] > 1, "more than the least are wanted for a while")
    until(_as_many_are_warm_as_are_wanted, "another one waits in its place")
    assert "wait warm for" in _pool()["decision"]


def test_without_a_warm_compute_it_waits_for_one(make_database: MakeDatabase, calm: None) -> None:
    database = make_database()
    warm = warm_computes()
    for compute in warm:
        kubectl.delete("pod", compute, NAMESPACE, "--wait=false")
    with database.connect() as client:
        client.execute("select 1")
    (pod,) = database.pods
    assert pod["metadata"]["name"] not in warm


def test_the_resource_tells_where_the_time_of_a_wake_went(make_database: MakeDatabase) -> None:
    database = make_database()
    with database.connect() as client:
        client.execute("select 1")
        until(lambda: bool(database.status.get("lastResume")), "the chain is written")
    assert {"claim", "start of postgres"} <= _steps(database)


def _as_many_are_warm_as_are_wanted() -> bool:
    """And no more: what is left over from a busier time is not replaced."""
    return len(warm_computes()) == int(_pool()["wanted"])


def _pool() -> Json:
    return dict(kubectl.get("warmpool", "default", NAMESPACE)["status"])


def _steps(database: Database) -> set[str]:
    return {step["name"] for step in database.status["lastResume"]["steps"]}
