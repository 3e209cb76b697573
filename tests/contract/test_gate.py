"""The contract of a proxy's gate: what the autoscaler may count on when it closes and opens one.

The test plays the autoscaler. A world brings a proxy that has registered over a real control
channel and knows one awake database, ``shop``, of epoch 4.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from support.fakes.channel import handlers_of
from support.fakes.proxy import FakeProxy, FakeSession
from torpor_api import messages as m
from torpor_api.failures import Busy, NotFound, StaleEpoch
from torpor_api.phases import Phase
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer
from torpor_channel.server import Server

ANSWER_S_MAX = 10.0

HOLD_S = 60.0
"""Longer than any test: nothing opens by itself where a test does not want it."""

QUIET_S = 0.1
"""What has not happened after this long is held up, not slow."""

EPOCH = 4

ADDRESS = m.ComputeAddress(socket_directory="/run/computes/c1", agent="/run/c1.sock")


class Client(Protocol):
    """One session of ``shop``."""

    async def query(self) -> None:
        """Answered by the database; waits where the gate is closed."""

    async def begin(self) -> None:
        """Leave a transaction open."""

    async def commit(self) -> None: ...

    async def pin(self) -> None:
        """Take an advisory lock, which can't be moved."""


class World(Protocol):
    """A proxy and whoever uses it."""

    autoscaler: Autoscaler

    async def client(self) -> Client: ...


class Autoscaler:
    """The other end of the proxy's connection."""

    def __init__(self) -> None:
        self.proxy: Peer | None = None
        self.wakes: list[m.Wake] = []
        self.samples: list[m.ProxySample] = []
        self.endpoint = m.EndpointInfo(
            name="shop", phase=Phase.ACTIVE, epoch=EPOCH, address=ADDRESS, max_connections=100
        )

    def handlers(self) -> Handlers:
        async def register(peer: Peer, asked: m.RegisterProxy) -> m.Endpoints:
            self.proxy = peer
            return m.Endpoints(endpoints=(self.endpoint,))

        async def wake(_: Peer, asked: m.Wake) -> m.Awake:
            self.wakes.append(asked)
            self.endpoint = self.endpoint.model_copy(
                update={"phase": Phase.ACTIVE, "epoch": self.endpoint.epoch + 1, "address": ADDRESS}
            )
            return m.Awake(endpoint=self.endpoint)

        async def sampled(_: Peer, event: m.ProxySample) -> None:
            self.samples.append(event)

        async def seen(_: Peer, event: m.ResumeSeen) -> None:
            """Of no interest here."""

        return {m.RegisterProxy: register, m.Wake: wake, m.ProxySample: sampled, m.ResumeSeen: seen}

    async def close_gate(
        self, *, name: str = "shop", epoch: int = EPOCH, hold_s: float = HOLD_S
    ) -> m.GateClosed:
        assert self.proxy is not None
        request = m.CloseGate(name=name, epoch=epoch, hold_s=hold_s)
        return await self.proxy.ask(request, timeout_s=ANSWER_S_MAX)

    async def open_gate(self, *, epoch: int = EPOCH) -> None:
        assert self.proxy is not None
        await self.proxy.ask(m.OpenGate(name="shop", epoch=epoch), timeout_s=ANSWER_S_MAX)

    def tell_asleep(self) -> None:
        assert self.proxy is not None
        asleep = {"phase": Phase.SUSPENDED, "address": None}
        self.endpoint = self.endpoint.model_copy(update=asleep)
        self.proxy.tell(m.EndpointChanged(endpoint=self.endpoint))


class FakeClient:
    """A session of a fake proxy."""

    def __init__(self, proxy: FakeProxy) -> None:
        self._proxy = proxy
        self._session: FakeSession = proxy.connect("shop")

    async def query(self) -> None:
        await self._proxy.attach(self._session)

    async def begin(self) -> None:
        await self.query()
        self._session.is_busy = True

    async def commit(self) -> None:
        self._session.is_busy = False

    async def pin(self) -> None:
        await self.query()
        self._session.pinned = "holds an advisory lock"


class FakeWorld:
    """A fake proxy behind a real channel."""

    def __init__(self, autoscaler: Autoscaler, proxy: FakeProxy) -> None:
        self.autoscaler = autoscaler
        self._proxy = proxy

    async def client(self) -> Client:
        return FakeClient(self._proxy)


