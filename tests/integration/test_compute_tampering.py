"""What a tenant's superuser puts in the way of the agent, which may be root, leads it nowhere."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from support.agent import AgentProcess, Agents, agents_in_a_folder
from support.postgres import IS_ROOT, postmaster_of
from torpor_api import messages as m
from torpor_api.failures import DataDamaged


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


async def test_what_the_tenant_has_replaced_is_not_followed(agents: Agents) -> None:
    """Where Postgres itself would be started on it: nothing of the other file is said."""
    storage = agents.volume()
    secret = Path(storage.directory) / "secret"
    secret.write_text("root:secret")
    pid_file = Path(storage.directory) / "data" / "postmaster.pid"
    pid_file.symlink_to(secret)
    agent = await agents.agent()
    with pytest.raises(DataDamaged, match=r"postmaster\.pid can't be used") as refused:
        await agent.start(storage)
    assert "root:secret" not in refused.value.message
    assert pid_file.is_symlink() and secret.read_text() == "root:secret"
    pid_file.unlink()
    await (await agents.agent()).start(storage, 2)


async def test_a_log_that_is_a_pipe_is_refused(agents: Agents) -> None:
    storage = agents.volume()
    log = Path(storage.directory) / "log"
    log.mkdir()
    os.mkfifo(log / "postgres.log")
    with pytest.raises(DataDamaged, match="no regular file"):
        await (await agents.agent()).start(storage)


async def replace_socket(agent: AgentProcess, target: AgentProcess) -> None:
    """What a tenant's superuser can try: a program that runs as its Postgres does."""
    own, other = (str(each.run_directory / ".s.PGSQL.5432") for each in (agent, target))
    connection = await agent.connect("boss")
    with pytest.raises(asyncpg.ExternalRoutineError, match="failed"):
        await connection.execute(f"COPY (SELECT 1) TO PROGRAM 'ln -sf {other} {own}'")
    await connection.close()


@pytest.mark.skipif(not IS_ROOT, reason="only root keeps databases apart by user id")
async def test_a_socket_can_not_be_replaced_by_a_link_to_another_database_s(
    agents: Agents,
) -> None:
    """Agent and proxy, who are let in by who they are, would be led into that one."""
    storage = agents.volume()
    agent, other = await agents.agent(), await agents.agent()
    roles = [{"name": "app"}, {"name": "boss", "superuser": True}]
    await agent.start(storage, roles=roles)
    await other.start(agents.volume())
    await replace_socket(agent, other)
    os.kill(postmaster_of(Path(storage.directory)), signal.SIGKILL)
    while not isinstance(await agent.hears(), m.PostgresBack):
        pass
    await replace_socket(agent, other)
    await agent.stop()
