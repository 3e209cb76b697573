"""A deleted database leaves its data, and the next one of its name finds it; or leaves nothing."""

from __future__ import annotations

import psycopg
import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.conftest import MakeDatabase
from e2e.database import KIND, QUICK, Database
from e2e.installation import warm_computes
from e2e.kubectl import WAIT_SECONDS_MAX, until


def fill(database: Database) -> None:
    with database.connect() as client:
        client.execute("create table kept as select 42 as answer")


def answer(database: Database) -> int:
    with database.connect() as client:
        row = client.execute("select answer from kept").fetchone()
    assert row is not None
    return int(row[0])


def again(database: Database) -> Database:
    """Another resource of the same name."""
    made = Database(database.torpor, database.namespace, database.name, database.spec)
    made.apply()
    made.is_ready()
    return made


def test_data_that_was_kept_is_found_again_with_new_credentials(
    make_database: MakeDatabase,
) -> None:
    first = make_database(deletionPolicy="Retain")
    fill(first)
    password, epoch = first.binding["password"], first.epoch
    first.delete()
    assert kubectl.find("secret", f"{first.name}-app", first.namespace) is None
    second = again(first)
    assert second.epoch == epoch
    assert second.binding["password"] != password
    assert answer(second) == 42
    assert second.epoch == epoch + 1
    second.apply(deletionPolicy="Delete")


def test_a_namespace_that_is_made_anew_does_not_get_it_unasked(
    make_database: MakeDatabase,
) -> None:
    """It may be another tenant's. Whoever runs the release says that it is not."""
    first = make_database(deletionPolicy="Retain")
    fill(first)
    first.delete()
    kubectl.kubectl("delete", "namespace", first.namespace, timeout_s=WAIT_SECONDS_MAX)
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": first.namespace}})
    second = Database(first.torpor, first.namespace, first.name, first.spec)
    second.apply()
    until(lambda: storage_reason(second) == "KeptOfOthers", "its database is told")
    note = f"retained-{first.namespace}.{first.name}"
    release = '{"data":{"namespaceUid":null}}'
    kubectl.kubectl(
        *("patch", "configmap", note, "--namespace", NAMESPACE, "--type=merge", "-p", release)
    )
    second.is_ready()
    assert answer(second) == 42
    second.apply(deletionPolicy="Delete")


def storage_reason(database: Database) -> str:
    conditions = database.status.get("conditions", ())
    return next((one["reason"] for one in conditions if one["type"] == "StorageReady"), "")


def test_data_that_was_not_kept_is_erased(make_database: MakeDatabase) -> None:
    first = make_database(deletionPolicy="Delete")
    fill(first)
    first.delete()
    assert kubectl.find(KIND, first.name, first.namespace) is None
    second = again(first)
    assert second.epoch == 0
    with pytest.raises(psycopg.errors.UndefinedTable):
        answer(second)


def test_one_that_failed_can_be_deleted(make_database: MakeDatabase) -> None:
    """Its status names the compute that could not start it, which nobody has heard release it."""
    database = make_database(idleTimeout=QUICK)
    fill(database)
    database.falls_asleep()
    damage(database)
    with pytest.raises(psycopg.OperationalError, match="missing or empty"):
        answer(database)
    until(lambda: database.phase == "Failed", "it has failed")
    assert database.status["compute"]
    database.delete()
    assert kubectl.find(KIND, database.name, database.namespace) is None


def test_whoever_deletes_one_that_is_kept_awake_need_not_change_it_first(
    make_database: MakeDatabase,
) -> None:
    database = make_database(keepAwake=True)
    until(lambda: database.phase == "Active", "it is awake")
    database.delete()
    assert kubectl.find(KIND, database.name, database.namespace) is None


def damage(database: Database) -> None:
    """As a bad disk might. Any compute of the pool has the volume."""
    file = f"{database.status['storage']['directory']}/data/PG_VERSION"

    def is_removed() -> bool:
        for compute in warm_computes()[:1]:
            kubectl.kubectl("exec", compute, "--namespace", NAMESPACE, "--", "rm", file)
            return True
        return False

    until(is_removed, "a compute has the volume")
