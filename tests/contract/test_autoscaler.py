"""The autoscaler over a real control channel, among a fake cluster, agents and proxies."""

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

from support.fakes.agent import FakeAgent
from support.fakes.channel import AGENT_REQUESTS, CLUSTER_REQUESTS, Watchers, handlers_of
from support.fakes.cluster import FakeCluster
from support.fakes.proxy import FakeProxy, FakeSession
from torpor_api import messages as m
from torpor_api.failures import Busy, NotFound, NoWarmCompute, Refused, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, Endpoint, ServerlessDatabase
from torpor_autoscaler.core.limits import Limits
from torpor_autoscaler.main import serving
from torpor_autoscaler.settings import Settings
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer
from torpor_channel.server import Server

DEADLINE_S = 20.0

LIMITS = Limits(start_grace_s=0.05)


class Town:
    """Everything around one autoscaler; each of its parts listens on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = FakeCluster()
        self.cluster.keeps_pool = False
        self.ending = contextlib.AsyncExitStack()
        self._servers: dict[str, Server] = {}
        self._autoscaler: contextlib.AsyncExitStack | None = None
        self.settings = Settings(
            cluster=folder / "cluster.sock",
            listen=folder / "autoscaler.sock",
            warm=1,
            endpoint=Endpoint(host="127.0.0.1", port=5432),
            wake_deadline_s=10.0,
            suspend_deadline_s=10.0,
        )

    async def open(self) -> None:
        watchers = Watchers(self.cluster.answer)
        self.cluster.tell = watchers.tell
        handlers = handlers_of(self.cluster.answer, *CLUSTER_REQUESTS)
        server = Server(
            {**handlers, m.WatchResources: watchers.watch, m.WatchAgents: watchers.watch}
        )
        await server.listen(self.settings.cluster)
        self.ending.push_async_callback(server.close)

    async def start_agent(self) -> FakeAgent:
        """One that listens before it is told of, as the cluster promises."""
        tell, self.cluster.tell = self.cluster.tell, lambda event: None
        agent = self.cluster.start_agent()
        agent.info = agent.info.model_copy(update={"address": str(self.folder / agent.compute)})
        server = Server(handlers_of(agent.answer, *AGENT_REQUESTS))
        agent.tell = partial(_tell_all, server)
        await server.listen(Path(agent.info.address))
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
        await self._autoscaler.enter_async_context(serving(settings, LIMITS))

    async def stop_autoscaler(self) -> None:
        assert self._autoscaler is not None
        await self._autoscaler.aclose()

    async def register(self, name: str = "proxy-1") -> FakeProxy:
        proxy = FakeProxy(name, asyncio.get_running_loop().time)
        gates = handlers_of(proxy.answer, m.CloseGate, m.OpenGate)

        async def hear(_: Peer, event: m.Event) -> None:
            proxy.hear(event)

        handlers: Handlers = {**gates, m.EndpointChanged: hear, m.EndpointRemoved: hear}
        peer = await dial(self.settings.listen, handlers)
        self.ending.push_async_callback(peer.close)
        proxy.ask = lambda request: peer.ask(request, timeout_s=DEADLINE_S)
        proxy.tell = peer.tell
        await proxy.register()
        return proxy

    async def person(self, request: m.Request[Any]) -> Any:
        peer = await dial(self.settings.listen)
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


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        town = Town(Path(folder))
        await town.open()
        yield town
        await town.stop_autoscaler()
        await town.ending.aclose()


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


async def test_a_wake_claims_starts_answers_and_tells(town: Town) -> None:
    apply(town)
    agent = await town.start_agent()
    await town.start_autoscaler()
    proxy, other = await town.register(), await town.register("proxy-2")
    session = proxy.connect("shop")
    info = await proxy.attach(session)
    assert (info.phase, info.epoch) == (Phase.ACTIVE, 1)
    assert info.address is not None and info.address.agent == agent.info.address
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)
    assert town.status().compute == agent.compute
    await town.until("others are told", lambda: other.gates["shop"].info == info)
    await town.until("the chain is written", lambda: town.status().last_resume)
    chain = town.status().last_resume
    assert [step.where for step in chain.steps][-2:] == ["autoscaler", "proxy"]
    assert chain.total_ms == pytest.approx(sum(step.ms for step in chain.steps))
    assert chain.cause == "session 1"


async def test_a_proxy_that_registers_knows_who_may_log_in(town: Town) -> None:
    names = [f"db{n}" for n in range(200)]
    for name in names:
        apply(town, name)
    await town.start_autoscaler()
    proxy = await town.register()
    assert sorted(proxy.gates) == sorted(names)
    assert all(gate.info.facts.roles for gate in proxy.gates.values())


async def test_a_new_database_is_told_with_who_may_log_in_and_a_deleted_one_is_not(
    town: Town,
) -> None:
    await town.start_autoscaler()
    proxy = await town.register()
    assert proxy.gates == {}
    apply(town)
    await town.until("told", lambda: "shop" in proxy.gates)
    assert proxy.gates["shop"].info.facts.roles[0].name == "app"
    town.cluster.delete("shop")
    await town.until("told", lambda: not proxy.gates)
    with pytest.raises(NotFound, match="shop"):
        await town.person(m.Why(name="shop"))


async def test_however_many_ask_one_compute_is_claimed(town: Town) -> None:
    apply(town)
    await town.start_agent()
    await town.start_agent()
    await town.start_autoscaler()
    proxies = [await town.register(f"proxy-{n}") for n in range(3)]
    sessions = [(proxy, proxy.connect("shop")) for proxy in proxies for _ in range(20)]
    infos = await asyncio.gather(*(proxy.attach(session) for proxy, session in sessions))
    assert {info.epoch for info in infos} == {1}
    assert sum(len(agent.claims) for agent in town.cluster.agents.values()) == 1


async def test_an_idle_database_is_suspended_and_its_session_wakes_it_again(town: Town) -> None:
    apply(town, idleTimeout="100ms")
    first, _ = await town.start_agent(), await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        session = proxy.connect("shop")
        await proxy.attach(session)
        await town.until("suspended", lambda: town.status().phase is Phase.SUSPENDED)
        await town.until("told", lambda: proxy.gates["shop"].info.phase is Phase.SUSPENDED)
        assert town.status().compute is None and town.status().why_awake == ()
        assert town.cluster.volumes["shop"].records[-1].is_released
        assert town.cluster.facts["shop"][0] == 1
        assert first.state == "stopped" and proxy.gates["shop"].info.address is None
        info = await proxy.attach(session)
        assert info.epoch == 2


async def test_a_pinned_session_keeps_it_awake_and_is_named(town: Town) -> None:
    apply(town, idleTimeout="50ms")
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        session: FakeSession = proxy.connect("shop")
        await proxy.attach(session)
        session.pinned = "holds advisory lock 42"
        line = "session 1, user app, application worker from 10.0.0.7: holds advisory lock 42"
        await town.until("written", lambda: line in town.status().why_awake)
        why: m.WhyReply = await town.person(m.Why(name="shop"))
        assert f"{line} for 3m" in why.reasons and why.phase is Phase.ACTIVE
        with pytest.raises(Busy, match="advisory lock 42"):
            await town.person(m.Suspend(name="shop"))
        session.pinned = ""
        await town.until("suspended", lambda: town.status().phase is Phase.SUSPENDED)


async def test_people_wake_suspend_and_are_refused(town: Town) -> None:
    apply(town)
    apply(town, "kept", keepAwake=True)
    await town.start_agent()
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        await town.person(m.Wake(name="shop", cause="torpor resume"))
        assert await town.person(m.Suspend(name="shop")) == m.Done()
        assert town.status().phase is Phase.SUSPENDED
        assert await town.person(m.Suspend(name="shop")) == m.Done()
        with pytest.raises(Refused, match="keepAwake"):
            await town.person(m.Suspend(name="kept"))
        with pytest.raises(NotFound, match="ghost"):
            await town.person(m.Suspend(name="ghost"))
    await town.until("kept awake", lambda: town.status("kept").phase is Phase.ACTIVE)


async def test_a_restarted_autoscaler_touches_nothing_that_is_awake(town: Town) -> None:
    apply(town)
    agent = await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    await proxy.attach(proxy.connect("shop"))
    await town.until("Active is written", lambda: town.status().phase is Phase.ACTIVE)
    await town.stop_autoscaler()
    await town.start_autoscaler()
    again = await town.register()
    await town.until("found", lambda: again.gates["shop"].info.address is not None)
    assert agent.claims == [("shop", 1)] and agent.state == "running"
    assert town.status().epoch == 1


async def test_after_a_restart_nobody_takes_the_compute_of_another(town: Town) -> None:
    """The databases are listed one by one, and the first of them already looks for a compute."""
    apply(town, "first", keepAwake=True)
    apply(town, "second")
    agent = await town.start_agent()
    stored = town.cluster.resources["second"]
    serving = DatabaseStatus(phase=Phase.ACTIVE, epoch=1, compute=agent.compute)
    request = m.WriteStatus(
        name="second", resource_version=stored.metadata.resource_version, status=serving
    )
    await town.cluster.answer(request)
    start = m.StartCompute(
        database="second",
        epoch=1,
        storage=m.StoragePlace(directory="/volumes/second"),
        spec=stored.spec,
        generation=1,
    )
    await agent.answer(start)
    await town.start_autoscaler()
    proxy = await town.register()
    await town.until("found", lambda: proxy.gates["second"].info.address is not None)
    why: m.WhyReply = await town.person(m.Why(name="first"))
    assert why.reasons[0].startswith("NoWarmCompute")
    assert agent.claims == [("second", 1)]


async def test_a_database_that_is_deleted_while_it_is_waited_for_leaves_nothing_behind(
    town: Town,
) -> None:
    apply(town)
    await town.start_autoscaler(warm=0)
    proxy = await town.register()
    wake = asyncio.create_task(proxy.wake(proxy.connect("shop")))
    await town.until("an agent is wished for", lambda: town.cluster.warm_size == 1)
    town.cluster.delete("shop")
    with pytest.raises(NotFound, match="'shop' was deleted"):
        await wake
    agent = await town.start_agent()
    apply(town, "other")
    await town.until("told", lambda: "other" in proxy.gates)
    assert agent.claims == []


async def test_a_pool_of_none_is_filled_when_somebody_asks(town: Town) -> None:
    apply(town)
    await town.start_autoscaler(warm=0)
    await town.until("told", lambda: town.cluster.words == [0])
    proxy = await town.register()
    wake = asyncio.create_task(proxy.wake(proxy.connect("shop")))
    await town.until("one is wished for", lambda: town.cluster.words[-1] == 1)
    agent = await town.start_agent()
    await wake
    await town.until("none is wished for", lambda: town.cluster.words[-1] == 0)
    assert town.cluster.claimed == (agent.compute,)


async def test_a_wake_that_is_not_answered_in_time_is_told_what_it_waited_for(town: Town) -> None:
    apply(town)
    await town.start_autoscaler(wake_deadline_s=0.05)
    proxy = await town.register()
    with pytest.raises(NoWarmCompute, match=r"shop did not wake within 0\.05 s"):
        await proxy.wake(proxy.connect("shop"))


async def test_a_proxy_that_hangs_up_leaves_the_queue(town: Town) -> None:
    apply(town)
    await town.start_autoscaler(warm=0)
    await town.register()
    hurried = await dial(town.settings.listen)
    wake = hurried.ask(m.Wake(name="shop", cause="a client"), timeout_s=DEADLINE_S)
    waiting = asyncio.create_task(wake)
    await town.until("an agent is wished for", lambda: town.cluster.warm_size == 1)
    await hurried.close()
    with pytest.raises(Unavailable):
        await waiting
    agent = await town.start_agent()
    await asyncio.sleep(0.05)
    assert agent.claims == []


async def test_an_agent_that_dies_under_its_sessions_is_replaced(town: Town) -> None:
    apply(town)
    first = await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        await proxy.attach(proxy.connect("shop"))
        await town.start_agent()
        await town.lose_agent(first)
        await town.until("replaced", lambda: proxy.gates["shop"].info.epoch == 2)
        await town.until("awake", lambda: proxy.gates["shop"].info.address is not None)
    assert town.cluster.volumes["shop"].records[-1].epoch == 2


async def test_a_crash_of_postgres_is_waited_for(town: Town) -> None:
    apply(town)
    agent = await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    session = proxy.connect("shop")
    await proxy.attach(session)
    agent.crash_postgres(restarts=True)
    await town.until("the gate is shut", lambda: proxy.gates["shop"].info.address is None)
    query = asyncio.create_task(proxy.attach(session))
    await asyncio.sleep(0.05)
    assert not query.done()
    agent.restart_postgres()
    assert (await query).epoch == 1


async def test_a_changed_spec_reaches_a_running_postgres(town: Town) -> None:
    apply(town)
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    await proxy.attach(proxy.connect("shop"))
    apply(town, roles=[{"name": "app"}, {"name": "second"}])
    await town.until("applied", lambda: town.status().observed_generation == 2)
    roles = {role.name for role in proxy.gates["shop"].info.facts.roles}
    assert roles == {"app", "second"}


async def test_what_has_not_changed_is_not_told_again(town: Town) -> None:
    apply(town)
    await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    async with sampling(proxy):
        await proxy.attach(proxy.connect("shop"))
        await town.until("written", lambda: town.status().last_resume)
        told = proxy.told
        for _ in range(3):
            await town.person(m.Wake(name="shop", cause="a person"))
            await asyncio.sleep(0.05)
    assert proxy.told == told
