"""Bad days: whatever is killed, what was acknowledged is there and two writers never are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from support.agent import AgentProcess, Agents, agents_in_a_folder, start_compute, until
from support.postgres import IS_ROOT, NOBODY, binaries, postmaster_of, processes_on
from torpor_api import messages as m
from torpor_api.failures import (
    DataDamaged,
    Failure,
    NotFenced,
    StaleEpoch,
    StartFailed,
    StorageFull,
)
from torpor_compute.adapters.proc import state_of

LOST = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

SEED = 20261124

PAGE_BYTES = 4096


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


class Writer:
    """Commits rows as fast as it can and remembers those that were acknowledged."""

    def __init__(self) -> None:
        self.acknowledged = 0

    async def run(self, agent: AgentProcess) -> None:
        """Until its connection is lost."""
        with contextlib.suppress(*LOST):
            connection = await agent.connect()
            try:
                await connection.execute("CREATE TABLE IF NOT EXISTS t (x int)")
                while True:
                    await connection.execute(f"INSERT INTO t VALUES ({self.acknowledged + 1})")
                    self.acknowledged += 1
            finally:
                connection.terminate()

    async def check(self, agent: AgentProcess) -> None:
        """Everything acknowledged is there; at most one more commit was still on its way."""
        connection = await agent.connect()
        rows = [row["x"] for row in await connection.fetch("SELECT x FROM t ORDER BY x")]
        await connection.close()
        assert rows[: self.acknowledged] == list(range(1, self.acknowledged + 1))
        assert len(rows) <= self.acknowledged + 1


@contextlib.asynccontextmanager
async def writing(agent: AgentProcess) -> AsyncIterator[Writer]:
    """Some rows are there when the block begins; at its end the writer has noticed its loss."""
    writer = Writer()
    task = asyncio.create_task(writer.run(agent))
    await until(lambda: writer.acknowledged > 20, "some rows")
    yield writer
    async with asyncio.timeout(30):
        await task


def records(storage: m.StoragePlace) -> list[dict[str, Any]]:
    folder = Path(storage.directory) / "ownership"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


async def test_a_killed_postmaster_comes_back_under_its_epoch(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, 3)
    directory = Path(storage.directory)
    async with writing(agent) as writer:
        busy = await agent.connect()
        asking = asyncio.create_task(busy.fetchval("SELECT count(*) FROM generate_series(1, 1e12)"))
        first = postmaster_of(directory)
        os.kill(first, signal.SIGKILL)
    lost = await agent.hears()
    assert isinstance(lost, m.PostgresLost) and lost.restarting and "SIGKILL" in lost.reason
    back = await agent.hears()
    assert isinstance(back, m.PostgresBack) and back.epoch == 3 and back.started.was_recovery
    assert back.started.facts is not None
    with pytest.raises(LOST):
        await asking
    busy.terminate()
    await writer.check(agent)
    assert postmaster_of(directory) != first and await agent.state() == "running"
    assert [record["state"] for record in records(storage)] == ["held"]
    assert (await agent.start(storage, 3)) == back.started
    await agent.stop(3)


async def test_nothing_of_the_old_postgres_lives_when_the_new_one_starts(agents: Agents) -> None:
    """A backend that is stopped in its tracks would go on writing whenever it is let go."""
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    busy = await agent.connect()
    backend = await busy.fetchval("SELECT pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)
    before = set(processes_on(Path(storage.directory)))
    os.kill(postmaster_of(Path(storage.directory)), signal.SIGKILL)
    await agent.hears()
    await agent.hears()
    assert not before & set(processes_on(Path(storage.directory)))
    busy.terminate()


async def test_a_killed_backend_is_postgres_s_own_affair(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    postmaster = postmaster_of(Path(storage.directory))
    async with writing(agent) as writer:
        victim = await agent.connect()
        backend = await victim.fetchval("SELECT pg_backend_pid()")
        asking = asyncio.create_task(victim.fetchval("SELECT pg_sleep(60)"))
        os.kill(backend, signal.SIGKILL)
    with pytest.raises(LOST):
        await asking
    victim.terminate()
    answer: m.RoleFactsReply = await agent.ask(m.AskRoleFacts(role="app"))
    assert answer.role is not None
    await writer.check(agent)
    assert postmaster_of(Path(storage.directory)) == postmaster
    assert not any(isinstance(event, m.PostgresLost) for event in agent.heard._queue)  # type: ignore[attr-defined]
    await agent.stop()


async def test_a_question_survives_the_loss_of_its_connection(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, roles=[{"name": "app"}, {"name": "boss", "superuser": True}])
    await agent.ask(m.AskRoleFacts(role="app"))
    connection = await agent.connect("boss")
    kept = await connection.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'torpor_admin'"
    )
    connection.terminate()
    os.kill(kept, signal.SIGSTOP)
    asking = asyncio.create_task(agent.ask(m.AskRoleFacts(role="app")))
    await agent.state()  # Asked after it and answered: so that one has been heard.
    assert not asking.done()
    os.kill(kept, signal.SIGKILL)
    answer: m.RoleFactsReply = await asking
    assert answer.role is not None and agent.heard.empty()


async def test_one_that_dies_again_and_again_is_given_up(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    for _ in range(3):
        os.kill(postmaster_of(Path(storage.directory)), signal.SIGKILL)
        lost, back = await agent.hears(), await agent.hears()
        assert isinstance(lost, m.PostgresLost) and lost.restarting
        assert isinstance(back, m.PostgresBack)
    os.kill(postmaster_of(Path(storage.directory)), signal.SIGKILL)
    while not (isinstance(lost, m.PostgresLost) and not lost.restarting):
        lost = await agent.hears()
    await until(lambda: not processes_on(Path(storage.directory)), "nothing runs")
    with pytest.raises(StartFailed, match="not started again"):
        await agent.stop()
    assert await agent.state() == "failed"
    with pytest.raises(NotFenced):
        await (await agents.agent()).start(storage, 2)


async def test_a_killed_agent_leaves_nothing_and_the_fencer_s_word_is_needed(
    agents: Agents,
) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    async with writing(agent) as writer:
        agent.kill()
    await agents.nothing_left()
    second = await agents.agent()
    with pytest.raises(NotFenced, match="compute c0 holds the volume under epoch 1"):
        await second.start(storage, 2)
    started = await second.start(storage, 2, fenced_epoch=1)
    assert started.was_recovery and started.facts is not None
    assert "recovery of postgres" in {step.name for step in started.steps}
    await writer.check(second)


async def test_an_agent_that_dies_while_the_postmaster_is_paused(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    postmaster = postmaster_of(Path(storage.directory))
    os.kill(postmaster, signal.SIGSTOP)
    await until(lambda: state_of(postmaster) == "T", "paused")
    agent.kill()
    await agents.nothing_left()


@pytest.mark.parametrize("delay_ms", [0, 2, 4, 6, 9, 13, 18, 25, 40])
async def test_an_agent_killed_in_the_claim(agents: Agents, delay_ms: int) -> None:
    agent, storage = await agents.agent(), agents.volume()
    starting = asyncio.create_task(agent.start(storage))
    # Not for luck: any moment must do, and these spread over the start.
    await asyncio.sleep(delay_ms / 1000)
    agent.kill()
    await asyncio.gather(starting, return_exceptions=True)
    await agents.nothing_left()
    second = await agents.agent()
    await second.start(storage, 2, fenced_epoch=1)
    await second.stop(2)


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
    async with writing(first) as writer:
        with pytest.raises(StartFailed, match=r"postmaster\.pid|shared memory|lock file"):
            await (await agents.agent()).start(storage, 2)
        os.kill(first.process.pid, signal.SIGKILL)
    assert writer.acknowledged


@pytest.mark.parametrize("content", ["", "{", "\0" * 90])
async def test_a_corrupt_record_needs_a_person(agents: Agents, content: str) -> None:
    agent, storage = await agents.agent(), agents.volume()
    path = Path(storage.directory) / "ownership" / "0000000004.json"
    path.write_text(content)
    with pytest.raises(DataDamaged, match=r"0000000004\.json is not an ownership record") as found:
        await agent.start(storage, 5, fenced_epoch=4)
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
        await again.start(storage, 3, fenced_epoch=2)
        session = await again.connect()
        assert await session.fetchval("SELECT x FROM t") == 42
        await session.close()
        await again.stop(3)


@pytest.mark.skipif(not IS_ROOT, reason="as an ordinary user every test here runs as one")
async def test_an_ordinary_user_s_postgres_is_brought_back_too() -> None:
    async with agents_in_a_folder(NOBODY) as agents:
        agent, storage = await agents.agent(), agents.volume()
        await agent.start(storage)
        os.kill(postmaster_of(Path(storage.directory)), signal.SIGKILL)
        assert isinstance(await agent.hears(), m.PostgresLost)
        assert isinstance(await agent.hears(), m.PostgresBack)
        agent.kill()
        await agents.nothing_left()
        await (await agents.agent()).start(storage, 2, fenced_epoch=1)


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
