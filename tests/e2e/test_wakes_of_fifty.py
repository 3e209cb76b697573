"""Fifty databases on one pool: all are declared, each wakes, answers and sleeps again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from e2e import kubectl
from e2e.database import QUICK, Database
from e2e.installation import Installation
from e2e.kubectl import until

pytestmark = pytest.mark.alone

COUNT = 50

AT_ONCE = 4
"""A small node has room for some computes that start at once, and not for fifty."""

READY_SECONDS_MAX = 60.0
ROUND_SECONDS_MAX = 360.0
"""A pod that takes five seconds from its creation to readiness, fifty times, is 250 s; they are
made while others are used."""


@pytest.mark.timeout(540)
def test_fifty_databases_share_a_pool(torpor: Installation, namespace: str) -> None:
    spec = {"deletionPolicy": "Delete", "idleTimeout": QUICK}
    databases = [Database(torpor, namespace, f"many{n}", spec) for n in range(COUNT)]
    began = monotonic()
    kubectl.apply(*(database.document for database in databases))
    kubectl.wait_for_all("serverlessdatabase", namespace, "condition=Ready", READY_SECONDS_MAX)
    ready_s = monotonic() - began
    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert sorted(threads.map(_used, databases)) == sorted(one.name for one in databases)
    used_s = monotonic() - began - ready_s
    until(lambda: _phases(namespace) == {"Suspended"}, "all of them sleep again")
    assert {database.epoch for database in databases} == {1}
    print(f"{COUNT} databases: Ready after {ready_s:.0f} s, each used within {used_s:.0f} s")
    assert ready_s < READY_SECONDS_MAX and used_s < ROUND_SECONDS_MAX


def _used(database: Database) -> str:
    """Wakes it; each answers for itself."""
    with database.connect(connect_timeout=int(ROUND_SECONDS_MAX)) as client:
        client.execute("create table whose as select %s as name", [database.name])
        found = client.execute("select name from whose").fetchone()
    assert found is not None
    return str(found[0])


def _phases(namespace: str) -> set[str]:
    found = kubectl.listed("serverlessdatabases", namespace)
    return {one["status"]["phase"] for one in found}
