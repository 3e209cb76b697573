"""What was in shared buffers before a sleep is there again after it, in each of its databases."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.agent import WAIT_SECONDS_MAX, AgentProcess, Agents, agents_in_a_folder, until
from torpor_api import messages as m
from torpor_cli.local.postgres_binaries import installed
from torpor_compute.adapters.sql import AdminSql
from torpor_compute.core.kept_pages import Batch, File, Part, page_count, unpacked

SPEC: dict[str, Any] = {
    "roles": [{"name": "boss", "superuser": True}],
    "databases": [{"name": "app", "owner": "boss"}],
}

PAGES = 1000
"""Of a table."""

FILL = f"""
CREATE TABLE many (filler text STORAGE PLAIN) WITH (autovacuum_enabled = off);
INSERT INTO many SELECT repeat('x', 7000) FROM generate_series(1, {PAGES});
"""

TEMPLATE = 1
"""Of which `app` was just made, page by page."""

PAGES_OF_FILE = """
SELECT count(*) FROM torpor.pg_buffercache
WHERE relfilenode = $1::int8::oid AND relforknumber = 0
"""

FORGET = """
CHECKPOINT;
SELECT count(torpor.pg_buffercache_evict(bufferid)) FROM torpor.pg_buffercache
"""
"""All that is in shared buffers."""


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


async def filled(agent: AgentProcess, database: str) -> int:
    """A table whose pages are in shared buffers; its file."""
    client = await agent.connect("boss", database)
    await client.execute(FILL)
    await client.execute("VACUUM many")
    assert await client.fetchval("SELECT count(*) FROM many") == PAGES
    file: int = await client.fetchval("SELECT pg_relation_filenode('many')::int8")
    await client.close()
    return file


async def slept(agent: AgentProcess, epoch: int = 1) -> None:
    """As the autoscaler puts it to sleep."""
    await agent.ask(m.Checkpoint(epoch=epoch))
    await agent.stop(epoch)


def list_of(storage: m.StoragePlace) -> Path:
    return Path(storage.directory) / "ownership" / "pages"


async def noted(agent: AgentProcess, storage: m.StoragePlace) -> None:
    """A sleep waits a second for the list of pages, and no longer: a busy machine needs another."""
    file = list_of(storage)
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not file.exists() or page_count(unpacked(file.read_bytes())) < PAGES:
        assert time.monotonic() < deadline, agent.log.read_text()
        await agent.ask(m.Checkpoint(epoch=1))


async def pages_of(watcher: Any, file: int) -> int:
    found: int = await watcher.fetchval(PAGES_OF_FILE, file)
    return found


async def all_pages_of(agent: AgentProcess, watcher: Any, file: int) -> None:
    """A watcher that looks all the time would be a client at work, for whom loading pauses."""
    deadline = time.monotonic() + 2 * WAIT_SECONDS_MAX
    while (found := await pages_of(watcher, file)) < PAGES:
        said = agent.log.read_text()
        assert time.monotonic() < deadline, f"{found} pages of {PAGES} came back:\n{said}"
        await asyncio.sleep(0.1)


async def test_it_is_there_again_in_each_database(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, **SPEC)
    files = [await filled(agent, database) for database in ("app", "postgres")]
    await noted(agent, storage)
    listed = {run.file.database for run in unpacked(list_of(storage).read_bytes())}
    assert TEMPLATE not in listed and len(listed) == len([0, *files])
    await slept(agent)
    agent = await agents.agent()
    await agent.start(storage, 2, **SPEC)
    watcher = await agent.connect("boss", "postgres")
    for file in files:
        await all_pages_of(agent, watcher, file)
    await watcher.close()
    await slept(agent, 2)


async def test_a_sleep_amid_loading_is_no_later_and_forgets_nothing(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, **SPEC)
    file = await filled(agent, "app")
    await noted(agent, storage)
    await slept(agent)
    for epoch in range(2, 4):
        agent = await agents.agent()
        await agent.start(storage, epoch, **SPEC)
        await asyncio.sleep(0.03 * (epoch - 1))  # Before it begins, and somewhere in it.
        await slept(agent, epoch)
    agent = await agents.agent()
    await agent.start(storage, 4, **SPEC)
    watcher = await agent.connect("boss", "postgres")
    await all_pages_of(agent, watcher, file)
    await watcher.close()
    await slept(agent, 4)


async def test_an_owner_who_does_not_want_it_and_a_list_that_is_none(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, **SPEC)
    unwanted, wanted = await filled(agent, "app"), await filled(agent, "postgres")
    client = await agent.connect("boss", "app")
    await client.execute("ALTER DATABASE app SET torpor.refill = off")
    await client.close()
    await noted(agent, storage)
    await slept(agent)
    agent = await agents.agent()
    await agent.start(storage, 2, **SPEC)
    watcher = await agent.connect("boss", "postgres")
    await all_pages_of(agent, watcher, wanted)
    assert await pages_of(watcher, unwanted) == 0
    await watcher.close()
    await slept(agent, 2)
    list_of(storage).write_bytes(b"\0 rubbish")
    agent = await agents.agent()
    await agent.start(storage, 3, **SPEC)
    await until(lambda: "pages_ignored" in agent.log.read_text(), "a line in the log")
    await slept(agent, 3)


async def test_what_is_gone_or_locked_is_not_loaded_and_no_dump_tells_of_it(
    agents: Agents,
) -> None:
    agent = await agents.agent()
    await agent.start(agents.volume(), **SPEC)
    number = await filled(agent, "app")
    client = await agent.connect("boss", "app")
    watcher = await agent.connect("boss", "postgres")
    await client.execute("CREATE TABLE other AS SELECT 1")
    database = await client.fetchval("SELECT oid::int8 FROM pg_database WHERE datname = 'app'")
    other = await client.fetchval("SELECT pg_relation_filenode('other')::int8")
    files = [File(database, 1663, each, 0) for each in (number, 4_000_000_000, other)]
    ranges = ((0, 3), (PAGES - 1, PAGES + 5)), ((0, 0),), ((0, 0), (7, 9))
    batch = Batch(tuple(map(Part, files, ranges)))
    sql = AdminSql(agent.run_directory)
    async with sql.pages.loading(database) as loader:
        await sql.pages.found()  # Makes the extension.
        await watcher.execute(FORGET)
        assert await loader.load(batch)
        assert [await pages_of(watcher, each.number) for each in files] == [5, 0, 1]
        async with client.transaction():
            await client.execute("LOCK TABLE many")
            await watcher.execute(FORGET)
            assert await loader.load(batch)
            assert [await pages_of(watcher, each.number) for each in files] == [0, 0, 1]
        await client.execute("TRUNCATE many")
        assert await loader.load(batch)
    await sql.close()
    await watcher.close()
    await client.close()
    dump = subprocess.run(
        [installed().program("pg_dump"), "-h", agent.run_directory, "-U", "boss", "app"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "many" in dump.stdout and "torpor" not in dump.stdout
    await agent.stop()
