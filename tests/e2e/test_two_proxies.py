"""Two proxies behind the Service: each serves any database, none harms a session of the other."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE, RELEASE
from e2e.conftest import MakeDatabase
from e2e.database import QUICK, Database
from e2e.installation import POSTGRES_PORT, pods
from e2e.kubectl import COMMAND_SECONDS_MAX, WAIT_SECONDS_MAX, until

CANCELS = 8
"""Of which the Service sends each anywhere: that none reaches the other proxy is 1 in 256."""

RUNNING = (
    "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)'"
    " and state = 'active'"
)

REACH_SECONDS_MAX = 2.0


@pytest.fixture
def replicas(database: Database) -> Iterator[list[Database]]:
    """The database, as a client of each of the proxies sees it."""
    with through_each(database) as found:
        assert len(found) >= 2, "the chart's default"
        yield found


@contextlib.contextmanager
def through_each(database: Database) -> Iterator[list[Database]]:
    """By each pod's own address where this machine can reach it, else by a forwarded port."""
    with contextlib.ExitStack() as stack:
        found = []
        for pod in pods("proxy"):
            host, port = stack.enter_context(reached(pod))
            torpor = replace(database.torpor, host=host, port=port)
            found.append(replace(database, torpor=torpor))
        yield found


@contextlib.contextmanager
def reached(pod: str) -> Iterator[tuple[str, int]]:
    address = kubectl.get("pod", pod, NAMESPACE)["status"]["podIP"]
    if answers(address, POSTGRES_PORT):
        yield address, POSTGRES_PORT
        return
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    target = (f"pod/{pod}", f"{port}:{POSTGRES_PORT}")
    forwarding = subprocess.Popen(
        ["kubectl", "port-forward", "--namespace", NAMESPACE, *target],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: answers("127.0.0.1", port), f"the forwarded port of {pod} answers")
        yield "127.0.0.1", port
    finally:
        forwarding.terminate()
        forwarding.wait(COMMAND_SECONDS_MAX)


def answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), REACH_SECONDS_MAX):
        return True
    return False


def test_a_parked_session_hears_what_is_notified_by_the_other_proxy_first(
    make_database: MakeDatabase,
) -> None:
    """Its own proxy does nothing: the other one wakes the database and notifies at once."""
    database = make_database(idleTimeout=QUICK)
    with through_each(database) as replicas, contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(each.connect()) for each in replicas[:2])
        for ears in (first, second):
            ears.execute("listen news")
        for step in range(3):
            database.falls_asleep()
            for number in range(2):
                first.execute("select pg_notify('news', %s)", (f"{step}:{number}",))
        sent = [f"{step}:{number}" for step in range(3) for number in range(2)]
        for ears in (first, second):
            heard = ears.notifies(timeout=WAIT_SECONDS_MAX, stop_after=len(sent))
            assert [notice.payload for notice in heard] == sent
        until(lambda: database.status["sessions"] == 2, "the status counts both")


def test_a_cancel_request_finds_its_query_whichever_proxy_it_reaches(
    database: Database,
) -> None:
    with (
        database.connect() as client,
        database.connect() as watcher,
        ThreadPoolExecutor() as threads,
    ):
        for _ in range(CANCELS):
            running = threads.submit(client.execute, "select pg_sleep(600)")
            until(lambda: watcher.execute(RUNNING).fetchone() == (1,), "it runs")
            client.cancel_safe(timeout=WAIT_SECONDS_MAX)
            with pytest.raises(psycopg.errors.QueryCanceled):
                running.result(WAIT_SECONDS_MAX)
        assert client.execute("select 'goes on'").fetchone() == ("goes on",)


@pytest.mark.own_release
def test_a_proxy_that_is_drained_ends_no_transaction_and_touches_nobody_else(
    replicas: list[Database],
) -> None:
    drained, other = pods("proxy")[:2]
    with contextlib.ExitStack() as stack:
        busy, idle = (stack.enter_context(replicas[0].connect()) for _ in range(2))
        elsewhere = stack.enter_context(replicas[1].connect())
        for client in (idle, elsewhere):
            client.execute("select 1")
        busy.execute("create table t (n int)")
        busy.execute("begin")
        busy.execute("insert into t values (1)")
        kubectl.delete("pod", drained, NAMESPACE, "--wait=false")

        def is_ended() -> bool:
            try:
                idle.execute("select 1")
            except psycopg.errors.AdminShutdown:
                return True
            return False

        until(is_ended, "an idle session is ended")
        busy.execute("insert into t values (2)")
        busy.execute("commit")
        assert elsewhere.execute("select count(*) from t").fetchone() == (2,)
        until(lambda: drained not in pods("proxy"), "the drained one is gone")
        until(lambda: len(pods("proxy")) >= 2, "there are two again")
        kubectl.kubectl(
            *("rollout", "status", f"deployment/{RELEASE}-proxy", "--namespace", NAMESPACE),
            timeout_s=WAIT_SECONDS_MAX,
        )
        assert other in pods("proxy")
        assert elsewhere.execute("select 'the same'").fetchone() == ("the same",)
