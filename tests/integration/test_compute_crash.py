"""Bad days: whatever is killed, what was acknowledged is there and two writers never are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from support.agent import WAIT_SECONDS_MAX, AgentProcess, Agents, agents_in_a_folder, until
from support.postgres import IS_ROOT, NOBODY, postmaster_of, processes_on
from torpor_api import messages as m
from torpor_api.failures import (
    NotFenced,
    StartFailed,
)
from torpor_compute.adapters.proc import state_of

LOST = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)


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
    async with asyncio.timeout(WAIT_SECONDS_MAX):
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
    assert back.started.facts is None and isinstance(await agent.hears(), m.LoginFactsChanged)
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


async def test_a_question_survives_the_loss_of_two_connections(agents: Agents) -> None:
    """As after a crash that Postgres notices late: it ends the connection that is new as well."""
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage, roles=[{"name": "app"}, {"name": "boss", "superuser": True}])
    boss, other = await agent.connect("boss"), await agent.connect("boss")
    async with boss.transaction():
        await boss.execute("LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE")
        asking = asyncio.create_task(agent.ask(m.AskRoleFacts(role="app")))
        lost = {await _ended_while_it_waits(other) for _ in range(2)}
        assert len(lost) == 2
    answer: m.RoleFactsReply = await asking
    assert answer.role is not None
    for connection in (boss, other):
        await connection.close()


async def _ended_while_it_waits(boss: asyncpg.Connection) -> int:
    """The process id of the agent's connection, which waited for a lock."""
    asked = """WITH waiting AS MATERIALIZED (SELECT pid FROM pg_stat_activity
        WHERE application_name = 'torpor_agent' AND wait_event_type = 'Lock')
        SELECT pid FROM waiting WHERE pg_terminate_backend(pid, 10000)"""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while (pid := await boss.fetchval(asked)) is None:
            await asyncio.sleep(0.01)
    return int(pid)


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
    started = await second.start(storage, 2, fenced=("c0",))
    assert started.was_recovery and started.facts is not None
    log = (Path(storage.directory) / "log" / "postgres.log").read_text()
    assert "automatic recovery in progress" in log
    connection = await second.connect()
    assert await connection.fetchval("SHOW recovery_init_sync_method") == "syncfs"
    await connection.close()
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
    await second.start(storage, 2, fenced=("c0",))
    await second.stop(2)


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
        await (await agents.agent()).start(storage, 2, fenced=("c0",))
