"""A whole town around a real autoscaler: each part listens on a Unix socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority
from support.fakes.agent import FakeAgent
from support.fakes.channel import AGENT_REQUESTS, CLUSTER_REQUESTS, Watchers, handlers_of
from support.fakes.cluster import FakeCluster
from support.fakes.proxy import FakeProxy
from support.ports import free_address
from torpor_api import messages as m
from torpor_api.resource import Endpoint, ServerlessDatabase
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.main import serving
from torpor_autoscaler.settings import Settings
from torpor_channel.admission import Admission
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer
from torpor_channel.server import Server
from torpor_channel.tls import AUTOSCALER, CLIENT, COMPUTE, PROXY, Identity, Trust

DEADLINE_S = 20.0

LIMITS = Limits(start_grace_s=0.05, activity_every_s=0.05, former_claims_s=0.05)


class Town:
    """Everything around one autoscaler; each of its parts listens on a socket of its own."""

    def __init__(self, folder: Path, *, on_network: bool = False) -> None:
        """``on_network``: autoscaler, agents and proxies talk over mutual TLS."""
        self.folder = folder
        self._authority = Authority() if on_network else None
        self.cluster = FakeCluster()
        self.cluster.keeps_pool = False
        self.ending = contextlib.AsyncExitStack()
        self._servers: dict[str, Server] = {}
        self._proxy_peers: list[Peer] = []
        self._autoscaler: contextlib.AsyncExitStack | None = None
        self.settings = Settings(
            cluster=folder / "cluster.sock",
            listen=free_address() if on_network else folder / "autoscaler.sock",
            tls=self._files(AUTOSCALER),
            warm=1,
            endpoint=Endpoint(host="127.0.0.1", port=5432),
            wake_deadline_s=10.0,
            suspend_deadline_s=10.0,
        )

    def _files(self, name: str) -> Path | None:
        if self._authority is None:
            return None
        return self._authority.folder(self.folder / f"{name}.tls", name)

    def identity(self, name: str) -> Identity | None:
        """Of a component; None where they need none."""
        files = self._files(name)
        return None if files is None else Identity(files)

    def trust(self, name: str) -> Trust | None:
        """Of a component that asks the autoscaler."""
        identity = self.identity(name)
        return None if identity is None else Trust(identity, AUTOSCALER)

    async def open(self) -> None:
        watchers = Watchers(self.cluster.answer)
        self.cluster.tell = watchers.tell
        handlers = handlers_of(self.cluster.answer, *CLUSTER_REQUESTS)
        server = Server(
            {**handlers, m.WatchResources: watchers.watch, m.WatchAgents: watchers.watch}
        )
        await server.listen(self.folder / "cluster.sock")
        self.ending.push_async_callback(server.close)

    async def start_agent(self) -> FakeAgent:
        """One that listens before it is told of, as the cluster promises."""
        tell, self.cluster.tell = self.cluster.tell, lambda event: None
        agent = self.cluster.start_agent()
        place = self.folder / agent.compute if self._authority is None else free_address()
        agent.info = agent.info.model_copy(update={"address": str(place)})
        identity = self.identity(COMPUTE)
        admission = None if identity is None else Admission(identity, {AUTOSCALER: AGENT_REQUESTS})
        server = Server(handlers_of(agent.answer, *AGENT_REQUESTS), admission)
        agent.tell = partial(_tell_all, server)
        await server.listen(place)
        self._servers[agent.compute] = server
        self.ending.push_async_callback(server.close)
        self.cluster.tell = tell
        tell(m.AgentChanged(agent=agent.info))
        return agent

    async def lose_agent(self, agent: FakeAgent) -> None:
        """Its process dies: its connections break, and the cluster says so."""
        await self._servers[agent.compute].close()
        self.cluster.lose_agent(agent.compute)

    async def start_autoscaler(self, **changes: Any) -> None:
        self._autoscaler = contextlib.AsyncExitStack()
        settings = replace(self.settings, **changes)
        self.autoscaler = await self._autoscaler.enter_async_context(serving(settings, LIMITS))

    async def stop_autoscaler(self) -> None:
        assert self._autoscaler is not None
        await self._autoscaler.aclose()

    async def register(self, name: str = "proxy-1") -> FakeProxy:
        proxy = FakeProxy(name, asyncio.get_running_loop().time)
        asked = (m.CloseGate, m.OpenGate, m.StopListening, m.StartListening, m.AskLastUse)
        gates = handlers_of(proxy.answer, *asked, m.HaveHeard, m.ListSessions, m.EndSession)

        async def hear(_: Peer, event: m.Event) -> None:
            proxy.hear(event)

        handlers: Handlers = {**gates, m.EndpointChanged: hear, m.EndpointRemoved: hear}
        peer = await dial(self.settings.listen, handlers, self.trust(PROXY))
        self.ending.push_async_callback(peer.close)
        self._proxy_peers.append(peer)
        proxy.ask = lambda request: peer.ask(request, timeout_s=DEADLINE_S)
        proxy.tell = peer.tell
        await proxy.register()
        return proxy

    async def hang_up_first(self) -> None:
        """The oldest connection of a proxy ends."""
        await self._proxy_peers[0].close()

    async def person(self, request: m.Request[Any]) -> Any:
        return await self.asked_by(CLIENT, request)

    async def asked_by(self, name: str, request: m.Request[Any]) -> Any:
        """With the certificate of that name."""
        peer = await dial(self.settings.listen, {}, self.trust(name))
        try:
            return await peer.ask(request, timeout_s=DEADLINE_S)
        finally:
            await peer.close()

    def status(self, name: str = "shop") -> Any:
        return self.cluster.resources[name].status

    async def until(self, what: str, holds: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not holds():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            statuses = {name: r.status for name, r in self.cluster.resources.items()}
            pytest.fail(f"never: {what}; the records: {statuses}")


def _tell_all(server: Server, event: m.Event) -> None:
    for peer in server.peers:
        peer.tell(event)


@contextlib.asynccontextmanager
async def opened_town(*, on_network: bool = False) -> AsyncIterator[Town]:
    """For the length of a test; whatever runs in it is ended."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        town = Town(Path(folder), on_network=on_network)
        await town.open()
        yield town
        await town.stop_autoscaler()
        await town.ending.aclose()


@contextlib.asynccontextmanager
async def town_at_work(agents: int) -> AsyncIterator[Town]:
    """With an autoscaler, so many agents, and the database ``shop``, which sleeps after an hour."""
    async with opened_town() as town:
        apply(town, idleTimeout="1h")
        for _ in range(agents):
            await town.start_agent()
        await town.start_autoscaler()
        yield town


def apply(town: Town, name: str = "shop", **spec: Any) -> ServerlessDatabase:
    return town.cluster.apply({"metadata": {"name": name}, "spec": spec})


async def keep_sampling(proxy: FakeProxy) -> None:
    while True:
        proxy.tell(proxy.sample())
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def sampling(*proxies: FakeProxy) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(keep_sampling(proxy)) for proxy in proxies]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
