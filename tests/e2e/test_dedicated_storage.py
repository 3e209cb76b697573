"""A volume of a database's own: a compute is made with it, one at a time, and its data outlives
each of them."""

from __future__ import annotations

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.conftest import MakeDatabase
from e2e.database import QUICK, Database
from e2e.kubectl import Json, until

DEDICATED = {"mode": "dedicated", "size": "1Gi"}


def test_its_volume_is_its_own_and_its_data_outlives_every_sleep(
    make_database: MakeDatabase,
) -> None:
    database = make_database(storage=DEDICATED, idleTimeout=QUICK)
    claim = _claim(database)
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert not database.pods
    with database.connect() as client:
        client.execute("create table written (x int)")
        client.execute("insert into written values (1)")
        (pod,) = database.pods
        assert _claims_of(pod) == [claim["metadata"]["name"]]
        database.falls_asleep()
        assert client.execute("select x from written").fetchall() == [(1,)]
    assert database.epoch == 2


def test_warm_computes_of_the_pool_are_not_for_it(make_database: MakeDatabase) -> None:
    warm = {pod["metadata"]["name"] for pod in _computes()}
    database = make_database(storage=DEDICATED)
    with database.connect() as client:
        client.execute("select 1")
        (pod,) = database.pods
        assert pod["metadata"]["name"] not in warm
        assert pod["metadata"]["labels"]["torpor.dev/dedicated"] == "true"


def test_what_takes_a_restart_holds_the_sessions_until_the_next_compute_has_the_volume(
    make_database: MakeDatabase,
) -> None:
    database = make_database(storage=DEDICATED, maxCU=1)
    with database.connect() as client:
        client.execute("set work_mem = '7MB'")
        client.execute("create table written (x int)")
        (before,) = database.pods
        database.apply(maxCU=2)
        until(lambda: database.epoch == 2 and database.phase == "Active", "it has moved")
        assert client.execute("show shared_buffers").fetchone() == ("256MB",)
        assert client.execute("show work_mem").fetchone() == ("7MB",)
        client.execute("insert into written values (1)")
        names = [pod["metadata"]["name"] for pod in database.pods]
        assert before["metadata"]["name"] not in names and len(names) == 1
        assert "lastSwitchover" in database.status


def test_a_compute_that_is_lost_is_followed_by_another_with_the_same_data(
    make_database: MakeDatabase,
) -> None:
    database = make_database(storage=DEDICATED)
    with database.connect() as client:
        client.execute("create table written (x int)")
        client.execute("insert into written values (1)")
        until(lambda: "session" in database.why_awake or database.phase == "Active", "it is told")
        (pod,) = database.pods
        kubectl.delete(
            "pod", pod["metadata"]["name"], NAMESPACE, "--grace-period=0", "--wait=false"
        )
        until(lambda: database.epoch >= 2 and database.phase == "Active", "another one serves")
    with database.connect() as client:
        assert client.execute("select x from written").fetchall() == [(1,)]


def test_retained_its_volume_waits_for_the_next_of_its_name(make_database: MakeDatabase) -> None:
    database = make_database(storage=DEDICATED, deletionPolicy="Retain", idleTimeout=QUICK)
    with database.connect() as client:
        client.execute("create table written as select 1 as x")
    database.delete()
    volume = _claim(database)["spec"]["volumeName"]
    again = Database(database.torpor, database.namespace, database.name, database.spec)
    again.apply(deletionPolicy="Delete")
    again.is_ready()
    with again.connect() as client:
        assert client.execute("select x from written").fetchone() == (1,)
    assert _claim(again)["spec"]["volumeName"] == volume
    again.delete()
    until(lambda: _find_claim(again) is None, "its volume is deleted with it")


def _claim_name(database: Database) -> str:
    return f"torpor-data-{database.namespace}.{database.name}"


def _find_claim(database: Database) -> Json | None:
    return kubectl.find("pvc", _claim_name(database), NAMESPACE)


def _claim(database: Database) -> Json:
    return kubectl.get("pvc", _claim_name(database), NAMESPACE)


def _claims_of(pod: Json) -> list[str]:
    volumes = pod["spec"]["volumes"]
    return [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in volumes
        if "persistentVolumeClaim" in volume
    ]


def _computes() -> list[Json]:
    return kubectl.listed("pods", NAMESPACE, "app.kubernetes.io/component=compute")
