"""Postgres's settings follow the size of its compute, under sessions that are open."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from support.agent import WAIT_SECONDS_MAX, Agents, agents_in_a_folder
from support.postgres import postmaster_of
from torpor_api import messages as m


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


async def show(connection: Any, name: str) -> str:
    return str(await connection.fetchval(f"SHOW {name}"))


async def until_shown(connection: Any, name: str, value: str) -> None:
    """A backend reads a reload between two of its client's questions."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while await show(connection, name) != value:
            await asyncio.sleep(0.01)


def follow(cu: str, max_cu: str) -> m.FollowSize:
    return m.FollowSize(epoch=1, cu=Decimal(cu), max_cu=Decimal(max_cu))


async def test_an_open_session_sees_the_new_size(agents: Agents) -> None:
    agent = await agents.agent()
    await agent.start(agents.volume(), maxCU=4)
    session = await agent.connect()
    assert await show(session, "effective_cache_size") == "12GB"
    await agent.ask(follow("1", "4"))
    await until_shown(session, "effective_cache_size", "3GB")
    assert await show(session, "max_parallel_workers") == "1"
    assert await show(session, "shared_buffers") == "512MB"
    await session.close()


async def test_the_database_s_own_settings_outrank_the_size(agents: Agents) -> None:
    agent = await agents.agent()
    await agent.start(agents.volume(), roles=[{"name": "app", "superuser": True}])
    session = await agent.connect()
    await session.execute("ALTER SYSTEM SET effective_cache_size = '5GB'")
    await agent.ask(follow("2", "2"))
    await until_shown(session, "max_parallel_workers", "2")
    assert await show(session, "effective_cache_size") == "5GB"
    await session.close()


async def test_after_a_crash_postgres_has_the_size_that_it_had(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, maxCU=2)
    followed: m.SizeFollowed = await agent.ask(follow("1", "4"))
    assert followed.needs_restart == ("shared_buffers is 256MB, not 512MB",)
    os.kill(postmaster_of(Path(storage.directory)), signal.SIGKILL)
    while not isinstance(await agent.hears(), m.PostgresBack):
        pass
    session = await agent.connect()
    assert await show(session, "effective_cache_size") == "3GB"
    assert await show(session, "shared_buffers") == "512MB"
    assert (await agent.ask(follow("1", "4"))).needs_restart == ()
    await session.close()
