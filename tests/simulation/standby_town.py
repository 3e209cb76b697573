"""The town on Kubernetes with two autoscalers, of which one leads by the real election.

Whoever leads is killed, or stands still for longer than its Lease and goes on in the middle of
whatever it was doing, without having heard that another one leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from simulation.kube_port import FailingKube
from simulation.kube_town import SYSTEM, KubeLife, KubeTown
from simulation.processes import context_of, machine
from simulation.town import Life
from simulation.words import Words
from support.fakes.proxy import FakeProxy
from torpor_api import messages as m
from torpor_autoscaler.adapters.kubernetes.leadership import TERMS
from torpor_autoscaler.adapters.leading import AgentsWhileLeading, ProxiesWhileLeading
from torpor_autoscaler.ports import Agents, Proxies
from torpor_kube.election import Election
from torpor_kube.leading import WhileLeading
from torpor_kube.port import Kube

LEASE = "torpor-autoscaler"

STILL_S_MAX = 40.0
"""Four times as long as the Lease lasts."""

STARTS_S = 2.0
"""A kubelet takes so long to start a container anew."""


class Leader(KubeLife):
    """What one process does while it leads; it runs only while that process does."""

    def __init__(self, town: StandbyTown, process: Process, leads: Callable[[], bool]) -> None:
        self._town: StandbyTown = town
        self._process = process
        self._leads = leads if town.checks else lambda: True
        super().__init__(town)

    def kube(self, town: KubeTown) -> Kube:
        return WhileLeading(super().kube(town), self._leads)

    def ports(self) -> tuple[Agents, Proxies]:
        agents, proxies = super().ports()
        return AgentsWhileLeading(agents, self._leads), ProxiesWhileLeading(proxies, self._leads)

    def hear(self, connection: object, take: Callable[[], None]) -> None:
        def within() -> None:
            if not self.ended.is_set():
                take()

        def arrive() -> None:
            machine().call_soon(within, context=self._process.context)

        super().hear(connection, arrive)

    async def answer_proxy(self, proxy: FakeProxy, request: m.Request[Any]) -> Any:
        return await self._process.task(super().answer_proxy(proxy, request))

    async def let_go(self, asked: m.AskLetGo) -> m.LetGo:
        told: m.LetGo = await self._process.task(super().let_go(asked))
        return told

    async def ask_agent(self, info: m.AgentInfo, request: m.Request[Any], timeout_s: float) -> Any:
        self._town.acts_of_former += self._town.life is not self
        return await super().ask_agent(info, request, timeout_s)

    async def ask_proxies(self, request: m.Request[Any], timeout_s: float) -> dict[str, Any]:
        self._town.acts_of_former += self._town.life is not self
        return await super().ask_proxies(request, timeout_s)

    async def _wake(self, request: m.Wake) -> m.Awake:
        """How long it took says nothing of one that stood still."""
        self._town.words.proxies.add((request.name, request.lost_epoch))
        return await self.autoscaler.desk.wake(request)


class Process:
    """One of the two: a candidate, which may lead, and begins anew when it has ended."""

    def __init__(self, town: StandbyTown, name: str) -> None:
        self.name = name
        self._town = town
        self.context = context_of(name)
        self._life: Leader | None = None
        self._main: asyncio.Task[Any] | None = None
        self._election: asyncio.Task[Any] | None = None

    def task(self, work: Any) -> asyncio.Task[Any]:
        return machine().create_task(work, context=self.context)

    def begin(self) -> None:
        self._main = self.task(self._live())

    async def _live(self) -> None:
        town = self._town
        while True:
            kube = FailingKube(town.kube.objects, town.network, town.random, town.stale)
            election = Election(kube, town.clock, self.name, SYSTEM, LEASE, TERMS)
            self._election = asyncio.create_task(election.run())
            await election.won.wait()
            self._life = Leader(town, self, election.leads)
            town.is_led_by(self._life, self)
            self._life.begin()
            await election.lost.wait()
            await self._life.end()
            self._life = None
            await asyncio.sleep(STARTS_S)

    async def kill(self) -> None:
        tasks = [task for task in (self._main, self._election) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._life is not None:
            await self.task(self._life.end())
            self._life = None


class StandbyTown(KubeTown):
    """``checks``: whoever leads asks the clock before it acts, as the product does."""

    def __init__(self, random: Random, *, checks: bool = True) -> None:
        self.checks = checks
        super().__init__(random)
        self.processes = {name: Process(self, name) for name in ("a", "b")}
        self.leader: Process | None = None
        self.taken_over = 0
        """By another process than the one that led before."""
        self.longest_without_s = 0.0
        """Between the moment in which a leader was killed, or stood still, and its successor."""
        self._fell_at: float | None = None
        self.acts_of_former = 0
        """What agents and proxies were asked by one when another led."""

    def new_life(self) -> Life:
        """Nobody's: until somebody leads there is none."""
        life = KubeLife(self)
        life.ended.set()
        return life

    def begin(self) -> None:
        nobody = self.life
        nobody.begin = lambda: None  # type: ignore[method-assign]
        super().begin()
        for process in self.processes.values():
            process.begin()

    def is_led_by(self, life: Leader, process: Process) -> None:
        """Proxies have given up the former one, or do so now: it hears nothing more of them."""
        self.life.ended.set()
        self.lives += 1
        self.words = Words(self.clock.now)
        if self.leader is not None and self.leader is not process:
            self.taken_over += 1
        if self._fell_at is not None:
            took_s = self.clock.now() - self._fell_at
            self.longest_without_s, self._fell_at = max(self.longest_without_s, took_s), None
        self.life, self.leader = life, process

    async def restart_autoscaler(self, down_s: float) -> None:
        """A blow to whoever leads; ``down_s`` is not taken: it is for one that nobody follows."""
        leader = self.leader
        if leader is None or self.life.ended.is_set():
            return
        self._fell_at = self.clock.now()
        if self.random.random() < 0.5:
            await self._kill(leader)
        else:
            await self._stop(leader)

    async def _kill(self, leader: Process) -> None:
        try:
            await leader.kill()
            await asyncio.sleep(self.random.uniform(STARTS_S, STILL_S_MAX))
        finally:
            leader.begin()

    async def _stop(self, leader: Process) -> None:
        machine().stand_still(leader.name)
        try:
            await asyncio.sleep(self.random.uniform(0.0, STILL_S_MAX))
        finally:
            machine().go_on(leader.name)
            if self.leader is leader:
                self._fell_at = None  # It was not for long enough.
