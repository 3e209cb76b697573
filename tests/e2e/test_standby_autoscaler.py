"""Another autoscaler takes over from the one that leads: who is awake does not notice, and whoever
wakes a database meanwhile waits for it, but not for long.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from e2e import kubectl, node
from e2e.cluster import NAMESPACE
from e2e.computes import pod_of, somebody_is_warm
from e2e.conftest import MakeDatabase
from e2e.database import QUICK
from e2e.held import held_by_psycopg, is_held
from e2e.installation import are_replaced, leader
from e2e.kubectl import WAIT_SECONDS_MAX, Json, until
from e2e.test_decisions import of_loop

AUTOSCALER = ["-m", "torpor_autoscaler"]
"""How its command line goes on after its program; that of the pod's init has another one before."""

TAKEN_OVER_SECONDS_MAX = 15.0
"""What is promised of one that ends without a word."""

WAKE_SECONDS_MAX = 5.0
"""On top of it, on a machine with other work."""

HANDED_OVER_SECONDS_MAX = 10.0
"""By one that is told to end: less than its Lease lasts, so nobody has waited for that."""

pytestmark = pytest.mark.own_release


def process_of(pod: Json) -> int:
    """The autoscaler's own."""
    (found,) = [pid for pid in node.processes_of(pod) if node.words_of(pid)[1:3] == AUTOSCALER]
    return found


def is_told_to_end(pod: Json) -> None:
    kubectl.delete("pod", pod["metadata"]["name"], NAMESPACE, "--wait=false")


def is_killed(pod: Json) -> None:
    node.needs_to_be_here()
    os.kill(process_of(pod), signal.SIGKILL)


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        (is_told_to_end, HANDED_OVER_SECONDS_MAX),
        (is_killed, TAKEN_OVER_SECONDS_MAX + WAKE_SECONDS_MAX),
    ],
    ids=["told", "killed"],
)
def test_a_database_wakes_soon_after_whoever_led_has_ended(
    make_database: MakeDatabase, ends: Callable[[Json], None], seconds: float
) -> None:
    awake, asleep = make_database(), make_database(idleTimeout=QUICK)
    with (
        held_by_psycopg(asleep) as held,
        awake.connect() as client,
        client.transaction(),
        ThreadPoolExecutor() as threads,
    ):
        client.execute("create table kept as select 42 as answer")
        before = pod_of(awake)
        asleep.falls_asleep()
        somebody_is_warm()
        former = leader()
        ended_at = monotonic()
        ends(kubectl.get("pod", former, NAMESPACE))
        threads.submit(is_held, held).result(WAIT_SECONDS_MAX)
        took_s = monotonic() - ended_at
        assert client.execute("select answer from kept").fetchone() == (42,)
        assert pod_of(awake)["metadata"]["uid"] == before["metadata"]["uid"]
    assert took_s < seconds
    if ends is is_told_to_end:
        assert leader() != former
        are_replaced("autoscaler", [former])
    # Twice where the former leader had claimed a compute, and had no time to start it.
    assert awake.epoch == 1 and asleep.epoch > 1


def test_one_that_stands_still_is_followed_and_ends_itself_when_it_goes_on(
    make_database: MakeDatabase,
) -> None:
    """It has the connections of all proxies all that time, and says nothing."""
    node.needs_to_be_here()
    awake, asleep = make_database(), make_database(idleTimeout=QUICK)
    with held_by_psycopg(asleep) as held, held_by_psycopg(awake) as client:
        before = pod_of(awake)
        asleep.falls_asleep()
        somebody_is_warm()
        former = leader()
        pod = kubectl.get("pod", former, NAMESPACE)
        process, restarts = process_of(pod), restarts_of(former)
        stopped_at = monotonic()
        os.kill(process, signal.SIGSTOP)
        try:
            is_held(held)
            took_s = monotonic() - stopped_at
            is_held(client)
        finally:
            os.kill(process, signal.SIGCONT)
        assert leader() != former
        until(lambda: restarts_of(former) > restarts, "the former leader has ended itself")
        until(lambda: leader() != former, "it stands by")
        is_held(held)
        is_held(client)
        assert pod_of(awake)["metadata"]["uid"] == before["metadata"]["uid"]
    assert took_s < TAKEN_OVER_SECONDS_MAX + WAKE_SECONDS_MAX
    assert awake.epoch == 1


def test_another_autoscaler_knows_what_holds_of_an_awake_database(
    make_database: MakeDatabase,
) -> None:
    """What was before that it does not: the resource has the current ones only."""
    database = make_database(idleTimeout="auto")
    with database.connect() as client, client.transaction():
        client.execute("select 1")
        until(lambda: bool(database.status.get("decisions")), "what holds is written")
        (before, *_) = database.status["decisions"]
        former = leader()
        kubectl.delete("pod", former, NAMESPACE, "--wait=false")
        until(lambda: leader() != former, "another one leads")
        (told, *_) = of_loop(before["loop"], database)
        assert (told["since"], told["follows"]) == (before["since"], before["follows"])
        assert client.execute("select 1").fetchone() == (1,)
    are_replaced("autoscaler", [former])


def restarts_of(name: str) -> int:
    (container,) = kubectl.get("pod", name, NAMESPACE)["status"]["containerStatuses"]
    return int(container["restartCount"])
