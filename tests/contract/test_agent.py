"""The contract of the agent's port: what a real agent and a fake one answer alike.

A world makes agents, each behind a real control channel, and volumes for them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest

from support.agent import AgentProcess, Agents, agents_in_a_folder, start_compute
from support.fakes.agent import FakeAgent, Pace
from support.fakes.volume import Volume
from support.network_agents import agents_on_network
from support.scratch import DISK, scratch_folder
from torpor_api import messages as m
from torpor_api.failures import Conflict, NotFenced, StaleEpoch, Unavailable
from torpor_api.resource import DatabaseSpec
from torpor_channel.client import dial
from torpor_channel.peer import Peer
from torpor_channel.server import Server

ANSWER_SECONDS_MAX = 30.0


class World(Protocol):
    """Where agents live."""

    async def agent(self) -> Peer:
        """A connection to a new warm agent."""
        ...

    async def again(self, peer: Peer) -> Peer:
        """Another connection to the same agent."""
        ...

    async def kill(self, peer: Peer) -> None:
        """The agent and all of its Postgres die at once."""
        ...

    def volume(self) -> m.StoragePlace: ...


class RealWorld:
    """Processes and a real Postgres."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._by_peer: dict[Peer, AgentProcess] = {}
        self._peers: list[Peer] = []

    async def agent(self) -> Peer:
        agent = await self._agents.agent()
        self._by_peer[agent.peer] = agent
        return agent.peer

    async def again(self, peer: Peer) -> Peer:
        agent = self._by_peer[peer]
        self._peers.append(await dial(agent.address, {}, agent.trust))
        return self._peers[-1]

    async def kill(self, peer: Peer) -> None:
        self._by_peer[peer].kill()
        await self._agents.no_postgres_left()

    def volume(self) -> m.StoragePlace:
        return self._agents.volume()

    async def close(self) -> None:
        for peer in self._peers:
            await peer.close()


