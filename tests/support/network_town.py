"""Proxy, autoscaler and agents as on a cluster: each at its own address, all over mutual TLS.

Proxy and agents are processes, the autoscaler runs in the test's loop, and the test plays the
cluster: it stores resources in memory, tells of agents and is the fencer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from support import forked
from support.agent import START_SECONDS_MAX, VERIFIER, WAIT_SECONDS_MAX, AgentProcess, until
from support.fakes.channel import CLUSTER_REQUESTS, Watchers, handlers_of
from support.fakes.cluster import FakeCluster
from support.network_agents import NetworkAgents, agents_on_network
from support.ports import free_address
from support.postgres import USER_ID
from support.postgres_tls import MAJOR
from torpor_api import messages as m
from torpor_api.facts import LoginFacts
from torpor_api.failures import Busy
from torpor_api.phases import Phase
from torpor_api.resource import Endpoint
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.main import serving
from torpor_autoscaler.settings import Settings
from torpor_channel.client import dialled
from torpor_channel.server import Server
from torpor_channel.tls import AUTOSCALER, CLIENT, PROXY, Identity, Trust

PASSWORD = "secret"


class NetworkCluster(FakeCluster):
    """Its computes are real, and so are its volumes."""

    def __init__(self, agents: NetworkAgents, options: Sequence[str] = ()) -> None:
        """``options``: with which agents are started."""
        super().__init__()
        self.keeps_pool = False
        self._options = options
        self.running: dict[str, AgentProcess] = {}
        self._agents = agents
        self._burying = asyncio.Lock()

    async def answer(self, request: m.Request[Any]) -> m.Message:
        match request:
            case m.WatchAgents():
                return m.Agents(agents=tuple(map(info_of, self.running.values())))
            case m.ConfirmGone():
                await self.lose(request.compute)
                return m.Done()
            case _:
                return await super().answer(request)

    async def add_agent(self) -> AgentProcess:
        agent = await self._agents.agent(*self._options)
        self.running[agent.compute] = agent
        self.tell(m.AgentChanged(agent=info_of(agent)))
        return agent

    async def lose(self, compute: str) -> None:
        """Kill it, and say that it is gone once nothing of it is left; to all who ask meanwhile."""
        async with self._burying:
            agent = self.running.pop(compute, None)
            if agent is not None:
                agent.kill()
                await self._agents.no_postgres_left()
                gone = info_of(agent).model_copy(update={"is_gone": True})
                self.tell(m.AgentChanged(agent=gone))

    def _locate(self, name: str) -> m.StoragePlace:
        may_create = self.resources[name].status.observed_generation == 0
        directory = self._agents.volume(self._agents.root / f"default.{name}").directory
        return m.StoragePlace(directory=directory, user_id=USER_ID, may_create=may_create)

    def _facts(self, name: str) -> LoginFacts:
        facts = super()._facts(name)
        if facts.databases:
            return facts
        names = tuple(database.name for database in self._get(name).spec.databases)
        return facts.model_copy(update={"databases": names})

    def _verifiers(self, name: str) -> dict[str, str]:
        return {role.name: VERIFIER for role in self._get(name).spec.roles}


def info_of(agent: AgentProcess) -> m.AgentInfo:
    return m.AgentInfo(compute=agent.compute, address=str(agent.address), postgres_version=MAJOR)


class ProxyProcess:
    """One proxy of the town."""

    def __init__(self, town: NetworkTown, number: int) -> None:
        self.address = free_address()
        self.name = f"proxy-{number + 1}"
        self.log = town.agents.root / f"{self.name}.log"
        self._town = town
        self.process: forked.Process | None = None

    async def start(self) -> None:
        """Until it listens."""
        options = [
            *("--name", self.name),
            *("--autoscaler", str(self._town.autoscaler), "--tls", str(self._town.proxy_tls)),
            *("--listen", str(self.address)),
            *self._town.proxy_options,
        ]
        with self.log.open("wb") as output:
            self.process = forked.start("torpor_proxy", options, os.environ, output.fileno())
        await until(
            lambda: "listening" in self.log.read_text(), f"{self.name} listens", START_SECONDS_MAX
        )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class NetworkTown:
    """Proxies, an autoscaler, and the database ``shop``."""

    def __init__(
        self,
        agents: NetworkAgents,
        proxies: int,
        agent_options: Sequence[str],
        proxy_options: Sequence[str],
    ) -> None:
        self.agents = agents
        self.proxy_options = proxy_options
        self.cluster = NetworkCluster(agents, agent_options)
        self.proxy_tls = agents.files_of(PROXY)
        self.autoscaler = free_address()
        self.proxies = [ProxyProcess(self, number) for number in range(proxies)]
        self._person = Trust(Identity(agents.files_of(CLIENT)), AUTOSCALER)

    @property
    def settings(self) -> Settings:
        return Settings(
            cluster=self.agents.root / "cluster.sock",
            listen=self.autoscaler,
            warm=1,
            endpoint=Endpoint(host=self.proxies[0].address.host, port=self.proxies[0].address.port),
            wake_deadline_s=WAIT_SECONDS_MAX,
            suspend_deadline_s=WAIT_SECONDS_MAX,
            tls=self.agents.files_of(AUTOSCALER),
        )

    async def connect(self, proxy: int = 0, **more: Any) -> psycopg.AsyncConnection[Any]:
        """By the proxy of that number."""
        address = self.proxies[proxy].address
        return await psycopg.AsyncConnection.connect(
            host=address.host,
            port=address.port,
            user="app",
            dbname="shop/app",
            password=PASSWORD,
            sslmode="disable",
            autocommit=True,
            **more,
        )

    @property
    def compute(self) -> AgentProcess:
        """The one that serves the database."""
        return self.cluster.running[str(self.cluster.resources["shop"].status.compute)]

    async def ask(self, request: m.Request[Any]) -> Any:
        """As a person."""
        async with dialled(self.autoscaler, {}, self._person) as peer:
            return await peer.ask(request, timeout_s=WAIT_SECONDS_MAX)

    async def fall_asleep(self) -> None:
        """As soon as nothing forbids it; a session may just have been used."""
        compute = self.compute
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                with contextlib.suppress(Busy):
                    await self.ask(m.Suspend(name="shop"))
                    break
                await asyncio.sleep(0.02)
        assert self.cluster.resources["shop"].status.phase is Phase.SUSPENDED
        # Used up it ends by itself; here nobody waits for that.
        await self.cluster.lose(compute.compute)
        await self.cluster.add_agent()

    async def switch_over(self) -> None:
        """Sessions that are in use are waited for."""
        old = self.compute
        await self.ask(m.Switchover(name="shop", patience_s=WAIT_SECONDS_MAX))
        del self.cluster.running[old.compute]
        old.kill()
        self.cluster.tell(m.AgentChanged(agent=info_of(old).model_copy(update={"is_gone": True})))
        await self.cluster.add_agent()

    async def captured(self) -> None:
        """Until every session is known with all that it has."""
        await self._until_each_session(lambda session: session.is_captured)

    async def detached(self) -> None:
        """Until the proxy knows that the backends are gone; what is sent before may be lost."""
        await self._until_each_session(
            lambda session: session.state is not m.SessionStanding.ATTACHED
        )

    async def _until_each_session(self, holds: Callable[[m.SessionInfo], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                found: m.SessionList = await self.ask(m.Sessions(name="shop"))
                if found.sessions and all(map(holds, found.sessions)):
                    return
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def opened_network_town(
    proxies: int = 1,
    limits: Limits | None = None,
    agent_options: Sequence[str] = (),
    proxy_options: Sequence[str] = (),
) -> AsyncIterator[NetworkTown]:
    async with contextlib.AsyncExitStack() as ending:
        agents = await ending.enter_async_context(agents_on_network())
        town = NetworkTown(agents, proxies, agent_options, proxy_options)
        watchers = Watchers(town.cluster.answer)
        town.cluster.tell = watchers.tell
        handlers = handlers_of(town.cluster.answer, *CLUSTER_REQUESTS)
        server = Server(
            {**handlers, m.WatchResources: watchers.watch, m.WatchAgents: watchers.watch}
        )
        await server.listen(Path(str(town.settings.cluster)))
        ending.push_async_callback(server.close)
        town.cluster.apply({"metadata": {"name": "shop"}, "spec": {"idleTimeout": "1h"}})
        await asyncio.gather(town.cluster.add_agent(), town.cluster.add_agent())
        await ending.enter_async_context(serving(town.settings, limits))
        for proxy in town.proxies:
            ending.callback(proxy.kill)
        await asyncio.gather(*(proxy.start() for proxy in town.proxies))
        yield town
