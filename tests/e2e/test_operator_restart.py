"""What an operator made is made again where it is lost; nobody who is connected misses one."""

from __future__ import annotations

import psycopg

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.conftest import MakeDatabase
from e2e.database import Database
from e2e.installation import pods


def test_without_an_operator_sessions_and_wakes_go_on(
    database: Database, make_database: MakeDatabase
) -> None:
    with database.connect() as client:
        client.execute("select 1")
        for pod in pods("operator"):
            kubectl.delete("pod", pod, NAMESPACE, "--wait=false")
        client.execute("select 1")
        with database.connect() as another:
            another.execute("select 1")
        # And the next one takes up what came meanwhile.
        assert make_database().phase == "Suspended"
        client.execute("select 1")


def test_a_service_that_was_deleted_comes_back(database: Database) -> None:
    kubectl.delete("service", database.name, database.namespace)
    kubectl.until(
        lambda: kubectl.find("service", database.name, database.namespace) is not None,
        "the Service is back",
    )


def test_a_secret_that_was_deleted_comes_back_with_a_password_that_works(
    database: Database,
) -> None:
    with database.connect() as client:
        client.execute("select 1")
    old, name = database.binding["password"], f"{database.name}-app"
    kubectl.delete("secret", name, database.namespace)
    kubectl.until(
        lambda: kubectl.find("secret", name, database.namespace) is not None, "the Secret is back"
    )
    del database.binding
    assert database.binding["password"] != old

    def is_let_in() -> bool:
        try:
            with database.connect() as client:
                client.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True

    kubectl.until(is_let_in, "the new password is the role's")
