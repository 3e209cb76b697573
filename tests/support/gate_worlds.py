"""A proxy whose gate a contract test may close: one in memory, and the real one over a Postgres.

The test plays the autoscaler: ``Autoscaler`` is the other end of the proxy's control channel and
knows one awake database, ``shop``, of epoch 4.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from support import forked
from support.agent import START_SECONDS_MAX, VERIFIER, agents_in_a_folder
from support.fakes.channel import handlers_of
from support.fakes.proxy import FakeProxy
from support.fakes.proxy_session import FakeSession
from support.ports import free_address
from torpor_api import messages as m
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.phases import Phase
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer
from torpor_channel.server import Server

ANSWER_S_MAX = 30.0

HOLD_S = 60.0
"""Longer than any test: nothing opens by itself where a test does not want it."""

EPOCH = 4


class Client(Protocol):
    """One session of ``shop``."""

    async def query(self) -> None:
        """Answered by the database; waits where the gate is closed."""

    async def begin(self) -> None:
        """Leave a transaction open."""

    async def commit(self) -> None: ...

    async def pin(self) -> None:
        """Take an advisory lock, which can't be moved."""

    async def listen(self) -> None:
        """To what others notify."""


class World(Protocol):
    """A proxy and whoever uses it."""

    autoscaler: Autoscaler

    async def client(self) -> Client: ...

    def doubts(self) -> int:
        """How often sessions that listen may have missed something, as far as the proxy knows."""


class Autoscaler:
    """The other end of the proxy's connection."""

    def __init__(self, address: m.ComputeAddress) -> None:
        self.proxy: Peer | None = None
        self.wakes: list[m.Wake] = []
        self.asked_last_use = 0
        self.samples: list[m.ProxySample] = []
        self._address = address
        self.endpoint = m.EndpointInfo(
            name="shop",
            phase=Phase.ACTIVE,
            epoch=EPOCH,
            address=address,
            max_connections=100,
            allow=("127.0.0.1/32",),
            facts=LoginFacts(roles=(RoleFacts(name="app", verifier=VERIFIER),), databases=("app",)),
        )

    def handlers(self) -> Handlers:
        async def register(peer: Peer, asked: m.RegisterProxy) -> m.Endpoints:
            self.proxy, self.name = peer, asked.proxy
            return m.Endpoints(endpoints=(self.endpoint,))

        async def wake(_: Peer, asked: m.Wake) -> m.Awake:
            self.wakes.append(asked)
            self.endpoint = self.endpoint.model_copy(
                update={
                    "phase": Phase.ACTIVE,
                    "epoch": self.endpoint.epoch + 1,
                    "address": self._address,
                    "listening": (self.name, "another"),
                }
            )
            return m.Awake(endpoint=self.endpoint)

        async def last_use(_: Peer, asked: m.AskLastUse) -> m.LastUse:
            self.asked_last_use += 1
            return m.LastUse(ago_s=None)

        async def sampled(_: Peer, event: m.ProxySample) -> None:
            self.samples.append(event)

        async def seen(_: Peer, event: m.ResumeSeen) -> None:
            """Of no interest here."""

        return {
            m.RegisterProxy: register,
            m.Wake: wake,
            m.AskLastUse: last_use,
            m.ProxySample: sampled,
            m.ResumeSeen: seen,
        }

    async def close_gate(
        self, *, name: str = "shop", epoch: int = EPOCH, hold_s: float = HOLD_S
    ) -> m.GateClosed:
        assert self.proxy is not None
        request = m.CloseGate(name=name, epoch=epoch, hold_s=hold_s)
        return await self.proxy.ask(request, timeout_s=ANSWER_S_MAX)

    async def stop_listening(self) -> m.ListeningStopped:
        assert self.proxy is not None
        request = m.StopListening(name="shop", epoch=EPOCH)
        return await self.proxy.ask(request, timeout_s=ANSWER_S_MAX)

    async def start_listening(self) -> None:
        """On the next compute, which is told when that is done."""
        assert self.proxy is not None
        changes = {"phase": Phase.ACTIVE, "epoch": EPOCH + 1, "address": self._address}
        self.endpoint = self.endpoint.model_copy(update=changes)
        request = m.StartListening(endpoint=self.endpoint, hold_s=HOLD_S)
        await self.proxy.ask(request, timeout_s=ANSWER_S_MAX)

    async def open_gate(self, *, epoch: int = EPOCH) -> None:
        assert self.proxy is not None
        await self.proxy.ask(m.OpenGate(name="shop", epoch=epoch), timeout_s=ANSWER_S_MAX)

    def tell(self, **changes: Any) -> None:
        """The endpoint has changed."""
        assert self.proxy is not None
        self.endpoint = self.endpoint.model_copy(update=changes)
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
        assert self._session.is_attached, "the transaction was lost with its backend"
        self._session.is_busy = False

    async def pin(self) -> None:
        await self.query()
        self._session.pinned = "holds an advisory lock"

    async def listen(self) -> None:
        await self.query()


