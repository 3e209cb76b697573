"""What a compute tells of itself while somebody watches, and that it sleeps all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.agent import AgentProcess, Agents, agents_in_a_folder
from support.postgres import postmaster_of
from torpor_api import messages as m
from torpor_api.failures import NotFound
from torpor_compute.adapters.sql import AdminSql

ROLES = [{"name": "boss", "superuser": True}]

ROWS, PAGES = 10_000, 45
"""Of a table."""


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


async def sample_of(agent: AgentProcess) -> m.ComputeSample:
    while not isinstance(told := await agent.hears(), m.ComputeSample):
        pass
    return told


async def test_a_compute_tells_what_it_uses_while_somebody_watches(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.ask(m.WatchSamples())
    await agent.start(storage, epoch=3, roles=ROLES)
    first = await sample_of(agent)
    assert (first.database, first.epoch) == ("shop", 3)
    client = await agent.connect("boss", "postgres")
    await client.execute(f"CREATE TABLE many AS SELECT generate_series(1, {ROWS}) n; CHECKPOINT")
    await client.execute("SELECT pg_stat_force_next_flush()")  # Else its totals lag by seconds.
    blocker = await agent.connect("boss", "postgres")
    await blocker.execute("SELECT pg_advisory_lock(1)")
    waiting = asyncio.create_task(client.execute("SELECT pg_advisory_lock(1)"))
    while not (sample := await sample_of(agent)).postgres or not sample.postgres.waiting_backends:
        pass
    before, now = first.postgres, sample.postgres
    assert before is not None and now is not None
    assert (now.backends, now.active_backends, now.waiting_backends) == (2, 1, {"Lock": 1})
    assert now.transactions > before.transactions
    assert now.blocks_hit - before.blocks_hit > 0
    assert now.wal_bytes - before.wal_bytes > 32 * ROWS
    assert now.written_bytes - before.written_bytes > 32 * ROWS
    assert now.statements is None
    assert sample.at_s > first.at_s and sample.use.cpu_seconds >= first.use.cpu_seconds
    assert sample.use.memory_bytes > sample.use.anonymous_bytes > 0
    assert sample.shared_buffers_bytes == 128 << 20
    await blocker.close()
    await waiting
    await client.close()
    # Neither being watched nor a sample under way keeps it awake, or holds up its end.
    began = time.monotonic()
    await agent.stop(epoch=3, grace_s=0.0)
    assert time.monotonic() - began < 5.0
    assert not Path(storage.directory, "data", "postmaster.pid").exists()


async def test_nothing_is_asked_where_nobody_watches(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, roles=ROLES)
    assert postmaster_of(Path(storage.directory))
    await agent.ask(m.AskActivity())
    client = await agent.connect("boss", "postgres")
    found = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_buffercache'"
    assert await client.fetchval(found) == 0
    await client.close()
    await agent.stop()
    assert agent.heard.empty()


async def test_pages_are_let_go_of_and_are_back_once_somebody_has_touched_them(
    agents: Agents,
) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, roles=ROLES)
    client = await agent.connect("boss", "postgres")
    await client.execute(f"CREATE TABLE many AS SELECT generate_series(1, {ROWS}) n")
    await client.execute("VACUUM many")
    await agent.ask(m.Checkpoint(epoch=1))
    sql = AdminSql(agent.run_directory)
    buffers = await sql.samples.shared_buffers()
    assert buffers is not None and buffers.bytes == 128 << 20

    async def look() -> set[int]:
        return {page.key for page in await sql.samples.followed_pages(1)}

    everything, left = await look(), await look()
    assert len(everything) - len(left) >= PAGES
    assert await client.fetchval("SELECT count(*) FROM many") == ROWS
    touched, idle = await look(), await look()
    assert len(touched - left) >= PAGES and len((touched - left) & idle) < PAGES
    some = {page.key for page in await sql.samples.followed_pages(8)}
    assert all(key % 8 == 0 for key in some)
    await client.execute("DROP SCHEMA torpor CASCADE")
    with pytest.raises(NotFound):
        await sql.samples.followed_pages(1)
    assert await sql.samples.shared_buffers() == buffers and await look()
    await sql.close()
    await client.close()
