"""The autoscaler's network is away, and computes and proxies are well: nobody's session notices."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from e2e import kubectl, node
from e2e.cluster import NAMESPACE
from e2e.computes import pod_of
from e2e.conftest import MakeDatabase
from e2e.held import held_by_psycopg, is_held
from e2e.installation import pods

AWAY_SECONDS = 25
"""Every connection of the autoscaler ends in this time, for none of them is acknowledged."""

BACK_SECONDS = 45
"""For whatever was decided meanwhile to be carried out: a silent agent is asked for 30 s."""

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300, func_only=True)]


def test_whoever_is_in_a_query_meanwhile_stays_on_his_compute(make_database: MakeDatabase) -> None:
    node.needs_to_be_here()
    database = make_database()
    with held_by_psycopg(database) as idle, database.connect() as busy, ThreadPoolExecutor() as one:
        backend = busy.execute("select pg_backend_pid()").fetchone()
        before, epoch = pod_of(database), database.epoch
        (autoscaler,) = pods("autoscaler")
        query = f"select pg_sleep({AWAY_SECONDS + BACK_SECONDS})"
        with node.cut_off(kubectl.get("pod", autoscaler, NAMESPACE)):
            asked = one.submit(busy.execute, query)
            sleep(AWAY_SECONDS)
        asked.result()
        assert busy.execute("select pg_backend_pid()").fetchone() == backend
        is_held(idle)
        after = pod_of(database)
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert database.epoch == epoch and "deletionTimestamp" not in after["metadata"]
