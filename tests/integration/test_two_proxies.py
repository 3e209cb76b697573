"""Two proxies over one database: each serves it, and none does harm to a session of the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from support.agent import WAIT_SECONDS_MAX
from support.network_town import PASSWORD, NetworkTown, opened_network_town
from support.postgres import postmaster_of
from support.wire_client import Reported, WireClient, error_of, query
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_proxy.core import wire

SLEEP = "select pg_sleep(600)"

SURE_SECONDS = 4.0

RUNNING = (
    "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%'"
    " and state = 'active' and pid <> pg_backend_pid()"
)


def two_proxies() -> contextlib.AbstractAsyncContextManager[NetworkTown]:
    """No other autoscaler was there before, whose proxies would have to be waited for."""
    return opened_network_town(proxies=2, limits=Limits(start_grace_s=0.0))


@pytest.fixture
async def town() -> AsyncIterator[NetworkTown]:
    async with two_proxies() as opened:
        yield opened


async def one(connection: psycopg.AsyncConnection[Any], sql: str) -> Any:
    row = await (await connection.execute(sql)).fetchone()
    return None if row is None else row[0]


async def is_running(watcher: psycopg.AsyncConnection[Any]) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await one(watcher, RUNNING):
            await asyncio.sleep(0.02)


# --- cancel requests ---------------------------------------------------------------------------


@contextlib.contextmanager
def connected(town: NetworkTown, proxy: int) -> Iterator[WireClient]:
    address = town.proxies[proxy].address
    with socket.create_connection((address.host, address.port), WAIT_SECONDS_MAX) as made:
        yield WireClient(made)


def log_in(client: WireClient, minor: int = 0) -> None:
    client.send(wire.startup({"user": "app", "database": "shop/app"}.items(), minor))
    client.until(b"R")
    client.prove(PASSWORD)
    client.until(b"Z")


def cancel(town: NetworkTown, proxy: int, key: tuple[int, bytes]) -> None:
    """Until the proxy has hung up: then the signal is sent, or there is nobody to send it to."""
    with connected(town, proxy) as client:
        client.send(wire.cancel_request(*key))
        assert client.rest() == b""


@pytest.mark.parametrize("minor", [0, 2])
async def test_a_cancel_request_finds_its_query_whichever_proxy_it_reaches(
    town: NetworkTown, minor: int
) -> None:
    """Also by a key from before a sleep; and one that nobody knows does nothing."""
    with connected(town, 0) as client:
        await asyncio.to_thread(log_in, client, minor)
        process_id, secret = client.key
        await town.fall_asleep()
        client.send(query(SLEEP))
        async with await town.connect(1) as watcher:
            await is_running(watcher)
            wrong = secret[:-1] + bytes([secret[-1] ^ 1])
            await asyncio.to_thread(cancel, town, 1, (process_id, wrong))
            assert await one(watcher, RUNNING) == 1
            await asyncio.to_thread(cancel, town, 1, client.key)
            messages = await asyncio.to_thread(client.until, b"Z")
            assert error_of(messages)["C"] == "57014"
            assert await one(watcher, RUNNING) == 0


# --- notifications -----------------------------------------------------------------------------


class Ears:
    """A client that listens, by one of the proxies, and is idle."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection
        self.heard: list[str] = []

    async def wait_for(self, payload: str) -> None:
        """Without a word of its own."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            async for notice in self.connection.notifies():
                self.heard.append(notice.payload)
                if notice.payload == payload:
                    return


async def listening(town: NetworkTown, proxy: int, stack: contextlib.AsyncExitStack) -> Ears:
    connection = await stack.enter_async_context(await town.connect(proxy))
    await connection.execute("listen news")
    return Ears(connection)


@pytest.mark.parametrize("moves", ["sleeps", "switchovers"])
async def test_each_notification_is_heard_once_and_in_order_whoever_wakes_the_database(
    town: NetworkTown, moves: str
) -> None:
    """Both proxies have sessions that listen, and only those of one of them ever wake it."""
    async with contextlib.AsyncExitStack() as stack:
        ears = [await listening(town, proxy, stack) for proxy in (0, 1, 1)]
        notifier = await stack.enter_async_context(await town.connect(0))
        sent = []
        for step in range(4):
            for number in range(3):
                sent.append(f"{step}:{number}")
                await notifier.execute("select pg_notify('news', %s)", (sent[-1],))
            if moves == "sleeps":
                await town.fall_asleep()
            else:
                await town.switch_over()
        await notifier.execute("notify news, 'end'")
        await asyncio.gather(*(each.wait_for("end") for each in ears))
        assert [each.heard for each in ears] == [[*sent, "end"]] * 3
        assert await one(ears[1].connection, "select 'mine'") == "mine"


async def test_notifications_go_on_while_both_proxies_are_left_and_come_back(
    town: NetworkTown,
) -> None:
    """Sessions of each notify all the time; a switchover waits for none of them."""
    async with contextlib.AsyncExitStack() as stack:
        ears = [await listening(town, proxy, stack) for proxy in (0, 1)]
        done = asyncio.Event()

        async def notify(proxy: int) -> list[str]:
            sent: list[str] = []
            async with await town.connect(proxy) as connection:
                while not done.is_set():
                    sent.append(f"{proxy}:{len(sent)}")
                    await connection.execute("select pg_notify('news', %s)", (sent[-1],))
            return sent

        notifiers = [asyncio.create_task(notify(proxy)) for proxy in (0, 1)]
        for _ in range(3):
            await town.switch_over()
        done.set()
        sent = [await notifier for notifier in notifiers]
        async with await town.connect(0) as last:
            await last.execute("notify news, 'end'")
        await asyncio.gather(*(each.wait_for("end") for each in ears))
        assert ears[0].heard == ears[1].heard
        for proxy in (0, 1):
            assert [p for p in ears[0].heard if p.startswith(f"{proxy}:")] == sent[proxy]


# --- losses ------------------------------------------------------------------------------------


async def is_sure(town: NetworkTown) -> None:
    """Until every session has surely heard what was notified: when nobody was active for a while.

    A second for the proxy to tell of it, a tenth until it is quiet, and the question itself.
    """
    await town.captured()
    await asyncio.sleep(SURE_SECONDS)


@pytest.mark.parametrize("victim", ["postgres", "agent"])
async def test_a_session_that_has_heard_everything_outlives_a_loss(
    town: NetworkTown, victim: str
) -> None:
    """Though it was a session of the other proxy that has used the database last."""
    async with contextlib.AsyncExitStack() as stack:
        ears = await listening(town, 1, stack)
        notifier = await stack.enter_async_context(await town.connect(0))
        await notifier.execute("notify news, 'before'")
        await is_sure(town)
        if victim == "agent":
            await town.cluster.lose(town.compute.compute)
            await town.cluster.add_agent()
        else:
            os.kill(postmaster_of(town.agents.root / "default.shop"), signal.SIGKILL)
        await town.detached()
        await notifier.execute("notify news, 'after'")
        await ears.wait_for("after")
        assert ears.heard == ["before", "after"]


async def test_a_session_that_may_have_missed_something_is_told(town: NetworkTown) -> None:
    """It was used by the other proxy until the end, and nobody knows what was notified."""
    async with contextlib.AsyncExitStack() as stack:
        # No driver: psycopg forgets the reason where that and the end come in one piece.
        ears = stack.enter_context(connected(town, 1))
        await asyncio.to_thread(log_in, ears)
        await asyncio.to_thread(ears.query, "listen news")
        notifier = await stack.enter_async_context(await town.connect(0))
        await town.captured()
        await notifier.execute("begin")
        await notifier.execute("select 1")
        await town.cluster.lose(town.compute.compute)
        await town.cluster.add_agent()
        with pytest.raises(Reported, match=r"57P01: .*may be lost"):
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while True:
                    await asyncio.to_thread(ears.query, "select 1")
                    await asyncio.sleep(0.02)
        with pytest.raises(psycopg.errors.AdminShutdown, match="rolled back"):
            await notifier.execute("commit")


@pytest.mark.parametrize("end", ["stalls", "is killed"])
async def test_a_proxy_that_does_not_answer_holds_up_a_wake_for_a_moment_only(
    town: NetworkTown, end: str
) -> None:
    """One that comes back has sessions that may have missed something: they are told."""
    async with contextlib.AsyncExitStack() as stack:
        ears = await listening(town, 1, stack)
        notifier = await stack.enter_async_context(await town.connect(0))
        await town.fall_asleep()
        second = town.proxies[1]
        assert second.process is not None
        if end == "stalls":
            second.process.send_signal(signal.SIGSTOP)
            stack.callback(second.process.send_signal, signal.SIGCONT)
        else:
            second.kill()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await notifier.execute("notify news, 'missed'")
        if end == "stalls":
            second.process.send_signal(signal.SIGCONT)
        with pytest.raises(psycopg.OperationalError):
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while True:
                    await ears.connection.execute("select 1")
                    await asyncio.sleep(0.02)
        assert await one(notifier, "select 'goes on'") == "goes on"


# --- places ------------------------------------------------------------------------------------


async def test_many_clients_of_both_proxies_share_what_the_compute_accepts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORPOR_COMPUTE_MAX_CONNECTIONS", "12")
    async with two_proxies() as town, contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(await town.connect(number % 2)) for number in range(30)
        ]
        for _ in range(3):
            answers = await asyncio.gather(*(one(c, "select pg_sleep(0.01), 1") for c in clients))
            assert answers == [""] * 30
        most = await one(clients[0], "select count(*) from pg_stat_activity where usename = 'app'")
        assert 1 <= most <= 12