class FakeWorld:
    """A fake proxy behind a real channel."""

    def __init__(self, autoscaler: Autoscaler, proxy: FakeProxy) -> None:
        self.autoscaler = autoscaler
        self._proxy = proxy

    async def client(self) -> Client:
        return FakeClient(self._proxy)

    def doubts(self) -> int:
        return self._proxy.gates["shop"].doubts


@contextlib.asynccontextmanager
async def fake_world() -> AsyncIterator[World]:
    autoscaler = Autoscaler(m.ComputeAddress(socket_directory="/run/computes/c1"))
    async with _listening(autoscaler) as path:
        proxy = FakeProxy("proxy-1", asyncio.get_running_loop().time)

        async def hear(_: Peer, event: m.Event) -> None:
            proxy.hear(event)

        asked = (m.CloseGate, m.OpenGate, m.StopListening, m.StartListening)
        gates = handlers_of(proxy.answer, *asked)
        handlers: Handlers = {**gates, m.EndpointChanged: hear, m.EndpointRemoved: hear}
        peer = await dial(path, handlers)
        proxy.ask = lambda request: peer.ask(request, timeout_s=ANSWER_S_MAX)
        proxy.tell = peer.tell
        await proxy.register()
        yield FakeWorld(autoscaler, proxy)
        await peer.close()


class RealClient:
    """A driver's, which connects when it is first used."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: Any = None

    async def query(self) -> None:
        # Not SELECT 1, which the proxy answers itself while the session is parked.
        await self._execute("SELECT 2")

    async def begin(self) -> None:
        await self._execute("BEGIN")

    async def commit(self) -> None:
        await self._execute("COMMIT")

    async def pin(self) -> None:
        await self._execute("SELECT pg_advisory_lock(42)")

    async def listen(self) -> None:
        await self._execute("LISTEN news")

    async def _execute(self, sql: str) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(
                host="127.0.0.1",
                port=self._port,
                user="app@shop",
                password="secret",
                database="app",
                ssl=False,
                timeout=ANSWER_S_MAX,
            )
        await self._connection.execute(sql)

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()


class RealWorld:
    """A proxy's process, and a compute that serves."""

    def __init__(self, autoscaler: Autoscaler, port: int) -> None:
        self.autoscaler = autoscaler
        self._port = port
        self._clients: list[RealClient] = []

    async def client(self) -> Client:
        self._clients.append(RealClient(self._port))
        return self._clients[-1]

    def doubts(self) -> int:
        return self.autoscaler.asked_last_use

    def hang_up(self) -> None:
        for client in self._clients:
            client.hang_up()


@contextlib.asynccontextmanager
async def real_world() -> AsyncIterator[World]:
    async with agents_in_a_folder() as agents:
        agent = await agents.agent()
        started = await agent.start(agents.volume(), epoch=EPOCH)
        autoscaler = Autoscaler(started.address)
        async with _listening(autoscaler) as path, _proxy_process(path) as port:
            world = RealWorld(autoscaler, port)
            yield world
            world.hang_up()


@contextlib.asynccontextmanager
async def _listening(autoscaler: Autoscaler) -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        server = Server(autoscaler.handlers())
        await server.listen(Path(folder) / "autoscaler.sock")
        yield Path(folder) / "autoscaler.sock"
        await server.close()


@contextlib.asynccontextmanager
async def _proxy_process(autoscaler: Path) -> AsyncIterator[int]:
    """Its port, once it has registered and listens."""
    port = free_address().port
    said = autoscaler.with_name("proxy.log")
    with said.open("wb") as log:
        options = ("--autoscaler", str(autoscaler), "--listen", f"127.0.0.1:{port}")
        process = forked.start("torpor_proxy", options, os.environ, log.fileno())
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while "listening" not in said.read_text():
                assert process.poll() is None, said.read_text()
                await asyncio.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


WORLDS = {"fake": fake_world, "real": real_world}
