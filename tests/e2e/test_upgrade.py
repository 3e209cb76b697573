"""An upgrade of the chart while a database is in use: whoever is connected does not notice."""

from __future__ import annotations

import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.conftest import MakeDatabase, Upgrade
from e2e.database import QUICK, Database
from e2e.held import held_by_psycopg, is_held
from e2e.installation import pods, warm_computes
from e2e.kubectl import until

pytestmark = pytest.mark.own_release

MORE = {"requests": {"cpu": "60m", "memory": "192Mi"}, "limits": {"memory": "1100Mi"}}
"""Other than the chart's own defaults, so that the pods are made anew."""


def test_operator_and_autoscaler_are_replaced_under_a_transaction_and_a_held_session(
    make_database: MakeDatabase, upgrade: Upgrade
) -> None:
    awake, asleep = make_database(), make_database(idleTimeout=QUICK)
    before = {part: set(pods(part)) for part in ("operator", "autoscaler", "proxy")}
    with held_by_psycopg(asleep) as held, awake.connect() as client:
        asleep.falls_asleep()
        with client.transaction():
            client.execute("create table kept as select 41 as n")
            compute = _only_compute(awake)
            upgrade(operator={"resources": MORE}, autoscaler={"resources": MORE})
            client.execute("update kept set n = n + 1")
        assert client.execute("select n from kept").fetchone() == (42,)
        assert _only_compute(awake) == compute
        is_held(held)
    assert asleep.epoch == 2 and awake.epoch == 1
    assert not before["operator"] & set(pods("operator"))
    assert not before["autoscaler"] & set(pods("autoscaler"))
    assert before["proxy"] == set(pods("proxy"))
    assert make_database().phase == "Suspended"


def test_what_computes_are_made_of_changes_for_those_that_wait_and_for_one_in_use_when_it_is_idle(
    make_database: MakeDatabase,
) -> None:
    """A pool that is changed, as another image does: nobody notices, and nobody has to do it."""
    database = make_database()
    until(lambda: bool(warm_computes()), "a compute is warm")
    with held_by_psycopg(database) as client:
        compute = _only_compute(database)
        until(lambda: bool(warm_computes()), "another one is warm")
        warm = set(warm_computes())
        try:
            with client.transaction():
                client.execute("create table kept as select 42 as answer")
                _change_pool("55m")
                until(lambda: bool(set(warm_computes()) - warm), "one of the new kind is warm")
                until(lambda: not set(warm_computes()) & warm, "none of the old kind is")
                assert client.execute("select answer from kept").fetchone() == (42,)
                assert _only_compute(database) == compute and database.epoch == 1
            until(lambda: "SwitchedOver" in database.events, "it has moved by itself")
            is_held(client)
            assert client.execute("select answer from kept").fetchone() == (42,)
            assert database.epoch == 2
            until(lambda: compute not in _computes(database), "the old one has ended")
        finally:
            _change_pool("50m")


def _only_compute(database: Database) -> str:
    (compute,) = _computes(database)
    return compute


def _computes(database: Database) -> list[str]:
    return [str(pod["metadata"]["name"]) for pod in database.pods]


def _change_pool(cpu: str) -> None:
    patch = f'{{"spec": {{"resources": {{"requests": {{"cpu": "{cpu}"}}}}}}}}'
    options = ("--namespace", NAMESPACE, "--type=merge", f"--patch={patch}")
    kubectl.kubectl("patch", "warmpool", "default", *options)
