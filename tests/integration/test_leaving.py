"""A compute that is told to end while clients are at work: they go on, on another one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from support.agent import WAIT_SECONDS_MAX, AgentProcess, until
from support.network_town import NetworkTown, opened_network_town
from torpor_api import messages as m
from torpor_api.failures import Busy
from torpor_api.phases import Phase

LEAVE_SECONDS = 8.0

WORKERS = 4

Client = psycopg.AsyncConnection[Any]


@pytest.fixture
async def town() -> AsyncIterator[NetworkTown]:
    """With two proxies."""
    options = ("--leave-seconds", str(LEAVE_SECONDS))
    async with opened_network_town(proxies=2, agent_options=options) as opened:
        yield opened


async def one(client: Client, sql: str) -> Any:
    row = await (await client.execute(sql)).fetchone()
    return None if row is None else row[0]


def leave(town: NetworkTown) -> AgentProcess:
    """The compute that serves the database is told to end."""
    agent = town.compute
    agent.process.terminate()
    return agent


async def has_moved(town: NetworkTown, before: AgentProcess) -> None:
    def has() -> bool:
        status = town.cluster.resources["shop"].status
        return status.phase is Phase.ACTIVE and status.compute != before.compute

    await until(has, "another compute serves it")


async def ended(agent: AgentProcess) -> int:
    return await asyncio.to_thread(agent.process.wait, WAIT_SECONDS_MAX)


async def test_idle_sessions_of_all_proxies_go_on_as_they_were(town: NetworkTown) -> None:
    async with await town.connect() as client, await town.connect(1) as other:
        await client.execute("set work_mem = '7MB'")
        await client.execute("prepare p as select $1::int * 2")
        await client.execute("listen news")
        await other.execute("set app.tenant = 'seven'")
        before = leave(town)
        await has_moved(town, before)
        assert await one(client, "execute p(21)") == 42
        assert await one(client, "show work_mem") == "7MB"
        assert await one(other, "show app.tenant") == "seven"
        await other.execute("notify news, 'moved'")
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            assert (await anext(client.notifies())).payload == "moved"
    assert await ended(before) == 0
    last = town.cluster.resources["shop"].status.last_switchover
    assert last is not None and last.epoch == 2


async def test_nobody_who_is_at_work_hears_an_error(town: NetworkTown) -> None:
    """Short transactions without a pause: each is done once, before the move or after it."""
    done = [0] * WORKERS
    is_over = asyncio.Event()

    async def work(number: int) -> None:
        async with await town.connect(number % 2) as client:
            while not is_over.is_set():
                async with client.transaction():
                    await client.execute("insert into kept values (%s)", (number,))
                done[number] += 1

    async with await town.connect() as client:
        await client.execute("create table kept (worker int)")
        workers = [asyncio.create_task(work(number)) for number in range(WORKERS)]
        await until(lambda: all(done), "everybody is at work")
        before = leave(town)
        await has_moved(town, before)
        so_far = list(done)
        await until(lambda: all(a > b for a, b in zip(done, so_far, strict=True)), "all go on")
        is_over.set()
        await asyncio.gather(*workers)
        assert await one(client, "select count(*) from kept") == sum(done)


async def test_a_transaction_is_waited_for_and_holds_nobody_else_up(town: NetworkTown) -> None:
    async with await town.connect() as busy, await town.connect(1) as client:
        await busy.execute("create table kept (n int)")
        async with busy.transaction():
            await busy.execute("insert into kept values (1)")
            before = leave(town)
            for _ in range(10):
                async with asyncio.timeout(LEAVE_SECONDS / 2):
                    assert await one(client, "select 1") == 1
                await busy.execute("select pg_sleep(0.1)")
            assert town.compute is before
        await has_moved(town, before)
        assert await one(client, "select n from kept") == 1
        assert await one(busy, "select n from kept") == 1


async def test_a_transaction_that_takes_longer_is_ended_and_nobody_else_is(
    town: NetworkTown,
) -> None:
    async with await town.connect() as busy, await town.connect(1) as client:
        await client.execute("create table kept (n int)")
        await client.execute("set app.tenant = 'seven'")
        before = town.compute
        with pytest.raises(psycopg.OperationalError):
            async with busy.transaction():
                await busy.execute("insert into kept values (1)")
                leave(town)
                await busy.execute("select pg_sleep(600)")
        await has_moved(town, before)
        assert await one(client, "show app.tenant") == "seven"
        assert await one(client, "select count(*) from kept") == 0
    assert await ended(before) == 0
    last = town.cluster.resources["shop"].status.last_switchover
    assert last is not None and last.epoch == 2, "its data was released, nobody had to be fenced"


async def test_its_sleep_is_a_way_to_leave_as_well(town: NetworkTown) -> None:
    async with await town.connect() as client:
        await town.captured()
        before = leave(town)
        with contextlib.suppress(Busy):  # Where it has begun to move: that is one as well.
            await town.ask(m.Suspend(name="shop"))
        assert await one(client, "select current_database()") == "app"
        await has_moved(town, before)
    assert await ended(before) == 0
