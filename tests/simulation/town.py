"""A fake cluster, agents and proxies around the real autoscaler, over a network that may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from simulation.network import Network, NoWay
from simulation.virtual_time import Clock
from simulation.words import Words
from support.fakes.agent import FakeAgent
from support.fakes.cluster import FakeCluster
from support.fakes.proxy import FakeProxy
from torpor_api import messages as m
from torpor_api.failures import InvalidRequest, Unavailable
from torpor_api.resource import Endpoint
from torpor_autoscaler.lifecycle.actions import NotReached
from torpor_autoscaler.lifecycle.database import AT_REST
from torpor_autoscaler.main import Autoscaler
from torpor_autoscaler.ports import Agents, Proxies
from torpor_autoscaler.settings import Settings

ReplyT = TypeVar("ReplyT", bound=m.Message)

WAKE_DEADLINE_S = 20.0
SUSPEND_DEADLINE_S = 20.0
PROXY_ASKS_S_MAX = 60.0

SETTINGS = Settings(
    cluster=Path("/nowhere"),
    listen=Path("/nowhere"),
    warm=2,
    warm_max=4,
    endpoint=Endpoint(host="127.0.0.1", port=5432),
    wake_deadline_s=WAKE_DEADLINE_S,
    suspend_deadline_s=SUSPEND_DEADLINE_S,
)


class Life:
    """One life of the autoscaler: what it has asked stays asked when it dies, it hears no more."""

    settings = SETTINGS

    def __init__(self, town: Town) -> None:
        self._town = town
        self._network = town.network
        self.ended = asyncio.Event()
        self.registered: dict[str, FakeProxy] = {}
        self.autoscaler = Autoscaler(self.settings, self, *self.ports(), town.clock)

    def ports(self) -> tuple[Agents, Proxies]:
        return _AgentsPort(self), _ProxiesPort(self)

    def begin(self) -> None:
        """The cluster tells what there is."""
        fleet, cluster = self.autoscaler.fleet, self._town.cluster
        fleet.agents_listed([agent.info for agent in cluster.agents.values()])
        fleet.resources_listed(list(cluster.resources.values()))
        self.autoscaler.begin()

    async def end(self) -> None:
        self.ended.set()
        await self.autoscaler.close()

    def knows(self, proxy: FakeProxy) -> bool:
        """They have a connection, over which the proxy has registered."""
        return not self.ended.is_set() and self.registered.get(proxy.name) is proxy

    def hear(self, connection: object, take: Callable[[], None]) -> None:
        """An event for this life, in its turn. What it misses the cluster tells it later."""
        if self._network.is_away and connection != "cluster":
            return
        self._network.deliver((self, connection), lambda: None if self.ended.is_set() else take())

    async def ask(
        self, request: m.Request[ReplyT], *, timeout_s: float, can_wait: bool = False
    ) -> ReplyT:
        """The cluster's port."""
        self._town.asked_cluster(request)
        answer: ReplyT = await self._network.ask(
            self._town.cluster.answer, request, timeout_s=timeout_s
        )
        return answer

    async def ask_agent(self, info: m.AgentInfo, request: m.Request[Any], timeout_s: float) -> Any:
        with self._town.words.order(info.compute, request):
            answer = await self._ask_agent(info, request, timeout_s)
        self._town.words.heard(info.compute)
        return answer

    async def _ask_agent(self, info: m.AgentInfo, request: m.Request[Any], timeout_s: float) -> Any:
        agent = self._town.cluster.agents.get(info.compute)
        if agent is None or info.compute in self._town.partitioned:
            await asyncio.sleep(0.001 if agent is None else min(timeout_s, 5.0))
            raise NotReached(f"nobody answers at {info.address}")
        self._town.asked_agent(agent, request)
        ask = self._network.ask
        try:
            return await ask(agent.answer, request, timeout_s=timeout_s, lost=agent.gone)
        except NoWay as failure:
            raise NotReached(failure.message) from None

    async def ask_proxies(self, request: m.Request[Any], timeout_s: float) -> dict[str, Any]:
        """What each answers, or why it does not."""
        asked = dict(self.registered)
        questions = [
            self._network.ask(
                proxy.answer, request, timeout_s=timeout_s, connection=(self, "asks", proxy.name)
            )
            for proxy in asked.values()
        ]
        answers = await asyncio.gather(*questions, return_exceptions=True)
        return dict(zip(asked, answers, strict=True))

    def tell_proxies(self, event: m.Event) -> None:
        for proxy in self.registered.values():
            self._tell(proxy, event)

    def _tell(self, proxy: FakeProxy, event: m.Event) -> None:
        self._deliver(proxy, partial(proxy.hear, event))

    def _deliver(self, proxy: FakeProxy, news: Callable[[], None]) -> None:
        def take() -> None:
            if self.knows(proxy):
                news()

        self._network.deliver((self, proxy.name), take)

    async def answer_proxy(self, proxy: FakeProxy, request: m.Request[Any]) -> Any:
        desk = self.autoscaler.desk
        self._is_connected(proxy)
        if isinstance(request, m.Wake):
            return await self._wake(request)
        if isinstance(request, m.MoreEndpoints):
            return self._page(proxy, desk.more_endpoints(request.after))
        if isinstance(request, m.ForgetProxy):
            return self._forget(proxy, request)
        assert isinstance(request, m.RegisterProxy)
        await desk.all_known()
        self._is_connected(proxy)
        self.registered[proxy.name] = proxy
        return self._page(proxy, desk.proxy_registered(proxy.name))

    def _forget(self, proxy: FakeProxy, request: m.ForgetProxy) -> m.Done:
        if not self.knows(proxy):
            raise InvalidRequest("it has hung up meanwhile")
        del self.registered[proxy.name]
        self.autoscaler.desk.proxy_ended(request)
        return m.Done()

    def _page(self, proxy: FakeProxy, page: m.Endpoints) -> m.Endpoints:
        """Told as events, which nothing may overtake; the answer has the names alone."""
        for endpoint in page.endpoints:
            self._deliver(proxy, partial(proxy.listed, endpoint))
        names = tuple(endpoint.name for endpoint in page.endpoints)
        return page.model_copy(update={"endpoints": (), "unknown": names + page.unknown})

    def _is_connected(self, proxy: FakeProxy) -> None:
        """What was sent over a connection that is gone is heard by nobody."""
        if self.ended.is_set() or self._town.proxies.get(proxy.name) is not proxy:
            raise Unavailable("one of the two has died, and the connection with it")

    async def _wake(self, request: m.Wake) -> m.Awake:
        asked_at = self._town.clock.now()
        self._town.words.proxies.add((request.name, request.lost_epoch))
        try:
            return await self.autoscaler.desk.wake(request)
        finally:
            self._town.longest_wake_s = max(
                self._town.longest_wake_s, self._town.clock.now() - asked_at
            )


