"""Stops: clean, complete, and never at the cost of a session."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from support.agent import WAIT_SECONDS_MAX, Agents, agents_in_a_folder, until
from support.postgres import IS_ROOT, NOBODY, processes_on
from torpor_api import messages as m
from torpor_api.failures import Busy, Conflict, Failure, Unavailable

USERS = [None, NOBODY] if IS_ROOT else [None]


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


@pytest.fixture(params=USERS, ids=["as-ourselves", "as-an-ordinary-user"][: len(USERS)])
async def anybody(request: pytest.FixtureRequest) -> AsyncIterator[Agents]:
    """For tests that connect as nobody: they hold for root and for everybody else."""
    async with agents_in_a_folder(request.param) as made:
        yield made


def record(storage: m.StoragePlace, epoch: int = 1) -> dict[str, Any]:
    path = Path(storage.directory) / "ownership" / f"{epoch:010d}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


async def test_nothing_is_left_and_the_volume_is_given_back(anybody: Agents) -> None:
    agent, storage = await anybody.agent(), anybody.volume()
    await agent.start(storage)
    assert record(storage)["state"] == "held"
    stopped = await agent.stop()
    assert record(storage)["state"] == "released" and anybody.left() == [agent.process.pid]
    assert [step.name for step in stopped.steps] == [
        "login facts",
        "shutdown of postgres",
        "flush",
        "release",
    ]
    with pytest.raises(Conflict):
        await agent.start(storage)
    with pytest.raises(Unavailable):
        await agent.ask(m.AskRoleFacts(role="app"))
    assert await agent.ended() == 0
    await anybody.nothing_left()


async def test_sigterm_stops_and_gives_back(anybody: Agents) -> None:
    agent, storage = await anybody.agent(), anybody.volume()
    await agent.start(storage)
    assert await agent.ended() == 0
    assert record(storage)["state"] == "released"
    await anybody.nothing_left()
    started = await (await anybody.agent()).start(storage, 2)
    assert not started.was_recovery
    assert started.facts is not None, "nobody has got the facts of the stop before"


async def test_sigterm_to_a_warm_agent(anybody: Agents) -> None:
    agent = await anybody.agent()
    assert await agent.ended() == 0
    assert isinstance(agent.address, Path) and not agent.address.exists()
    await anybody.nothing_left()


async def test_sigterm_in_the_middle_of_a_start(anybody: Agents) -> None:
    agent, storage = await anybody.agent(), anybody.volume()
    starting = asyncio.create_task(agent.start(storage))
    while await agent.state() == "warm":
        await asyncio.sleep(0)
    assert await agent.ended() == 0
    await asyncio.gather(starting, return_exceptions=True)
    await anybody.nothing_left()
    assert record(storage)["state"] == "released"
    await (await anybody.agent()).start(storage, 2)


async def test_a_session_makes_a_stop_busy_and_nothing_changes(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    session = await agent.connect()
    await session.execute("CREATE TEMPORARY TABLE t AS SELECT 42 AS x")
    with pytest.raises(Busy, match=r"1 clients? .*app.*idle"):
        await agent.stop(grace_s=0.2)
    assert await agent.state() == "running"
    assert await session.fetchval("SELECT x FROM t") == 42
    newcomer = await agent.connect()
    assert await newcomer.fetchval("SELECT 1") == 1
    await newcomer.close()
    await session.close()
    await agent.stop()


async def test_a_stop_waits_for_a_session_that_leaves_in_time(agents: Agents) -> None:
    agent = await agents.agent()
    await agent.start(agents.volume())
    session = await agent.connect()
    stopping = asyncio.create_task(agent.stop(grace_s=20.0))
    while await agent.state() != "stopping":
        await asyncio.sleep(0)
    newcomer = await agent.connect()
    await newcomer.close()
    await session.close()
    await stopping
    assert await agent.state() == "stopped"


async def test_force_ends_the_sessions_after_the_grace(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    session = await agent.connect()
    await agent.stop(grace_s=0.1, force=True)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("SELECT 1")
    session.terminate()
    assert record(storage)["state"] == "released"
    assert not (await (await agents.agent()).start(storage, 2)).was_recovery


async def test_a_client_that_is_just_connecting_counts(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    await agent.ask(m.AskActivity())
    directory = Path(storage.directory)
    before = len(processes_on(directory))
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(agent.run_directory / ".s.PGSQL.5432"))
        await until(lambda: len(processes_on(directory)) > before, "a backend for it")
        with pytest.raises(Busy, match="just connecting"):
            await agent.stop(grace_s=0.3)
    await agent.stop()


async def test_a_helper_that_postgres_does_not_list_holds_up_no_stop(agents: Agents) -> None:
    """Once it is too old to be a client that is still on its way in."""
    agent, storage = await agents.agent(), agents.volume()
    settings = "shared_preload_libraries = 'pg_prewarm'\nauthentication_timeout = 1s\n"
    with (Path(storage.directory) / "data" / "postgresql.conf").open("a") as file:
        file.write(settings)
    await agent.start(storage)
    with pytest.raises(Busy, match="just connecting"):
        await agent.stop(grace_s=0)
    await agent.stop(grace_s=WAIT_SECONDS_MAX / 2)
    assert record(storage)["state"] == "released"


async def test_no_session_is_cut_however_it_comes(agents: Agents) -> None:
    """Clients come and go while one stop after the other is tried, until one succeeds."""
    agent = await agents.agent()
    await agent.start(agents.volume())
    cut: list[BaseException] = []
    served = 0
    is_over = False

    async def come_and_go() -> None:
        nonlocal served
        while not is_over:
            began_at = time.monotonic()
            try:
                session = await agent.connect(timeout=10)
            except (asyncpg.CannotConnectNowError, OSError, asyncpg.PostgresConnectionError):
                await asyncio.sleep(0.01)  # Shutting down: it was not let in.
                continue
            try:
                await session.fetchval("SELECT 1")
                await session.close()
                served += 1
            except Exception as error:
                cut.append(error)
            # So that at times nobody is there, however slow the machine is.
            await asyncio.sleep(max(0.03, 2 * (time.monotonic() - began_at)))

    async def has_stopped() -> bool:
        with contextlib.suppress(Busy):
            await agent.stop(grace_s=0)
            return True
        return False

    clients = [asyncio.create_task(come_and_go()) for _ in range(3)]
    await until(lambda: served > 0, "a first session")
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not await has_stopped():
                await asyncio.sleep(0.005)
    finally:
        is_over = True
    await asyncio.gather(*clients)
    assert cut == []
    with pytest.raises(Failure):
        await agent.ask(m.AskActivity())


async def test_two_stops_at_once_are_answered_the_same(anybody: Agents) -> None:
    agent = await anybody.agent()
    await agent.start(anybody.volume())
    both = await asyncio.gather(agent.stop(), agent.stop())
    assert both[0] == both[1]


async def test_a_stop_goes_on_when_whoever_asked_has_gone(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    session = await agent.connect()
    asking = asyncio.create_task(agent.stop(grace_s=30.0))
    while await agent.state() == "running":
        await asyncio.sleep(0)
    await agent.peer.close()
    await asyncio.gather(asking, return_exceptions=True)
    await agent.redialled()
    assert await agent.state() == "stopping"
    await session.close()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while await agent.state() != "stopped":
            await asyncio.sleep(0.01)
    assert (await agent.stop()).facts.roles and record(storage)["state"] == "released"
