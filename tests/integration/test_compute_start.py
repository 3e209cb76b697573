"""Starts that must not happen, and starts that can't: each says why, and nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.agent import Agents, agents_in_a_folder, start_compute
from support.postgres import IS_ROOT, binaries, processes_on
from torpor_api import messages as m
from torpor_api.failures import (
    DataDamaged,
    Failure,
    NotFenced,
    StaleEpoch,
    StartFailed,
    StorageFull,
)

SEED = 20261124

PAGE_BYTES = 4096


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        made.are_forked = False  # The command that pods run is tested here.
        yield made


def records(storage: m.StoragePlace) -> list[dict[str, Any]]:
    folder = Path(storage.directory) / "ownership"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


async def test_two_agents_on_one_volume(agents: Agents) -> None:
    pair = await agents.agent(), await agents.agent()
    storage = agents.volume()
    chance = random.Random(SEED)
    epoch = 1
    for _ in range(3):
        epochs = [epoch, epoch + chance.choice((0, 1))]
        outcomes = await asyncio.gather(
            *(agent.start(storage, of) for agent, of in zip(pair, epochs, strict=True)),
            return_exceptions=True,
        )
        assert all(isinstance(o, m.Started | NotFenced | StaleEpoch) for o in outcomes)
        started = [a for a, o in zip(pair, outcomes, strict=True) if isinstance(o, m.Started)]
        assert len(started) <= 1
        assert len(processes_on(Path(storage.directory))) == 0 or started
        for agent in pair:
            agent.kill()
        await agents.no_postgres_left()
        epoch, pair = epoch + 2, (await agents.agent(), await agents.agent())
        storage = agents.volume()


async def test_a_postgres_that_runs_already_is_not_joined(agents: Agents) -> None:
    """Somebody has put records aside by hand: then Postgres's own refusal still holds."""
    first, storage = await agents.agent(), agents.volume()
    await first.start(storage)
    for path in (Path(storage.directory) / "ownership").iterdir():
        path.unlink()
    session = await first.connect()
    with pytest.raises(StartFailed, match=r"postmaster\.pid|shared memory|lock file"):
        await (await agents.agent()).start(storage, 2)
    assert await session.fetchval("SELECT 1") == 1
    await session.close()


@pytest.mark.parametrize("content", ["", "{", "\0" * 90])
async def test_a_corrupt_record_needs_a_person(agents: Agents, content: str) -> None:
    agent, storage = await agents.agent(), agents.volume()
    path = Path(storage.directory) / "ownership" / "0000000004.json"
    path.write_text(content)
    with pytest.raises(DataDamaged, match=r"0000000004\.json is not an ownership record") as found:
        await agent.start(storage, 5, fenced=("c0",))
    assert "remove the file" in found.value.hint
    assert await agent.state() == "refused" and not processes_on(Path(storage.directory))
    path.unlink()
    await agent.start(storage, 5)


async def test_missing_data_is_named(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    data = Path(storage.directory) / "data"
    data.rename(data.with_name("elsewhere"))
    with pytest.raises(DataDamaged, match="data is missing or empty"):
        await agent.start(storage)
    data.mkdir()
    with pytest.raises(DataDamaged, match="data is missing or empty"):
        await agent.start(storage)
    data.rmdir()
    data.with_name("elsewhere").rename(data)
    await agent.start(storage)


async def test_a_postgres_that_does_not_start_says_why(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    conf = Path(storage.directory) / "data" / "postgresql.conf"
    good = conf.read_text()
    conf.write_text(good + "\nshared_buffers_of_gold = 1\n")
    with pytest.raises(StartFailed, match='unrecognized configuration parameter "shared_buff'):
        await agent.start(storage)
    with pytest.raises(StartFailed):
        await agent.start(storage)
    assert await agent.state() == "failed"
    assert [record["state"] for record in records(storage)] == ["released"]
    conf.write_text(good)
    started = await (await agents.agent()).start(storage, 2)
    assert started.facts is not None


async def test_binaries_that_went_missing(agents: Agents, tmp_path: Path) -> None:
    gone = agents.root / "bin"
    gone.symlink_to(binaries().directory)
    agent, storage = await agents.agent("--postgres", str(gone)), agents.volume()
    gone.unlink()
    with pytest.raises(StartFailed, match=r"can't run .*bin/postgres.*No such file"):
        await agent.start(storage)


async def test_a_start_that_takes_too_long(agents: Agents) -> None:
    agent, storage = await agents.agent("--start-seconds-max", "0.001"), agents.volume()
    with pytest.raises(StartFailed, match="is not ready"):
        await agent.start(storage)
    assert not processes_on(Path(storage.directory))
    assert [record["state"] for record in records(storage)] == ["released"]


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own with little room."""
    if not IS_ROOT:
        pytest.skip("only root may mount a file system")
    place = Path(f"/tmp/torpor-disk-{os.getpid()}")
    place.mkdir(mode=0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "none", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)
    place.rmdir()


@pytest.mark.parametrize("pages_free", [0, 1])
async def test_a_full_disk_is_named_and_nothing_is_lost(small_disk: Path, pages_free: int) -> None:
    """With no room for the ownership record, and with just enough for that and no more."""
    async with agents_in_a_folder() as agents:
        storage = agents.volume(small_disk / "volume")
        first = await agents.agent()
        await first.start(storage)
        session = await first.connect()
        await session.execute("CREATE TABLE t AS SELECT 42 AS x")
        await session.close()
        await first.stop()
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * PAGE_BYTES)
        os.truncate(filler, filler.stat().st_size - pages_free * PAGE_BYTES)
        with pytest.raises(StorageFull, match="no room on the file system"):
            await (await agents.agent()).start(storage, 2)
        assert not processes_on(Path(storage.directory))
        filler.unlink()
        again = await agents.agent()
        await again.start(storage, 3, fenced=("c1",))
        session = await again.connect()
        assert await session.fetchval("SELECT x FROM t") == 42
        await session.close()
        await again.stop(3)


async def test_a_request_for_more_than_one_start_at_a_time(agents: Agents) -> None:
    """Whatever else is asked meanwhile waits for the start, or fails by name."""
    agent, storage = await agents.agent(), agents.volume()
    wanted = start_compute(storage)
    questions: list[m.Request[Any]] = [
        wanted,
        m.AskRoleFacts(role="app"),
        m.AskActivity(),
        m.StopCompute(epoch=1),
        wanted,
    ]
    answers = await asyncio.gather(*(agent.ask(q) for q in questions), return_exceptions=True)
    assert all(isinstance(answer, m.Message | Failure) for answer in answers)
    assert isinstance(answers[0], m.Started) and isinstance(answers[3], m.Stopped)
    assert agents.left() == [agent.process.pid]


async def test_no_room_on_another_file_system_is_said_in_the_words_of_postgres(
    agents: Agents,
) -> None:
    """Its log or a tablespace may have one of their own; here Postgres just says the words."""
    storage = agents.volume()
    settings = Path(storage.directory) / "data" / "postgresql.auto.conf"
    settings.write_text("work_mem = 'No space left on device'\n")
    agent = await agents.agent()
    with pytest.raises(StorageFull, match=r"its last words:\n(.|\n)*No space left on device"):
        await agent.start(storage)
    await agents.no_postgres_left()
