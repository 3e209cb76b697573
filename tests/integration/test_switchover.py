"""A database in use moves to a fresh compute, under real clients: they wait, and nothing fails."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from support.up import Database, Up, a_database, running_up, until
from torpor_api.failures import Busy, Refused, Unavailable
from torpor_cli.client import ask_autoscaler

LOAD_CLIENTS = 4
MOVES = 3


def switch_over(database: Database, patience_s: float = 20.0) -> dict[str, Any]:
    return ask_autoscaler(
        database.up.folder, "Switchover", name=database.name, patience_s=patience_s
    )


class Load:
    """Clients that write, each in transactions of two rows; what they were told is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(LOAD_CLIENTS)
        ]
        self.acknowledged = [0] * LOAD_CLIENTS
        self.failures: list[psycopg.Error] = []
        self.longest_s = 0.0

    @contextmanager
    def going_on(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()

    def _write(self, number: int) -> None:
        try:
            with psycopg.connect(self._database.uri(), autocommit=True) as connection:
                connection.execute(f"set application_name = 'writer {number}'")
                while not self._ended.is_set():
                    began_at = time.monotonic()
                    with connection.transaction():
                        for _ in range(2):
                            connection.execute("insert into written values (%s)", (number,))
                    self.acknowledged[number] += 2
                    self.longest_s = max(self.longest_s, time.monotonic() - began_at)
        except psycopg.Error as failure:
            self.failures.append(failure)


def test_clients_that_write_all_the_time_are_moved_and_nothing_fails(database: Database) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        connection.execute("create table written (client int)")
    load, pauses_ms = Load(database), list[float]()
    with load.going_on():
        for _ in range(MOVES):
            before, written = database.status, sum(load.acknowledged)
            until(lambda low=written: sum(load.acknowledged) > low + 50, "they write")  # type: ignore[misc]
            moved = switch_over(database)
            pauses_ms.append(moved["pause_ms"])
            assert moved["epoch"] == before["epoch"] + 1
            assert moved["compute"] != before["compute"]
        written = sum(load.acknowledged)
        until(lambda: sum(load.acknowledged) > written + 50, "they go on")
    assert load.failures == []
    print(f"pauses {pauses_ms} ms; longest transaction {load.longest_s * 1000:.0f} ms")
    with psycopg.connect(database.uri()) as connection:
        rows = connection.execute("select client, count(*) from written group by 1 order by 1")
        assert [count for _, count in rows.fetchall()] == load.acknowledged


def test_in_chaos_mode_it_happens_again_and_again_under_load() -> None:
    with running_up("--park-every-safe-point", "--restart-every", "20") as up:
        database = up.database()
        with psycopg.connect(database.uri(), autocommit=True) as connection:
            connection.execute("create table written (client int)")
        load, epoch = Load(database), database.epoch
        with load.going_on():
            until(lambda: database.epoch >= epoch + MOVES or bool(load.failures), "it is moved")
        assert load.failures == []
        with psycopg.connect(database.uri()) as connection:
            rows = connection.execute("select count(*) from written").fetchone()
        assert rows == (sum(load.acknowledged),)


def test_a_session_keeps_what_it_had(database: Database) -> None:
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        connection.execute("set work_mem = '5MB'")
        connection.execute("prepare double as select 2 * $1::int")
        agent, moved = database.agent, switch_over(database)
        assert connection.execute("show work_mem").fetchone() == ("5MB",)
        assert connection.execute("execute double (21)").fetchone() == (42,)
    until(lambda: not database.up.processes(f"--compute {agent}"), "the old agent ends")
    until(lambda: database.status["lastSwitchover"] is not None, "it is written")
    last = database.status["lastSwitchover"]
    assert (last["epoch"], last["pauseMs"]) == (moved["epoch"], moved["pause_ms"])
    steps = [(step["name"], step["where"]) for step in moved["steps"]]
    assert steps[0] == ("park every session", "proxy")
    assert ("start of postgres", "postgres") in steps and ("flush", "agent") in steps
    assert sum(step["ms"] for step in moved["steps"]) == pytest.approx(moved["pause_ms"], rel=0.01)


def test_a_transaction_may_end_first(database: Database) -> None:
    with psycopg.connect(database.uri()) as connection, connection.cursor() as cursor:
        cursor.execute("create table t (n int)")
        moved: list[dict[str, Any]] = []
        moving = threading.Thread(target=lambda: moved.append(switch_over(database)))
        moving.start()
        until(lambda: database.status["phase"] == "Suspending", "the gate is about to close")
        cursor.execute("insert into t values (1)")
        assert not moved
        connection.commit()
        moving.join()
        assert moved and cursor.execute("select n from t").fetchone() == (1,)


def test_one_that_does_not_is_named_and_untouched(database: Database) -> None:
    epoch = database.epoch
    with psycopg.connect(database.uri()) as connection:
        connection.execute("create table t (n int)")
        with pytest.raises(Busy, match=r"stays .* session .* transaction") as refused:
            switch_over(database, patience_s=0.3)
        assert "torpor sessions" in refused.value.hint
        connection.execute("insert into t values (1)")
        connection.commit()
        assert connection.execute("select n from t").fetchone() == (1,)
    assert database.epoch == epoch


def test_a_session_that_can_not_be_moved_is_named_at_once(database: Database) -> None:
    epoch = database.epoch
    with psycopg.connect(database.uri(), autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(42)")
        began_at = time.monotonic()
        with pytest.raises(Busy, match="advisory lock"):
            switch_over(database, patience_s=45.0)
        assert time.monotonic() - began_at < 60.0, "it does not wait for what will not happen"
        assert connection.execute("select pg_advisory_unlock(42)").fetchone() == (True,)
    assert database.epoch == epoch


def test_a_death_of_the_autoscaler_in_the_middle_leaves_it_as_it_was(up_to_break: Up) -> None:
    with a_database(up_to_break) as database:
        epoch = database.epoch
        with psycopg.connect(database.uri()) as busy, psycopg.connect(database.uri()) as parked:
            parked.autocommit = True
            parked.execute("select 1")
            busy.execute("create table t (n int)")
            moving = ThreadPoolExecutor(1).submit(switch_over, database, patience_s=45.0)
            until(lambda: "parked" in states(database), "the gate has begun to close")
            os.kill(up_to_break.component("autoscaler"), signal.SIGKILL)
            with pytest.raises(Unavailable):
                moving.result()
            # Behind a gate that nobody opens it would be told after a minute that it has to wait.
            assert parked.execute("select 'goes on'").fetchone() == ("goes on",)
            busy.execute("insert into t values (1)")
            busy.commit()
        until(lambda: database.status["phase"] == "Active", "the record says so again")
        assert database.epoch == epoch


def states(database: Database) -> list[str]:
    """Of its sessions."""
    told = ask_autoscaler(database.up.folder, "Sessions", name=database.name)
    return [session["state"] for session in told["sessions"]]


def test_the_spec_is_that_of_now(database: Database) -> None:
    database.apply(maxCU=2)
    switch_over(database)
    until(lambda: database.status["phase"] == "Active", "it is written")
    assert database.status["observedGeneration"] == 2


def test_what_sleeps_is_not_woken_for_it(database: Database) -> None:
    database.fall_asleep()
    with pytest.raises(Refused, match="is Suspended") as refused:
        switch_over(database)
    assert "next wake" in refused.value.hint
    assert database.is_asleep
