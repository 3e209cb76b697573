"""What a tenant's superuser puts in the way of the agent, which may be root, leads it nowhere."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.agent import Agents, agents_in_a_folder
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
