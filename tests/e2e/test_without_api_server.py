"""The API server is away for a minute: who is awake does not notice, and what was asked is done.

For the first half of it the autoscaler has no network at all, while computes and proxies are well.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import pytest

from e2e import kubectl, node
from e2e.cluster import NAMESPACE
from e2e.computes import pod_of
from e2e.conftest import MakeDatabase
from e2e.database import QUICK, Database
from e2e.held import Sync, held_by_psycopg, is_held
from e2e.installation import Installation, leader, pods
from e2e.kubectl import WAIT_SECONDS_MAX

AWAY_SECONDS = 60.0

ASKED_SECONDS = 30.0
"""Before its return: a client waits for a wake for 55 s."""

CUT_OFF_SECONDS = AWAY_SECONDS - ASKED_SECONDS
"""Every connection of the autoscaler ends in this time, for none of them is acknowledged. A silent
agent is asked for half a minute: whatever was decided comes when the API server is back."""

QUERY_SECONDS = AWAY_SECONDS + 10.0

PAUSE_SECONDS = 1.0

pytestmark = [pytest.mark.own_release(is_long=True), pytest.mark.timeout(300, func_only=True)]


def test_awake_ones_go_on_and_the_rest_is_done_when_it_is_back(
    torpor: Installation, namespace: str, make_database: MakeDatabase
) -> None:
    node.needs_to_be_here()
    awake, asleep = make_database(), make_database(idleTimeout=QUICK)
    meanwhile = Database(torpor, namespace, "meanwhile", {"deletionPolicy": "Delete"})
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(held_by_psycopg(awake))
        busy = stack.enter_context(awake.connect())
        threads = stack.enter_context(ThreadPoolExecutor())
        assert _answer(asleep) == (42,)
        asleep.falls_asleep()
        before, epoch, backend = pod_of(awake), awake.epoch, _backend(busy)
        first = leader()
        others = [name for name in pods("autoscaler") if name != first]
        apart = [
            kubectl.get("pod", name, NAMESPACE) for name in (first, *others, *pods("operator"))
        ]
        with node.without_api_server(apart):
            meanwhile.apply()
            running = threads.submit(busy.execute, f"select pg_sleep({QUERY_SECONDS})")
            with node.cut_off(apart[0]):
                _goes_on(awake, CUT_OFF_SECONDS)
            asked = threads.submit(_answer, asleep)
            _goes_on(awake, ASKED_SECONDS)
            is_held(client)
        assert asked.result(WAIT_SECONDS_MAX) == (42,)
        meanwhile.is_ready()
        assert _answer(meanwhile) == (42,)
        running.result(WAIT_SECONDS_MAX)
        assert _backend(busy) == backend
        is_held(client)
        assert awake.epoch == epoch
        after = pod_of(awake)
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert "deletionTimestamp" not in after["metadata"]


def _goes_on(database: Database, seconds: float) -> None:
    """For those who come as for those who are there."""
    until = monotonic() + seconds
    while monotonic() < until:
        assert _answer(database) == (42,)
        sleep(PAUSE_SECONDS)


def _answer(database: Database) -> object:
    with database.connect() as client:
        return client.execute("select 42").fetchone()


def _backend(client: Sync) -> object:
    return client.execute("select pg_backend_pid()").fetchone()
