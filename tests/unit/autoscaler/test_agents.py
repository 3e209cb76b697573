"""Calling an agent: who can't be reached, and when it is we who can't call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from torpor_api import messages as m
from torpor_api.facts import LoginFacts
from torpor_api.failures import InvalidRequest, Unavailable
from torpor_autoscaler.adapters.agents import ChannelAgents
from torpor_autoscaler.lifecycle.actions import NotAsked, NotReached
from torpor_autoscaler.ports import AgentEvent, AgentFacts
from torpor_channel.peer import Peer
from torpor_channel.server import Server

FILES_LEFT = 64
"""Above what the test itself has open."""

SAMPLE = m.ComputeSample(
    database="shop",
    epoch=1,
    at_s=1.0,
    use=m.ComputeUse(cpu_seconds=1.0, memory_bytes=2, anonymous_bytes=1, shared_memory_bytes=1),
)


@contextlib.contextmanager
def no_file_to_open() -> Iterator[None]:
    """Every file that this process may open is open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + FILES_LEFT, before[1]))
    opened: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for file in opened:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def agent_at(path: Path) -> m.AgentInfo:
    return m.AgentInfo(compute="c1", address=str(path), postgres_version="18")


async def test_an_agent_that_does_not_listen_is_not_reached(tmp_path: Path) -> None:
    with pytest.raises(NotReached, match="nobody answers"):
        await ChannelAgents().ask(agent_at(tmp_path / "no"), m.StopCompute(epoch=1), timeout_s=5.0)


async def test_nor_is_one_that_does_not_say_who_it_is(tmp_path: Path) -> None:
    asked: list[m.Message] = []

    async def state(peer: Peer, request: m.AskAgentState) -> m.AgentState:
        raise Unavailable("it begins")

    async def stop(_: Peer, request: m.StopCompute) -> m.Stopped:
        asked.append(request)
        return m.Stopped(steps=(), facts=LoginFacts())

    server = Server({m.AskAgentState: state, m.StopCompute: stop})
    await server.listen(tmp_path / "a.sock")
    agents = ChannelAgents()
    with pytest.raises(NotReached, match="who it is: it begins"):
        await agents.ask(agent_at(tmp_path / "a.sock"), m.StopCompute(epoch=1), timeout_s=5.0)
    await agents.close()
    await server.close()
    assert not asked


async def test_one_that_was_asked_and_gave_no_answer_was_reached(tmp_path: Path) -> None:
    """What became of the question nobody knows."""
    agents, listening = ChannelAgents(), Listening()
    async with listening.at(tmp_path / "a.sock") as server:
        question = asyncio.create_task(
            agents.ask(agent_at(tmp_path / "a.sock"), m.StopCompute(epoch=1), timeout_s=5.0)
        )
        await listening.stop_asked.wait()
        await server.close()
        with pytest.raises(Unavailable) as caught:
            await question
        assert not isinstance(caught.value, NotReached)
        await agents.close()


async def test_another_compute_at_the_same_address_is_asked_nothing(tmp_path: Path) -> None:
    asked: list[m.Message] = []

    async def state(_: Peer, request: m.AskAgentState) -> m.AgentState:
        asked.append(request)
        return m.AgentState(compute="c2", state="warm")

    async def stop(_: Peer, request: m.StopCompute) -> m.Stopped:
        asked.append(request)
        return m.Stopped(steps=(), facts=LoginFacts())

    server = Server({m.AskAgentState: state, m.StopCompute: stop})
    await server.listen(tmp_path / "a.sock")
    agents = ChannelAgents()
    with pytest.raises(Unavailable, match="is c2, not c1"):
        await agents.ask(agent_at(tmp_path / "a.sock"), m.StopCompute(epoch=1), timeout_s=5.0)
    await agents.close()
    await server.close()
    assert asked == [m.AskAgentState()]


async def test_what_an_agent_tells_reaches_the_fleet_once_it_is_watched(tmp_path: Path) -> None:
    watchers: list[Peer] = []

    async def state(_: Peer, request: m.AskAgentState) -> m.AgentState:
        return m.AgentState(compute="c1", state="running", database="shop", epoch=1)

    async def watch(peer: Peer, request: m.WatchSamples) -> m.Done:
        watchers.append(peer)
        return m.Done()

    server = Server({m.AskAgentState: state, m.WatchSamples: watch})
    await server.listen(tmp_path / "a.sock")
    fleet, agents = Heard(), ChannelAgents()
    agents.start(cast(AgentFacts, fleet))
    await agents.ask(agent_at(tmp_path / "a.sock"), m.WatchSamples(), timeout_s=5.0)
    watchers[0].tell(SAMPLE)
    async with asyncio.timeout(5.0):
        assert await fleet.told.get() == SAMPLE
    await agents.close()
    await server.close()


