"""LISTEN and NOTIFY of sessions that are parked: each notification is heard once, in order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import asyncpg
import psycopg
import pytest

from support.up import Database, Up, a_database, running_up, until
from support.wire_client import Message, Reported, WireClient, logged_in, query, rows_of
from torpor_cli.client import ask_autoscaler
from torpor_proxy.core import wire
from torpor_proxy.core.cut import notification_of
from torpor_proxy.settings import Settings

ROLES = [{"name": "app"}, {"name": "boss", "password": "boss", "superuser": True}]

LISTENERS = NOTIFIERS = 3
EACH = 60
"""Notifications of one notifier."""

MOVES = 3

TIMES = 18
"""Of EACH long notifications: fewer bytes than end a session that does not read while it is on its
way to a backend of its own, which may take long on a busy machine."""

MORE_THAN_THE_KERNEL_KEEPS = 6 << 20
"""Of what a client does not read: its own buffer starts small, and the sender's ends at 4 MiB."""


class Ears:
    """A client that listens. What it asks brings all that was notified before."""

    def __init__(self, client: WireClient, *channels: str) -> None:
        self.client = client
        self.payloads: list[str] = []
        self.senders: list[int] = []
        for channel in channels:
            self.ask(f"listen {channel}")

    def ask(self, sql: str) -> list[tuple[bytes | None, ...]]:
        return rows_of(self._kept(self.client.ask(query(sql))))

    def wait_for(self, payload: str) -> None:
        """Without a word of its own."""
        while payload not in self.payloads:
            self._kept([self.client.message()])

    def _kept(self, messages: list[Message]) -> list[Message]:
        for kind, body in messages:
            if kind == b"A":
                said = notification_of(kind + bytes(4) + body)
                self.payloads.append(said.payload.decode("latin1"))
                self.senders.append(said.process_id)
        return messages


@pytest.fixture(scope="module")
def up_that_parks() -> Iterator[Up]:
    with running_up("--park-every-safe-point") as up:
        yield up


@pytest.fixture
def parking(up_that_parks: Up) -> Iterator[Database]:
    with a_database(up_that_parks, roles=ROLES) as database:
        yield database


@pytest.fixture(scope="module")
def shared(up: Up) -> Iterator[Database]:
    with a_database(up, roles=ROLES) as database:
        yield database