class FakeWorld:
    """Agents and volumes in memory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._volumes: list[Volume] = []
        self._servers: list[Server] = []
        self._by_peer: dict[Peer, tuple[FakeAgent, Path]] = {}
        self._peers: list[Peer] = []

    async def agent(self) -> Peer:
        fake = FakeAgent(f"c{len(self._servers)}", self._volume_of, Pace())

        async def answer(_: Peer, request: Any) -> m.Message:
            return await fake.answer(request)

        server = Server(dict.fromkeys(m.Request.by_name.values(), answer))
        socket = self._root / f"{fake.compute}.sock"
        await server.listen(socket)
        self._servers.append(server)
        peer = await dial(socket)
        self._by_peer[peer] = fake, socket
        self._peers.append(peer)
        return peer

    async def again(self, peer: Peer) -> Peer:
        self._peers.append(await dial(self._by_peer[peer][1]))
        return self._peers[-1]

    async def kill(self, peer: Peer) -> None:
        self._by_peer[peer][0].kill()

    def volume(self) -> m.StoragePlace:
        self._volumes.append(Volume())
        return m.StoragePlace(directory=str(len(self._volumes) - 1))

    def _volume_of(self, storage: m.StoragePlace) -> Volume:
        return self._volumes[int(storage.directory)]

    async def close(self) -> None:
        for peer in self._peers:
            await peer.close()
        for server in self._servers:
            await server.close()


REAL: dict[str, Callable[[], contextlib.AbstractAsyncContextManager[Agents]]] = {
    "real": agents_in_a_folder,
    "network": agents_on_network,
}


@pytest.fixture(params=[*REAL, "fake"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as ending:
        if request.param in REAL:
            agents = await ending.enter_async_context(REAL[request.param]())
            real = RealWorld(agents)
            ending.push_async_callback(real.close)
            yield real
        else:
            root = ending.enter_context(scratch_folder(DISK))
            fake = FakeWorld(root)
            ending.push_async_callback(fake.close)
            yield fake


async def ask(peer: Peer, request: m.Request[Any]) -> Any:
    return await peer.ask(request, timeout_s=ANSWER_SECONDS_MAX)


async def test_a_warm_agent_serves_nobody(world: World) -> None:
    state: m.AgentState = await ask(await world.agent(), m.AskAgentState())
    assert (state.state, state.database, state.epoch, state.address) == ("warm", None, 0, None)


async def test_a_claim_starts_postgres_with_the_roles_of_the_spec(world: World) -> None:
    agent = await world.agent()
    wanted = start_compute(
        world.volume(),
        3,
        roles=[{"name": "app"}, {"name": "b"}],
        databases=[{"name": "one", "owner": "app"}],
    )
    started: m.Started = await ask(agent, wanted)
    assert started.facts is not None and not started.was_recovery
    assert {role.name: role.verifier for role in started.facts.roles} == wanted.verifiers
    assert "one" in started.facts.databases
    assert started.max_connections == 101 and started.steps
    state: m.AgentState = await ask(agent, m.AskAgentState())
    assert (state.state, state.database, state.epoch) == ("running", "shop", 3)
    assert state.address == started.address


async def test_the_same_claim_is_answered_the_same(world: World) -> None:
    agent, wanted = await world.agent(), start_compute(world.volume())
    both = await asyncio.gather(ask(agent, wanted), ask(agent, wanted))
    assert both[0] == both[1] == await ask(agent, wanted)


@pytest.mark.parametrize("other", [{"database": "other"}, {"epoch": 2}])
async def test_an_agent_is_claimed_once(world: World, other: dict[str, Any]) -> None:
    agent, wanted = await world.agent(), start_compute(world.volume())
    await ask(agent, wanted)
    with pytest.raises(Conflict):
        await ask(agent, wanted.model_copy(update=other))


async def test_a_claim_goes_on_when_whoever_asked_has_gone(world: World) -> None:
    agent = await world.agent()
    wanted = start_compute(world.volume())
    impatient = await world.again(agent)
    asking = asyncio.create_task(ask(impatient, wanted))
    await _until_state(agent, "starting", "running")
    await impatient.close()
    await asyncio.gather(asking, return_exceptions=True)
    await _until_state(agent, "running")
    assert (await ask(agent, wanted)).facts is not None


async def test_a_stop_answers_the_facts_and_again_the_same(world: World) -> None:
    agent, wanted = await world.agent(), start_compute(world.volume())
    started: m.Started = await ask(agent, wanted)
    stopped: m.Stopped = await ask(agent, m.StopCompute(epoch=1))
    assert stopped.facts == started.facts
    assert (await ask(agent, m.AskAgentState())).state == "stopped"
    assert (await ask(agent, m.StopCompute(epoch=1))).facts == stopped.facts


async def test_a_clean_stop_makes_a_start_without_facts(world: World) -> None:
    storage = world.volume()
    for epoch in (1, 2, 5):
        agent = await world.agent()
        started: m.Started = await ask(agent, start_compute(storage, epoch))
        assert (started.facts is None) is (epoch > 1)
        assert not started.was_recovery
        await ask(agent, m.StopCompute(epoch=epoch))


async def test_a_new_generation_is_applied_at_the_start(world: World) -> None:
    storage = world.volume()
    first = await world.agent()
    await ask(first, start_compute(storage, 1))
    await ask(first, m.StopCompute(epoch=1))
    roles = [{"name": "app"}, {"name": "late"}]
    wanted = start_compute(storage, 2, generation=2, roles=roles)
    started: m.Started = await ask(await world.agent(), wanted)
    assert started.facts is not None
    assert "late" in {role.name for role in started.facts.roles}


async def test_a_spec_is_applied_while_awake(world: World) -> None:
    agent, wanted = await world.agent(), start_compute(world.volume())
    await ask(agent, wanted)
    spec = DatabaseSpec.model_validate({"roles": [{"name": "app"}, {"name": "late"}]})
    apply = m.ApplySpec(epoch=1, spec=spec, generation=2, verifiers={})
    applied: m.LoginFactsReply = await ask(agent, apply)
    assert "late" in {role.name for role in applied.facts.roles}
    assert (await ask(agent, m.StopCompute(epoch=1))).facts == applied.facts


async def test_a_volume_that_is_held_waits_for_the_fencer(world: World) -> None:
    storage = world.volume()
    first = await world.agent()
    await ask(first, start_compute(storage, 1))
    second = await world.agent()
    with pytest.raises(NotFenced):
        await ask(second, start_compute(storage, 2))
    await world.kill(first)
    with pytest.raises(NotFenced):
        await ask(await world.agent(), start_compute(storage, 3))
    holder = (await ask(second, m.AskAgentState())).compute
    with pytest.raises(NotFenced) as refused:
        await ask(await world.agent(), start_compute(storage, 4, fenced=(holder,)))
    assert refused.value.holder is not None and refused.value.holder.epoch == 1
    wanted = start_compute(storage, 5, fenced=(holder, refused.value.holder.compute))
    started: m.Started = await ask(await world.agent(), wanted)
    assert started.was_recovery and started.facts is not None


@pytest.mark.parametrize("epoch", [4, 5])
async def test_an_epoch_that_is_not_higher_is_stale(world: World, epoch: int) -> None:
    storage = world.volume()
    first = await world.agent()
    await ask(first, start_compute(storage, 5))
    await ask(first, m.StopCompute(epoch=5))
    with pytest.raises(StaleEpoch):
        await ask(await world.agent(), start_compute(storage, epoch))


def erase(storage: m.StoragePlace, epoch: int, **more: Any) -> m.EraseStorage:
    return m.EraseStorage(database="shop", epoch=epoch, storage=storage, **more)


async def test_what_sleeps_is_erased_and_again_with_the_same_answer(world: World) -> None:
    storage = world.volume()
    first, second = await world.agent(), await world.agent()
    await ask(first, start_compute(storage, 1))
    with pytest.raises(Conflict):
        await ask(first, erase(storage, 1))
    with pytest.raises(NotFenced):
        await ask(await world.agent(), erase(storage, 2))
    await ask(first, m.StopCompute(epoch=1))
    assert await ask(second, erase(storage, 2)) == m.Done()
    assert await ask(second, erase(storage, 2)) == m.Done()
    assert (await ask(second, m.AskAgentState())).state == "erased"
    for epoch in (2, 3):
        with pytest.raises(Conflict):
            await ask(second, start_compute(storage, epoch))
    assert await ask(await world.agent(), erase(storage, 3)) == m.Done()


async def test_one_agent_erases_many_and_each_resource_s_once(world: World) -> None:
    """The next resource of a name has its place as well."""
    first, second, eraser = world.volume(), world.volume(), await world.agent()
    for storage, uid in ((first, "u1"), (second, "u2")):
        assert await ask(eraser, erase(storage, 2, uid=uid)) == m.Done()
    assert (await ask(eraser, m.AskAgentState())).state == "erased"
    place = world.volume()
    serving = await world.agent()
    await ask(serving, start_compute(place, 1))
    assert await ask(eraser, erase(place, 2, uid="u1")) == m.Done()
    with pytest.raises(NotFenced):
        await ask(eraser, erase(place, 2, uid="u3"))
    assert (await ask(eraser, m.AskAgentState())).state == "refused"
    await ask(serving, m.StopCompute(epoch=1))
    with pytest.raises(Conflict):
        await ask(eraser, erase(place, 2, uid="u3", compute="another"))
    assert await ask(eraser, erase(place, 2, uid="u3")) == m.Done()


async def test_an_erasure_of_an_older_epoch_is_stale(world: World) -> None:
    storage, agent = world.volume(), await world.agent()
    await ask(agent, start_compute(storage, 5))
    await ask(agent, m.StopCompute(epoch=5))
    with pytest.raises(StaleEpoch):
        await ask(await world.agent(), erase(storage, 5))


@pytest.mark.parametrize(
    "stale",
    [
        m.StopCompute(epoch=1),
        m.StopCompute(epoch=1, force=True),
        m.Checkpoint(epoch=1),
        m.ApplySpec(epoch=1, spec=DatabaseSpec(), generation=9),
        m.FollowSize(epoch=1, cu=Decimal(1), max_cu=Decimal(1)),
    ],
)
async def test_a_lower_epoch_has_no_effect(world: World, stale: m.Request[Any]) -> None:
    agent = await world.agent()
    await ask(agent, start_compute(world.volume(), 2))
    with pytest.raises(StaleEpoch):
        await ask(agent, stale)
    assert (await ask(agent, m.AskAgentState())).state == "running"


async def test_it_says_what_of_a_new_size_takes_a_restart(world: World) -> None:
    agent, wanted = await world.agent(), start_compute(world.volume(), maxCU=4)
    await ask(agent, wanted.model_copy(update={"cu": Decimal(1)}))
    for cu, max_cu, settings in ((2, 4, 0), (4, 8, 1), (1, 4, 0)):
        follow = m.FollowSize(epoch=1, cu=Decimal(cu), max_cu=Decimal(max_cu))
        followed: m.SizeFollowed = await ask(agent, follow)
        assert len(followed.needs_restart) == settings
    with pytest.raises(Unavailable):
        await ask(agent, m.StopCompute(epoch=1))
        await ask(agent, m.FollowSize(epoch=1, cu=Decimal(1), max_cu=Decimal(4)))


async def test_a_checkpoint_and_a_sample(world: World) -> None:
    agent = await world.agent()
    await ask(agent, start_compute(world.volume()))
    assert await ask(agent, m.Checkpoint(epoch=1)) == m.Done()
    sample: m.ActivityReply = await ask(agent, m.AskActivity())
    assert (sample.activity.backends, sample.activity.busy) == (0, ())


async def _until_state(agent: Peer, *states: str) -> None:
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while (await ask(agent, m.AskAgentState())).state not in states:
            await asyncio.sleep(0.002)
