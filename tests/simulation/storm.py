"""The blows: each befalls a whole component, at moments that the seed chooses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from simulation.clients import keep_proxy_alive
from simulation.faults import CALM, Weather
from simulation.town import SUSPEND_DEADLINE_S, Life, Town
from support.fakes.agent import FakeAgent, Pace
from torpor_api import messages as m
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.failures import DataDamaged, Failure, StartFailed, StorageFull
from torpor_api.phases import Phase
from torpor_autoscaler.desk import SESSIONS_S_MAX, SWITCHOVER_S_MAX

LEAVE_S = 30.0
"""For which most agents go on when they are told to end."""

CUT_OFF_S_MAX = 40.0
"""Longer than an agent's silence is borne where it speaks against it."""

STOP_S_MAX = 40.0
"""More than twice as long as the answer to a stop is waited for."""


class Storm:
    """Open from :meth:`begin` to :meth:`end`; afterwards nothing stays broken."""

    def __init__(self, town: Town, weather: Weather) -> None:
        self._town = town
        self._random = town.random
        self._weather = weather
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        weather = self._weather
        self._town.network.weather = weather
        blows: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (weather.kill_agent_s, self._kill_agent),
            (weather.kill_postgres_s, self._kill_postgres),
            (weather.drop_connection_s, self._drop_connection),
            (weather.partition_agent_s, self._partition_agent),
            (weather.restart_autoscaler_s, self._restart_autoscaler),
            (weather.restart_proxy_s, partial(self._to_its_end, self._restart_proxy)),
            (weather.end_proxy_s, partial(self._to_its_end, self._end_proxy)),
            (weather.conflict_s, self._conflict),
            (weather.fail_start_s, self._fail_start),
            (weather.slow_stop_s, self._slow_stop),
            (weather.person_s, self._person),
            (weather.change_role_s, self._change_role),
            (weather.switchover_s, self._switch_over),
            (weather.drain_s, self._drain),
            (weather.cut_off_s, self._cut_off),
            (weather.forget_history_s, self._forget_history),
        ]
        for mean_s, blow in blows:
            if mean_s < float("inf"):
                self._tasks.append(asyncio.create_task(self._again_and_again(mean_s, blow)))

    async def end(self) -> None:
        self._town.network.weather = CALM
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        self._town.network.come_back()
        self._town.partitioned.clear()
        self._town.cluster.unfenceable.clear()
        for volume in self._town.cluster.volumes.values():
            volume.is_damaged = False
        if self._town.life.ended.is_set():
            await self._town.restart_autoscaler(0.0)
        for agent in list(self._town.cluster.agents.values()):
            agent.pace = Pace()
            if agent.state == "starting" and agent.is_down:
                agent.restart_postgres()

    async def _again_and_again(self, mean_s: float, blow: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._random.expovariate(1 / mean_s))
            await blow()

    async def _to_its_end(self, blow: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Though the storm be over meanwhile: a proxy that has gone is followed by another."""
        await asyncio.shield(self._town.network.background(blow()))

    def _some_agent(self, state: str | None = None) -> FakeAgent | None:
        agents = [a for a in self._town.cluster.agents.values() if state in (None, a.state)]
        return self._random.choice(agents) if agents else None

    async def _kill_agent(self) -> None:
        agent = self._some_agent()
        if agent is not None and agent.compute not in self._town.partitioned:
            self._town.kill_agent(agent.compute)

    async def _kill_postgres(self) -> None:
        agent = self._some_agent("running")
        if agent is None:
            return
        restarts = self._random.random() < 0.7
        agent.crash_postgres(restarts=restarts)
        if restarts:
            await asyncio.sleep(self._random.expovariate(1 / 0.5))
            if agent.is_down and not agent.gone.is_set():
                agent.restart_postgres()

    async def _drop_connection(self) -> None:
        agent = self._some_agent()
        if agent is not None:
            compute, life = agent.compute, self._town.life
            life.hear(compute, lambda: life.autoscaler.fleet.agent_unheard(compute))

    async def _partition_agent(self) -> None:
        agent = self._some_agent("running")
        if agent is None:
            return
        self._town.partitioned.add(agent.compute)
        self._town.cluster.unfenceable.add(agent.compute)
        compute, life = agent.compute, self._town.life
        life.hear(compute, lambda: life.autoscaler.fleet.agent_unheard(compute))
        await asyncio.sleep(self._random.expovariate(1 / 10.0))
        self._town.partitioned.discard(agent.compute)
        self._town.cluster.unfenceable.discard(agent.compute)

    async def _cut_off(self) -> None:
        await self._town.cut_off(self._random.uniform(1.0, CUT_OFF_S_MAX))

    async def _restart_autoscaler(self) -> None:
        await self._town.restart_autoscaler(self._random.expovariate(1 / 0.5))

    async def _restart_proxy(self) -> None:
        name = self._some_proxy()
        if name is not None:
            self._town.kill_proxy(name)
            await self._next_proxy(name)

    async def _end_proxy(self) -> None:
        proxies, name = self._town.proxies, self._some_proxy()
        if name is None:
            return
        proxy = proxies[name]
        await proxy.drain()
        if proxies.get(name) is proxy:
            del proxies[name]
            with contextlib.suppress(Failure):
                await proxy.leave()
            self._town.hang_up(proxy)
            await self._next_proxy(name)

    def _some_proxy(self) -> str | None:
        return self._random.choice(sorted(self._town.proxies) or [None])

    async def _next_proxy(self, name: str) -> None:
        await asyncio.sleep(self._random.expovariate(1 / 0.5))
        proxy = self._town.add_proxy(name)
        self._town.network.background(keep_proxy_alive(self._town, proxy))

    async def _conflict(self) -> None:
        cluster = self._town.cluster
        name = self._random.choice(sorted(cluster.resources))
        if self._random.random() < 0.7:
            cluster.touch(name)
            return
        stored = cluster.resources[name]
        timeout_s = self._random.randint(1, 5)
        roles = [{"name": "app"}, {"name": f"role{self._random.randint(1, 9)}"}]
        spec = {"idleTimeout": f"{timeout_s}s", "keepAwake": stored.spec.keep_awake, "roles": roles}
        cluster.apply({"metadata": {"name": name}, "spec": spec})

    async def _forget_history(self) -> None:
        self._town.cluster.forget_history()

    async def _fail_start(self) -> None:
        failure = self._random.choice((StartFailed, StorageFull, DataDamaged))
        agent = self._some_agent("warm")
        if agent is not None:
            agent.fail_next_start = _failure(failure)

    async def _slow_stop(self) -> None:
        agent = self._some_agent("running")
        if agent is not None:
            agent.pace = Pace(stop_s=self._random.uniform(1.0, STOP_S_MAX))

    async def _change_role(self) -> None:
        agents = [a for a in self._town.cluster.agents.values() if a.is_serving and a.clients]
        if agents:
            made = RoleFacts(name=f"made{self._random.randint(1, 9)}")
            self._random.choice(agents).change_facts(LoginFacts(roles=(made,)))

    async def _drain(self) -> None:
        agent = self._some_agent(self._random.choice(("warm", "running", None)))
        if agent is not None and not agent.is_leaving:
            is_hasty = self._weather.kill_agent_s < float("inf") and self._random.random() < 0.5
            self._town.drain(agent, LEAVE_S * (self._random.random() if is_hasty else 1.0))

    async def _person(self) -> None:
        """Answered or refused in time, unless the autoscaler ends meanwhile."""
        life = self._town.life
        name = self._random.choice(sorted(self._town.cluster.resources))
        wish = self._town.network.background(_wish(life, name))
        await asyncio.wait({wish}, timeout=SUSPEND_DEADLINE_S + 2 * SESSIONS_S_MAX + 1.0)
        assert wish.done() or life.ended.is_set(), f"nobody answered a suspend of {name}"

    async def _switch_over(self) -> None:
        """Likewise; and whoever is told that it has happened finds it so."""
        life, resources = self._town.life, self._town.cluster.resources
        awake = [name for name in resources if resources[name].status.phase is Phase.ACTIVE]
        name = self._random.choice(sorted(awake or resources))
        asked = m.Switchover(name=name, patience_s=self._random.uniform(0.1, 5.0))
        work = self._town.network.background(_switch_over(self._town, life, asked))
        await asyncio.wait({work}, timeout=asked.patience_s + SWITCHOVER_S_MAX + 1.0)
        assert work.done() or life.ended.is_set(), f"nobody answered a switchover of {name}"
        if work.done() and not work.cancelled():
            work.result()


async def _switch_over(town: Town, life: Life, asked: m.Switchover) -> None:
    before, asked_at = town.cluster.resources[asked.name].status, town.clock.now()
    with contextlib.suppress(Failure):
        moved = await life.autoscaler.desk.switchover(asked)
        served = town.starts[town.lives, moved.compute]
        assert moved.epoch > before.epoch and (asked.name, moved.epoch) in served
        assert 0 < moved.pause_ms <= (town.clock.now() - asked_at) * 1000 + 1
        town.switchovers += 1


async def _wish(life: Life, name: str) -> None:
    with contextlib.suppress(Failure):
        await life.autoscaler.desk.why(name)
        await life.autoscaler.desk.sessions(m.Sessions(name=name))
        await life.autoscaler.desk.suspend(name)


def _failure(kind: type[Failure]) -> Failure:
    return kind("as the simulation wants it")