class Crowd:
    """Listeners that ask all the time, and notifiers that notify."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._notified = threading.Event()
        self.failures: list[BaseException] = []
        self.heard: list[list[str]] = [[] for _ in range(LISTENERS)]

    def run(self, meanwhile: Any = None) -> None:
        """Until everything was notified and whoever listens has asked once more."""
        with ExitStack() as stack:
            ears = [
                Ears(stack.enter_context(logged_in(self._database)), "news")
                for _ in range(LISTENERS)
            ]
            listeners = [self._thread(self._listen, *each) for each in enumerate(ears)]
            notifiers = [self._thread(self._notify, number) for number in range(NOTIFIERS)]
            if meanwhile is not None:
                meanwhile()
            for thread in notifiers:
                thread.join()
            self._notified.set()
            for thread in listeners:
                thread.join()

    def _thread(self, work: Any, *arguments: Any) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as failure:
                self.failures.append(failure)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def _listen(self, number: int, ears: Ears) -> None:
        while True:
            is_last = self._notified.is_set()
            ears.ask(f"select {number}")
            if is_last:
                self.heard[number] = ears.payloads
                return

    def _notify(self, number: int) -> None:
        with psycopg.connect(self._database.uri(), autocommit=True) as connection:
            for step in range(EACH):
                connection.execute("select pg_notify('news', %s)", (f"{number}:{step}",))

    def has_heard_all(self) -> None:
        """Each listener the same, and of each notifier everything in its order."""
        assert self.failures == []
        first = self.heard[0]
        assert [heard == first for heard in self.heard] == [True] * LISTENERS
        for number in range(NOTIFIERS):
            of_one = [payload for payload in first if payload.startswith(f"{number}:")]
            assert of_one == [f"{number}:{step}" for step in range(EACH)]
        assert len(first) == NOTIFIERS * EACH


def test_many_listeners_and_notifiers_that_are_parked_at_every_safe_point(
    parking: Database,
) -> None:
    crowd = Crowd(parking)
    crowd.run()
    crowd.has_heard_all()


def test_over_switchovers(shared: Database) -> None:
    crowd = Crowd(shared)

    def move() -> None:
        for _ in range(MOVES):
            ask_autoscaler(shared.up.folder, "Switchover", name=shared.name, patience_s=20.0)

    epoch = shared.epoch
    crowd.run(meanwhile=move)
    crowd.has_heard_all()
    assert shared.epoch == epoch + MOVES


def test_over_sleeps(shared: Database) -> None:
    """The notifier wakes it; whoever listens hears without a word of its own."""
    with ExitStack() as stack:
        ears = [Ears(stack.enter_context(logged_in(shared)), "news") for _ in range(LISTENERS)]
        notifier = stack.enter_context(logged_in(shared))
        for number in range(3):
            shared.fall_asleep()
            notifier.query(f"notify news, 'first {number}'; notify news, 'second {number}'")
            for each in ears:
                each.wait_for(f"second {number}")
        wanted = [f"{word} {number}" for number in range(3) for word in ("first", "second")]
        assert [each.payloads for each in ears] == [wanted] * LISTENERS
        for each in ears:
            assert each.ask("select * from pg_listening_channels()") == [(b"news",)]
            each.ask("unlisten news")
        notifier.query("notify news, 'nobody'")
        assert [each.ask("select 1") and each.payloads for each in ears] == [wanted] * LISTENERS


async def test_drivers(parking: Database) -> None:
    heard: list[Any] = []
    listener = await asyncpg.connect(parking.uri())
    notifier = await psycopg.AsyncConnection.connect(parking.uri(), autocommit=True)
    try:
        await listener.add_listener("news", lambda _, pid, channel, said: heard.append(said))
        for number in range(20):
            await notifier.execute("select pg_notify('news', %s)", (str(number),))
            if number % 3 == 0:
                assert await listener.fetchval("select $1::int", number) == number
        await listener.execute("select 'all that was sent before'")
        assert heard == [str(number) for number in range(20)]
    finally:
        await listener.close()
        await notifier.close()


def test_names_and_payloads_in_another_encoding(shared: Database) -> None:
    with logged_in(shared, client_encoding="LATIN1") as client, logged_in(shared) as notifier:
        ears = Ears(client)
        rows_of(client.ask(wire.query('listen "é""\\"'.encode("latin1"))))
        shared.fall_asleep()
        notifier.query("""notify "é""\\", 'ü'""")
        ears.wait_for("ü")
        assert ears.payloads == ["ü"]


def test_what_a_session_notifies_itself(parking: Database) -> None:
    with logged_in(parking) as client:
        ears = Ears(client, "news")
        for number in range(10):
            ears.ask(f"notify news, '{number}'")
        ears.ask("select 1; select 2")
        assert ears.payloads == [str(number) for number in range(10)]
        assert ears.ask("select * from pg_listening_channels()") == [(b"news",)]


def test_the_sender_s_process_id_is_the_one_that_its_client_knows(shared: Database) -> None:
    with logged_in(shared) as client, logged_in(shared) as notifier:
        ears = Ears(client, "news")
        shared.fall_asleep()
        notifier.query("notify news, 'new backend'")
        ears.wait_for("new backend")
        assert ears.senders == [notifier.key[0]]


def test_a_role_with_a_connection_limit_keeps_its_own_ears(up: Up) -> None:
    with a_database(up, roles=ROLES) as database, ExitStack() as stack:
        boss = stack.enter_context(logged_in(database, user="boss"))
        boss.query("alter role app connection limit 1")
        database.fall_asleep()
        ears = Ears(stack.enter_context(logged_in(database)), "news")
        database.refuses_to_sleep("with a connection limit")
        ears.ask("unlisten news")
        database.fall_asleep()


# --- the connection that listens is lost ------------------------------------------------------


def listener_of(boss: WireClient) -> int:
    ((pid,),) = boss.query(
        "select pid from pg_stat_activity where application_name = 'torpor listener'"
    )
    assert pid is not None
    return int(pid)


def is_sure(boss: WireClient, since: bytes | None) -> bool:
    """Whether the listener has found out, since then, that nothing is on its way.

    ``boss`` is in another database, so that asking is no use of this one.
    """
    assert since is not None
    ((is_later,),) = boss.query(
        f"select state_change > '{since.decode()}' from pg_stat_activity"
        " where application_name = 'torpor listener'"
    )
    return is_later == b"t"


def test_a_crash_while_nobody_notifies_is_not_heard(up: Up) -> None:
    with a_database(up, roles=ROLES) as database, ExitStack() as stack:
        ears = Ears(stack.enter_context(logged_in(database)), "news")
        database.fall_asleep()
        boss = stack.enter_context(logged_in(database, user="boss", database="postgres"))
        with logged_in(database) as notifier:
            notifier.query("notify news, 'before'")
            ears.wait_for("before")
        ((now,),) = boss.query("select clock_timestamp()")
        until(lambda: is_sure(boss, now), "the listener is sure")
        os.kill(listener_of(boss), signal.SIGKILL)
        with logged_in(database) as notifier:
            notifier.query("notify news, 'after'")
        ears.wait_for("after")
        assert ears.payloads == ["before", "after"]
        assert ears.ask("select * from pg_listening_channels()") == [(b"news",)]


def test_who_may_have_missed_something_is_told(shared: Database) -> None:
    with ExitStack() as stack:
        ears = Ears(stack.enter_context(logged_in(shared)), "news")
        notifier = stack.enter_context(logged_in(shared))
        boss = stack.enter_context(logged_in(shared, user="boss"))
        shared.fall_asleep()
        notifier.query("notify news, 'heard'")
        ears.wait_for("heard")
        pid = listener_of(boss)
        boss.query(f"begin; notify news, 'in the gap'; select pg_terminate_backend({pid}); commit")
        with pytest.raises(Reported, match=r"57P01.*notifications may be lost"):
            ears.client.until(b"Z")


def test_a_client_that_does_not_read_holds_up_only_itself(shared: Database) -> None:
    with ExitStack() as stack:
        lazy = Ears(stack.enter_context(logged_in(shared)), "news")
        ears = Ears(stack.enter_context(logged_in(shared)), "news")
        notifier = stack.enter_context(logged_in(shared))
        shared.fall_asleep()
        assert MORE_THAN_THE_KERNEL_KEEPS < TIMES * EACH * 7000 < Settings().unread_bytes_max
        long_ones = "select pg_notify('news', n || repeat('x', 7000))"
        for _ in range(TIMES):
            notifier.query(f"{long_ones} from generate_series(1, {EACH}) n")
        notifier.query("notify news, 'last'")
        ears.wait_for("last")
        shared.refuses_to_sleep("does not read")
        lazy.wait_for("last")
        assert lazy.payloads == ears.payloads and len(ears.payloads) == TIMES * EACH + 1
