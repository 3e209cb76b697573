"""Operators, autoscalers and proxies end amid their work: the next ones go on with it, and what an
operator made is made again where it is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.conftest import MakeDatabase
from e2e.database import QUICK, Database
from e2e.installation import are_replaced, end, warm_computes
from e2e.kubectl import WAIT_SECONDS_MAX, until


@pytest.mark.own_release
def test_without_an_operator_sessions_and_wakes_go_on(
    database: Database, make_database: MakeDatabase
) -> None:
    with database.connect() as client:
        client.execute("select 1")
        end("operator")
        client.execute("select 1")
        with database.connect() as another:
            another.execute("select 1")
        # And the next one takes up what came meanwhile.
        assert make_database().phase == "Suspended"
        client.execute("select 1")


@pytest.mark.own_release
@pytest.mark.parametrize("component", ["operator", "autoscaler"])
@pytest.mark.parametrize("how", [(), ("--grace-period=0", "--force")], ids=["told", "killed"])
def test_a_wake_comes_to_its_end_whoever_ends_in_the_middle_of_it(
    make_database: MakeDatabase, component: str, how: tuple[str, ...]
) -> None:
    """A held session has asked, and no compute is warm: so there is a middle."""
    database = make_database(idleTimeout=QUICK)
    with database.connect() as client, ThreadPoolExecutor() as threads:
        client.execute("set app.kept = 'yes'")
        database.falls_asleep()
        epoch = database.epoch
        for compute in warm_computes():
            kubectl.delete("pod", compute, NAMESPACE, "--wait=false")
        asked = threads.submit(client.execute, "select current_setting('app.kept')")
        end(component, *how)
        assert asked.result(WAIT_SECONDS_MAX).fetchone() == ("yes",)
        assert database.epoch > epoch


@pytest.mark.own_release
def test_whoever_comes_back_after_its_proxy_has_ended_is_served(
    make_database: MakeDatabase,
) -> None:
    """A session lives in one proxy and ends with it: its driver hears so at once."""
    database = make_database(idleTimeout=QUICK)
    with database.connect() as client, ThreadPoolExecutor() as threads:
        client.execute("create table kept as select 42 as answer")
        database.falls_asleep()
        asked = threads.submit(client.execute, "select answer from kept")
        ended = end("proxy", "--grace-period=0", "--force")
        with suppress(psycopg.OperationalError):
            asked.result(WAIT_SECONDS_MAX)
    are_replaced("proxy", ended)
    until(lambda: _answer(database) == (42,), "the next proxy serves it")


def _answer(database: Database) -> object:
    with suppress(psycopg.OperationalError), database.connect() as client:
        return client.execute("select answer from kept").fetchone()
    return None


def test_a_service_that_was_deleted_comes_back(database: Database) -> None:
    kubectl.delete("service", database.name, database.namespace)
    until(
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
    until(
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

    until(is_let_in, "the new password is the role's")