@contextlib.asynccontextmanager
async def fake_world() -> AsyncIterator[World]:
    autoscaler = Autoscaler()
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        socket = Path(folder) / "autoscaler.sock"
        server = Server(autoscaler.handlers())
        await server.listen(socket)
        proxy = FakeProxy("proxy-1", asyncio.get_running_loop().time)

        async def hear(_: Peer, event: m.Event) -> None:
            proxy.hear(event)

        gates = handlers_of(proxy.answer, m.CloseGate, m.OpenGate)
        handlers: Handlers = {**gates, m.EndpointChanged: hear, m.EndpointRemoved: hear}
        peer = await dial(socket, handlers)
        proxy.ask = lambda request: peer.ask(request, timeout_s=ANSWER_S_MAX)
        proxy.tell = peer.tell
        await proxy.register()
        yield FakeWorld(autoscaler, proxy)
        await peer.close()
        await server.close()


WORLDS = {"fake": fake_world}
"""A real proxy joins here."""


@pytest.fixture(params=sorted(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with WORLDS[request.param]() as made:
        yield made


async def is_held_up(task: asyncio.Task[None]) -> bool:
    await asyncio.wait({task}, timeout=QUIET_S)
    return not task.done()


async def ends(task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(ANSWER_S_MAX):
        await task


async def test_idle_sessions_are_parked_and_wait_until_the_gate_opens(world: World) -> None:
    clients = [await world.client() for _ in range(3)]
    for client in clients:
        await client.query()
    assert (await world.autoscaler.close_gate()).parked == 3
    query = asyncio.create_task(clients[0].query())
    assert await is_held_up(query)
    await world.autoscaler.open_gate()
    await ends(query)
    assert world.autoscaler.wakes == []


async def test_a_newcomer_waits_behind_a_closed_gate(world: World) -> None:
    await world.autoscaler.close_gate()
    client = await world.client()
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await world.autoscaler.open_gate()
    await ends(query)


async def test_an_open_transaction_is_busy_and_nobody_is_held_up(world: World) -> None:
    busy, idle = await world.client(), await world.client()
    await busy.begin()
    await idle.query()
    with pytest.raises(Busy, match="session"):
        await world.autoscaler.close_gate()
    await ends(asyncio.create_task(idle.query()))
    await busy.commit()
    assert (await world.autoscaler.close_gate()).parked == 2


async def test_a_pinned_session_is_named_with_its_state(world: World) -> None:
    client = await world.client()
    await client.pin()
    with pytest.raises(Busy, match="advisory lock"):
        await world.autoscaler.close_gate()
    await ends(asyncio.create_task(client.query()))


async def test_a_gate_of_which_nobody_speaks_any_more_opens_by_itself(world: World) -> None:
    client = await world.client()
    await client.query()
    await world.autoscaler.close_gate(hold_s=3 * QUIET_S)
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await ends(query)
    assert world.autoscaler.wakes == []


async def test_a_gate_that_is_closed_again_is_held_from_then_on(world: World) -> None:
    client = await world.client()
    await client.query()
    await world.autoscaler.close_gate(hold_s=QUIET_S)
    await world.autoscaler.close_gate(hold_s=HOLD_S)
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await asyncio.sleep(QUIET_S)
    assert not query.done()
    await world.autoscaler.open_gate()
    await ends(query)


async def test_another_epoch_is_refused_and_changes_nothing(world: World) -> None:
    client = await world.client()
    await client.query()
    for epoch in (EPOCH - 1, EPOCH + 1):
        with pytest.raises(StaleEpoch):
            await world.autoscaler.close_gate(epoch=epoch)
    await ends(asyncio.create_task(client.query()))
    await world.autoscaler.close_gate()
    await world.autoscaler.open_gate(epoch=EPOCH - 1)
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await world.autoscaler.open_gate()
    await ends(query)


async def test_an_unknown_database_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="ghost"):
        await world.autoscaler.close_gate(name="ghost")


async def test_who_waits_behind_the_gate_wakes_the_database_when_it_sleeps(world: World) -> None:
    client = await world.client()
    await client.query()
    await world.autoscaler.close_gate()
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    world.autoscaler.tell_asleep()
    await ends(query)
    (wake,) = world.autoscaler.wakes
    assert (wake.name, wake.lost_epoch) == ("shop", 0)
    assert wake.cause


async def test_opening_an_open_gate_is_harmless(world: World) -> None:
    await world.autoscaler.open_gate()
    client = await world.client()
    await ends(asyncio.create_task(client.query()))
