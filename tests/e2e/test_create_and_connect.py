"""One `kubectl apply`, and a client connects: from outside, and by the Secret in a pod."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from typing import Any

import psycopg
import pytest

from e2e import kubectl
from e2e.cluster import Image
from e2e.conftest import MakeDatabase
from e2e.database import Database
from e2e.kubectl import until

ANSWER_SECONDS_MAX = 10.0


def test_a_database_is_ready_before_anything_runs(database: Database) -> None:
    assert database.phase == "Suspended"
    (ready,) = [c for c in database.status["conditions"] if c["type"] == "Ready"]
    assert ready["reason"] == "Suspended"
    assert database.pods == []
    host = f"{database.name}.{database.namespace}.svc"
    assert database.status["endpoint"] == {"host": host, "port": 5432}
    assert database.binding["host"] == host


def test_the_first_query_wakes_it(database: Database) -> None:
    with database.connect() as client:
        (user, version) = client.execute(
            "select current_user, current_setting('server_version_num')"
        ).fetchone() or ("", "")
    assert user == "app"
    assert version.startswith("17")
    until(lambda: database.phase == "Active", "its status says so")
    assert database.epoch == 1


def test_the_secret_is_all_that_a_pod_needs(database: Database, image_tag: str) -> None:
    """``psql "$uri"`` in the database's own namespace: its name, its password, its certificate."""
    client = {
        "name": "client",
        "image": str(Image("compute", image_tag)),
        "command": ["psql", "--no-psqlrc", "--tuples-only", "--command=select 6 * 7", "$(URI)"],
        "env": [{"name": "URI", "valueFrom": {"secretKeyRef": _key(database, "uri")}}],
    }
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "client", "namespace": database.namespace},
            "spec": {"restartPolicy": "Never", "containers": [client]},
        }
    )
    kubectl.wait_for("pod", "client", database.namespace, "jsonpath={.status.phase}=Succeeded")
    said = kubectl.kubectl("logs", "client", "--namespace", database.namespace)
    # A wake that takes longer is told in notices before.
    assert said.split()[-1] == "42"


def test_the_certificate_knows_the_name_soon(database: Database) -> None:
    """``sslmode=verify-full``, also for a namespace that Torpor has not seen before."""
    until(lambda: _is_let_in(database, sslmode="verify-full"), "the name is in it", 180)


def test_each_namespace_has_a_certificate_of_its_own(
    make_database: MakeDatabase, another_namespace: str
) -> None:
    first = make_database()
    second = Database(first.torpor, another_namespace, first.name, first.spec)
    second.apply()
    second.is_ready()
    for database in (first, second):
        until(partial(_is_shown_its_own, database), "its own certificate is shown", 180)
        until(partial(_is_let_in, database, sslmode="verify-full"), "each proxy knows it", 180)


def test_a_wrong_password_wakes_nobody(database: Database) -> None:
    wrong = database.binding | {"password": "wrong"}
    stranger = Database(database.torpor, database.namespace, database.name)
    stranger.__dict__["binding"] = wrong
    with pytest.raises(Exception, match="password authentication failed"):
        stranger.connect()
    assert database.phase == "Suspended"
    assert database.epoch == 0


def test_two_databases_are_strangers(make_database: MakeDatabase) -> None:
    first, second = make_database(), make_database()
    with first.connect() as one, second.connect() as two:
        one.execute("create table mine (n int)")
        found = two.execute("select count(*) from pg_tables where tablename = 'mine'").fetchone()
    assert found == (0,)


def _is_let_in(database: Database, sslmode: str) -> bool:
    try:
        database.connect(sslmode=sslmode).close()
    except psycopg.OperationalError as error:
        assert "does not match host name" in str(error)
        return False
    return True


def _is_shown_its_own(database: Database) -> bool:
    """A client that verifies the name sees a certificate with the names of one namespace alone."""
    context = ssl.create_default_context(cafile=str(database.torpor.ca))
    context.set_alpn_protocols(["postgresql"])
    address = (database.torpor.host, database.torpor.port)
    host = database.binding["host"]
    with socket.create_connection(address, timeout=ANSWER_SECONDS_MAX) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as encrypted:
                shown: dict[str, Any] = encrypted.getpeercert() or {}
        except ssl.SSLCertVerificationError:
            return False
    return all(f".{database.namespace}." in name for _, name in shown["subjectAltName"])


def _key(database: Database, key: str) -> dict[str, str]:
    return {"name": database.status["binding"]["name"], "key": key}