async def test_an_agent_of_an_older_release_is_not_harmed(tmp_path: Path) -> None:
    """It does not know the question, and answers the next one."""
    listening, agents = Listening(), ChannelAgents()
    async with listening.at(tmp_path / "a.sock"):
        agent = agent_at(tmp_path / "a.sock")
        with pytest.raises(InvalidRequest, match="WatchSamples"):
            await agents.ask(agent, m.WatchSamples(), timeout_s=5.0)
        assert await agents.ask(agent, m.Checkpoint(epoch=1), timeout_s=5.0) == m.Done()
        await agents.close()
    assert listening.introduced == 1


class Heard:
    """A fleet that keeps what it is told."""

    def __init__(self) -> None:
        self.told = asyncio.Queue[AgentEvent]()

    def agent_told(self, event: AgentEvent) -> None:
        self.told.put_nowait(event)

    def agent_unheard(self, compute: str) -> None:
        """Of no interest."""


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_without_an_open_file_it_has_not_been_asked(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def ask() -> None:
        with no_file_to_open(), pytest.raises(NotAsked, match="c1 can't be called: "):
            await ChannelAgents().ask(agent_at(tmp_path / "no"), m.AskAgentState(), timeout_s=5.0)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(ask())


class Listening:
    """An agent that counts who connects, and may keep them waiting."""

    def __init__(self) -> None:
        self.introduced = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.stop_asked = asyncio.Event()

    async def state(self, _: Peer, request: m.AskAgentState) -> m.AgentState:
        self.introduced += 1
        await self.may_answer.wait()
        return m.AgentState(compute="c1", state="warm")

    async def checkpoint(self, _: Peer, request: m.Checkpoint) -> m.Done:
        return m.Done()

    async def stop(self, _: Peer, request: m.StopCompute) -> m.Stopped:
        self.stop_asked.set()
        await asyncio.Event().wait()
        raise AssertionError("never")

    @contextlib.asynccontextmanager
    async def at(self, path: Path) -> AsyncIterator[Server]:
        server = Server(
            {
                m.AskAgentState: self.state,
                m.Checkpoint: self.checkpoint,
                m.StopCompute: self.stop,
            }
        )
        await server.listen(path)
        yield server
        await server.close()


async def test_all_who_ask_at_once_share_a_call_whoever_of_them_gives_up(tmp_path: Path) -> None:
    agents, listening = ChannelAgents(), Listening()
    listening.may_answer.clear()
    async with listening.at(tmp_path / "a.sock"):
        info = agent_at(tmp_path / "a.sock")
        first, *others = (
            asyncio.create_task(agents.ask(info, m.Checkpoint(epoch=1), timeout_s=5.0))
            for _ in range(3)
        )
        while not listening.introduced:
            await asyncio.sleep(0)
        first.cancel()
        listening.may_answer.set()
        assert await asyncio.gather(*others) == [m.Done(), m.Done()]
        assert listening.introduced == 1
        await agents.close()


async def test_a_lost_connection_is_made_again_once(tmp_path: Path) -> None:
    agents, unheard = ChannelAgents(), list[str]()
    agents._fleet = cast("Any", SimpleNamespace(agent_unheard=unheard.append))
    listening, info = Listening(), agent_at(tmp_path / "a.sock")
    async with listening.at(tmp_path / "a.sock"):
        await agents.ask(info, m.Checkpoint(epoch=1), timeout_s=5.0)
        before = agents._peers["c1"]
    await before.closed.wait()
    async with listening.at(tmp_path / "a.sock"):
        asked = [agents.ask(info, m.Checkpoint(epoch=1), timeout_s=5.0) for _ in range(3)]
        await asyncio.gather(*asked)
        assert (listening.introduced, unheard) == (2, ["c1"])
        await agents.close()


async def test_nothing_is_kept_of_agents_that_were_never_reached(tmp_path: Path) -> None:
    agents = ChannelAgents()
    with pytest.raises(Unavailable):
        await agents.ask(agent_at(tmp_path / "no"), m.AskAgentState(), timeout_s=5.0)
    assert not (agents._dialling or agents._peers or agents._watches)
