"""Proxies are replaced while clients are connected: transactions end by themselves first."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE, RELEASE
from e2e.database import Database
from e2e.installation import Installation, pods, who_ends_has_ended
from e2e.kubectl import until

pytestmark = [pytest.mark.own_release, pytest.mark.usefixtures("nobody_drains_behind_it")]

DRAIN = ("rollout", "restart", f"deployment/{RELEASE}-proxy", "--namespace", NAMESPACE)


@pytest.fixture
def nobody_drains_behind_it(torpor: Installation) -> Iterator[None]:
    """A proxy on its way out still takes clients for a moment: none of the next test's."""
    yield
    who_ends_has_ended("proxy")


def test_a_transaction_comes_to_its_end_before_its_proxy_does(database: Database) -> None:
    with database.connect() as client:
        with client.transaction():
            client.execute("create table kept as select 41 as n")
            before = set(pods("proxy"))
            kubectl.kubectl(*DRAIN)
            until(lambda: not before & set(pods("proxy")), "its proxy has been told to end")
            client.execute("update kept set n = n + 1")
        # Outside of the transaction the session ends with its proxy, in words that drivers know.
        with pytest.raises(psycopg.OperationalError) as ended:
            until(lambda: client.execute("select 1") is None, "its proxy ends")
    assert ended.value.sqlstate in ("57P01", None)
    with database.connect() as another:
        assert another.execute("select n from kept").fetchone() == (42,)


def test_new_clients_find_a_proxy_at_every_moment_of_a_replacement(database: Database) -> None:
    """The next one answers before the last one stops to."""
    refused: list[Exception] = []
    is_over = threading.Event()

    def come_and_go() -> None:
        while not is_over.is_set():
            try:
                with database.connect() as client:
                    client.execute("select 1")
            except psycopg.OperationalError as error:
                refused.append(error)

    coming = threading.Thread(target=come_and_go)
    coming.start()
    try:
        kubectl.kubectl(*DRAIN)
        wait = ("rollout", "status", f"deployment/{RELEASE}-proxy", "--namespace", NAMESPACE)
        kubectl.kubectl(*wait, "--timeout=120s", timeout_s=kubectl.WAIT_SECONDS_MAX)
    finally:
        is_over.set()
        coming.join()
    assert refused == []
