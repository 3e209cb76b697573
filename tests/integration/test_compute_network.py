"""An agent as in a pod: makes its volume, ends when used up, and in good order when told to."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from support.agent import WAIT_SECONDS_MAX, AgentProcess
from support.network_agents import NetworkAgents, address_of, agents_on_network
from support.postgres import USER_ID, postmaster_of
from torpor_api import messages as m
from torpor_api.failures import DataDamaged, Unavailable
from torpor_channel.client import dialled
from torpor_channel.peer import Peer
from torpor_channel.tls import COMPUTE, OPERATOR, PROXY, Identity, Trust

CAPABILITIES = ("chown", "dac_override", "fowner", "kill", "setgid", "setuid")
"""What an agent in a pod needs: to lay out data for other user ids, and to run and end a Postgres
as one of them."""


@pytest.fixture
async def agents() -> AsyncIterator[NetworkAgents]:
    async with agents_on_network() as made:
        yield made


async def exit_status(agent: AgentProcess) -> int:
    return await asyncio.to_thread(agent.process.wait, WAIT_SECONDS_MAX)


def is_released(storage: m.StoragePlace) -> bool:
    newest = max((Path(storage.directory) / "ownership").glob("*.json"))
    return bool(json.loads(newest.read_text())["state"] == "released")


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def as_proxy(agents: NetworkAgents, agent: AgentProcess) -> psycopg.Connection[object]:
    files = agents.files_of(PROXY)
    return psycopg.connect(
        host=address_of(agent).host,
        user="app",
        dbname="app",
        sslmode="require",
        sslcert=str(files / "tls.crt"),
        sslkey=str(files / "tls.key"),
        autocommit=True,
    )


async def test_used_up_it_ends(agents: NetworkAgents) -> None:
    """After a while: the answer may be asked for again."""
    agent, storage = await agents.agent(), agents.volume()
    started = await agent.start(storage)
    assert started.steps[0].name == "new volume"
    stopped = await agent.stop()
    assert await agent.stop() == stopped
    assert await exit_status(agent) == 0
    again = await (await agents.agent()).start(storage, 2)
    assert not again.was_recovery and again.facts is None


async def test_told_to_end_it_stops_cleanly_whoever_is_there(agents: NetworkAgents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    with as_proxy(agents, agent) as client:
        client.execute("create table t as select 1 as n")
        assert await agent.ended() == 0
    assert is_released(storage)
    assert not (await (await agents.agent()).start(storage, 2)).was_recovery


async def test_told_to_end_it_gives_its_sessions_time_to_move(agents: NetworkAgents) -> None:
    agent, storage = await agents.agent("--leave-seconds", "60"), agents.volume()
    await agent.start(storage)
    with as_proxy(agents, agent) as client:
        agent.process.terminate()
        while not isinstance(told := await agent.hears(), m.AgentLeaving):
            pass  # Of roles, a moment after the start.
        assert (told.compute, told.leaves_in_s) == (agent.compute, 60.0)
        for _ in range(5):
            client.execute("select pg_sleep(0.02)")
    stopped = await agent.stop()
    assert await agent.stop() == stopped, "it may be asked again"
    assert await exit_status(agent) == 0
    assert is_released(storage)


async def test_a_stop_that_waits_for_somebody_does_not_keep_it_from_ending(
    agents: NetworkAgents,
) -> None:
    agent, storage = await agents.agent("--end-seconds-max", "600"), agents.volume()
    await agent.start(storage)
    with as_proxy(agents, agent):
        stopping = asyncio.create_task(agent.stop(grace_s=600.0))
        await until_stopping(agent)
        assert await agent.ended() == 0
    with pytest.raises(Unavailable):
        await stopping
    assert is_released(storage)


async def until_stopping(agent: AgentProcess) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while await agent.state() != "stopping":
            pass


async def test_only_the_autoscaler_is_told_what_happens(agents: NetworkAgents) -> None:
    """Who may ask about a compute is not told of its roles, whose verifiers are secrets."""
    agent, heard = await agents.agent("--leave-seconds", "60"), list[m.Event]()

    async def hear(_: Peer, event: m.AgentLeaving) -> None:
        heard.append(event)

    await agent.state()
    operator = Trust(Identity(agents.files_of(OPERATOR)), COMPUTE)
    async with dialled(agent.address, {m.AgentLeaving: hear}, operator) as peer:
        await peer.ask(m.AskAgentState(), timeout_s=WAIT_SECONDS_MAX)
        assert await agent.ended() == 0
        assert isinstance(await agent.hears(), m.AgentLeaving)
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await peer.closed.wait()
    assert heard == []


async def test_the_time_to_move_has_an_end(agents: NetworkAgents) -> None:
    agent, storage = await agents.agent("--leave-seconds", "0.2"), agents.volume()
    await agent.start(storage)
    with as_proxy(agents, agent):
        assert await agent.ended() == 0
    assert is_released(storage)


async def test_told_to_end_while_nobody_needs_it_it_ends_at_once(agents: NetworkAgents) -> None:
    agent = await agents.agent("--leave-seconds", "600")
    assert await agent.ended() == 0


async def test_what_is_lost_is_not_made_anew(agents: NetworkAgents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    lost = storage.model_copy(update={"may_create": False})
    with pytest.raises(DataDamaged, match="is missing or empty"):
        await agent.start(lost)
    assert not Path(storage.directory).exists()
    assert await agent.ended() == 1


async def test_its_key_is_for_its_postgres_alone(agents: NetworkAgents) -> None:
    agent = await agents.agent()
    address = (await agent.start(agents.volume())).address
    assert (address.host, address.port) == (address_of(agent).host, 5432)
    assert address.direct_tls and len(address.certificate_sha256) == 64
    assert (address.socket_directory, address.agent) == (None, str(agent.address))
    key = (agent.run_directory / "server.key").stat()
    assert stat.S_IMODE(key.st_mode) == 0o600
    assert key.st_uid == (os.geteuid() if USER_ID is None else USER_ID)


async def test_a_link_in_the_place_of_its_key_gives_nothing_away(agents: NetworkAgents) -> None:
    """Code that runs in a starting Postgres can leave one: the folder is open to it then."""
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    other = agents.root / "of-another"
    other.write_text("secret")
    before, key = other.stat(), agent.run_directory / "server.key"
    key.unlink()
    key.symlink_to(other)
    os.kill(postmaster_of(Path(storage.directory)), signal.SIGKILL)
    while not isinstance(await agent.hears(), m.PostgresBack):
        pass
    assert (other.stat().st_uid, other.stat().st_ctime_ns) == (before.st_uid, before.st_ctime_ns)
    assert not key.is_symlink()
    await agent.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root makes process namespaces")
async def test_as_process_1_it_waits_for_everybodys_children(agents: NetworkAgents) -> None:
    """In a container every orphan becomes its child, and none stays behind as a zombie.

    With the capabilities that a pod gives it, and no other.
    """
    unshare, setpriv = shutil.which("unshare"), shutil.which("setpriv")
    assert unshare is not None and setpriv is not None
    rights = ",".join(["-all", *(f"+{each}" for each in CAPABILITIES)])
    agents.are_forked = False
    agents.prefix = (
        *(unshare, "--pid", "--fork", "--kill-child", "--mount-proc"),
        *(setpriv, "--no-new-privs", f"--bounding-set={rights}", f"--inh-caps={rights}"),
    )
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    (own,) = children_of(agent.process.pid)
    (postmaster,) = children_of(own)
    orphan = next(pid for pid in children_of(postmaster))
    os.kill(postmaster, signal.SIGKILL)
    assert isinstance(await agent.hears(), m.PostgresLost)
    assert isinstance(await agent.hears(), m.PostgresBack)
    assert not Path(f"/proc/{orphan}").exists()
    (alive,) = children_of(own)
    assert alive != postmaster
    await agent.stop()
    assert is_released(storage)
    assert await exit_status(agent) == 0
