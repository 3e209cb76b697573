"""The API server is away for a minute: who is awake does not notice, and what was asked is done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest

from e2e import kubectl, node
from e2e.cluster import NAMESPACE
from e2e.computes import pod_of
from e2e.conftest import MakeDatabase
from e2e.database import QUICK, Database
from e2e.held import held_by_psycopg, is_held
from e2e.installation import Installation, pods
from e2e.kubectl import WAIT_SECONDS_MAX

AWAY_SECONDS = 60.0

ASKED_SECONDS = 30.0
"""Before its return: a client waits for a wake for 55 s."""

PAUSE_SECONDS = 1.0

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300, func_only=True)]


def test_awake_ones_go_on_and_the_rest_is_done_when_it_is_back(
    torpor: Installation, namespace: str, make_database: MakeDatabase
) -> None:
    node.needs_to_be_here()
    awake, asleep = make_database(), make_database(idleTimeout=QUICK)
    meanwhile = Database(torpor, namespace, "meanwhile", {"deletionPolicy": "Delete"})
    with held_by_psycopg(awake) as client, ThreadPoolExecutor() as threads:
        assert _answer(asleep) == (42,)
        asleep.falls_asleep()
        before, epoch = pod_of(awake), awake.epoch
        names = [*pods("autoscaler"), *pods("operator")]
        with node.without_api_server([kubectl.get("pod", name, NAMESPACE) for name in names]):
            meanwhile.apply()
            _goes_on(awake, AWAY_SECONDS - ASKED_SECONDS)
            asked = threads.submit(_answer, asleep)
            _goes_on(awake, ASKED_SECONDS)
            is_held(client)
        assert asked.result(WAIT_SECONDS_MAX) == (42,)
        meanwhile.is_ready()
        assert _answer(meanwhile) == (42,)
        is_held(client)
        assert awake.epoch == epoch
        assert pod_of(awake)["metadata"]["uid"] == before["metadata"]["uid"]


def _goes_on(database: Database, seconds: float) -> None:
    """For those who come as for those who are there."""
    until = monotonic() + seconds
    while monotonic() < until:
        assert _answer(database) == (42,)
        sleep(PAUSE_SECONDS)


def _answer(database: Database) -> object:
    with database.connect() as client:
        return client.execute("select 42").fetchone()