class _AgentsPort:
    def __init__(self, life: Life) -> None:
        self._life = life

    async def ask(self, agent: m.AgentInfo, request: m.Request[Any], *, timeout_s: float) -> Any:
        return await self._life.ask_agent(agent, request, timeout_s)

    def expect(self, agent: m.AgentInfo) -> None:
        """There is no connection to make."""

    def forget(self, compute: str) -> None:
        """There is no connection to hang up."""


class _ProxiesPort:
    def __init__(self, life: Life) -> None:
        self._life = life

    async def ask_all(self, request: m.Request[Any], *, timeout_s: float) -> dict[str, Any]:
        answers = await self._life.ask_proxies(request, timeout_s)
        for answer in answers.values():
            if isinstance(answer, BaseException):
                raise answer
        return answers

    async def ask_each(self, request: m.Request[Any], *, timeout_s: float, only: str = "") -> Any:
        answers = await self._life.ask_proxies(request, timeout_s)
        return {name: told for name, told in answers.items() if only in ("", name)}

    def tell(self, event: m.Event) -> None:
        self._life.tell_proxies(event)


class Town:
    """Everything there is."""

    def __init__(self, random: Random, cluster: FakeCluster | None = None) -> None:
        self.random = random
        self.network = Network(random)
        self.clock = Clock(random)
        self.cluster = cluster or FakeCluster()
        self.cluster.tell = self._told_by_cluster
        self.proxies: dict[str, FakeProxy] = {}
        self.partitioned: set[str] = set()
        self.starts: dict[tuple[int, str], set[tuple[str, int]]] = {}
        """What each compute was asked to serve, by each life of the autoscaler."""
        self.stops_behind_open_gates = 0
        self.longest_wake_s = 0.0
        self.switchovers = 0
        """Those that have come to their end."""
        self.drained = 0
        """Agents that were told to end, and have, without anybody whom they still served."""
        self.overdue = 0
        """Those that still served somebody when their time was up."""
        self.lives = 1
        self.words = Words(self.clock.now)
        self.ended_for_nothing: list[str] = []
        """Computes that served, and that somebody was asked to end without one of these words."""
        self.life = self.new_life()

    def new_life(self) -> Life:
        return Life(self)

    def begin(self) -> None:
        self.life.begin()

    async def restart_autoscaler(self, down_s: float) -> None:
        await self.life.end()
        await asyncio.sleep(down_s)
        self.lives += 1
        self.words = Words(self.clock.now)
        self.life = self.new_life()
        self.life.begin()

    async def cut_off(self, for_s: float) -> None:
        """The autoscaler's network is away: it loses every connection, and so does nobody else."""
        life = self.life
        self.network.go_away()
        for name in list(life.registered):
            del life.registered[name]
            life.autoscaler.desk.proxy_hung_up(name)
        for compute in list(self.cluster.agents):
            life.autoscaler.fleet.agent_unheard(compute)
        await asyncio.sleep(for_s)
        self.network.come_back()

    def is_wanted_away(self, agent: FakeAgent) -> bool:
        """Somebody has told it to end, or whoever looks after it."""
        return agent.is_leaving

    def asked_cluster(self, request: m.Request[Any]) -> None:
        """To end a compute there has to be a word, of somebody, that it does not serve."""
        if not isinstance(request, m.ConfirmGone):
            return
        agent, named = self.cluster.agents.get(request.compute), request.database
        record = self.cluster.resources[named].status
        is_claimed = record.compute == request.compute and record.phase not in AT_REST
        if agent is None or not agent.is_serving or not is_claimed or self.is_wanted_away(agent):
            return
        if not self.words.speak_against(named, record.epoch, request.compute):
            self.ended_for_nothing.append(f"{request.compute} of {named}, epoch {record.epoch}")

    def add_proxy(self, name: str) -> FakeProxy:
        """A new process: its sessions are new ones, too."""
        proxy = FakeProxy(name, self.clock.now)
        proxy.ask = lambda request: self._asked_by_proxy(proxy, request)
        proxy.tell = lambda event: self._told_by_proxy(proxy, event)
        proxy.dial = self._backend_of
        self.proxies[name] = proxy
        return proxy

    def kill_proxy(self, name: str) -> None:
        proxy = self.proxies.pop(name)
        for gate in proxy.gates.values():
            for session in list(gate.sessions):
                proxy.disconnect(session)
        self.hang_up(proxy)

    def hang_up(self, proxy: FakeProxy) -> None:
        life = self.life
        if life.knows(proxy):
            del life.registered[proxy.name]
            life.hear(proxy.name, lambda: life.autoscaler.desk.proxy_hung_up(proxy.name))

    def kill_agent(self, compute: str) -> None:
        """The connection breaks at once; that it is gone is told later, and only if it is."""
        life = self.life
        life.hear(compute, lambda: life.autoscaler.fleet.agent_unheard(compute))
        self.cluster.lose_agent(compute)

    def drain(self, agent: FakeAgent, leave_s: float) -> None:
        """It is told to end, and says so to whoever has asked it anything."""
        agent.tell = self._told_by_agent
        self.network.background(self._leave(agent, leave_s))

    async def _leave(self, agent: FakeAgent, leave_s: float) -> None:
        if await agent.leave(leave_s):
            self.drained += 1
        else:
            self.overdue += 1
        if not agent.gone.is_set():
            self.kill_agent(agent.compute)

    def asked_agent(self, agent: FakeAgent, request: m.Request[Any]) -> None:
        agent.tell = self._told_by_agent
        is_stop = isinstance(request, m.StopCompute) and not request.force
        if is_stop and agent.is_serving:  # Else it has the order.
            self.stops_behind_open_gates += self._open_gates(agent)
        if isinstance(request, m.StartCompute):
            life = self.starts.setdefault((self.lives, agent.compute), set())
            life.add((request.database, request.epoch))

    def _open_gates(self, agent: FakeAgent) -> int:
        """Proxies that let sessions through to the agent's Postgres at this moment."""
        gates = [
            proxy.gates[agent.database]
            for proxy in self.life.registered.values()
            if agent.database in proxy.gates
        ]
        return sum(
            gate.closed_until is None and gate.info.address == agent.address for gate in gates
        )

    # --- who tells whom --------------------------------------------------------------------

    def _told_by_cluster(self, event: m.Event) -> None:
        life = self.life
        fleet = life.autoscaler.fleet
        match event:
            case m.ResourceChanged():
                life.hear("cluster", lambda: fleet.resource_changed(event.resource))
            case m.ResourceDeleted():
                life.hear("cluster", lambda: fleet.resource_deleted(event.name))
            case m.AgentChanged():
                life.hear("cluster", lambda: fleet.agent_changed(event.agent))

    def _told_by_agent(self, event: m.Event) -> None:
        life = self.life
        if isinstance(event, m.AgentLeaving):
            if event.compute not in self.partitioned:
                life.hear(event.compute, lambda: life.autoscaler.fleet.agent_told(event))
            return
        assert isinstance(
            event, m.PostgresLost | m.PostgresBack | m.LoginFactsChanged | m.ComputeSample
        )
        if self.cluster.resources[event.database].status.compute not in self.partitioned:
            life.hear(event.database, lambda: life.autoscaler.fleet.agent_told(event))

    async def _asked_by_proxy(self, proxy: FakeProxy, request: m.Request[Any]) -> Any:
        life = self.life
        is_known = isinstance(request, m.RegisterProxy) or life.knows(proxy)
        if life.ended.is_set() or not is_known:
            await asyncio.sleep(0.05)
            raise Unavailable("the autoscaler is not there")
        return await self.network.ask(
            partial(life.answer_proxy, proxy),
            request,
            timeout_s=PROXY_ASKS_S_MAX,
            lost=life.ended,
            back=(life, proxy.name),
        )

    def _told_by_proxy(self, proxy: FakeProxy, event: m.Event) -> None:
        life = self.life
        desk = life.autoscaler.desk
        if not life.knows(proxy):
            return
        match event:
            case m.ProxySample():
                life.hear(proxy.name, lambda: desk.proxy_sampled(event))
            case m.ResumeSeen():
                life.hear(proxy.name, lambda: desk.resume_seen(event))

    def _backend_of(self, address: m.ComputeAddress) -> FakeAgent | None:
        for agent in self.cluster.agents.values():
            if agent.info.address == address.agent:
                return agent
        return None
