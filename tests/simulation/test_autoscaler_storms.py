"""The real autoscaler in virtual time, among fakes that fail as a seed wants it.

Six seeds in each run. ``SEEDS=1000`` runs more, ``SEED=17`` one; a failure prints its command.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from simulation import virtual_time
from simulation.checkers import Broken, Checkers
from simulation.clients import Client, Ledger, keep_proxy_alive
from simulation.faults import CALM, Weather, stormy
from simulation.storm import Storm
from simulation.town import Town
from torpor_api.phases import Phase

STORM_S = 120.0
CALM_S = 120.0
"""For everything to come to rest once the faults have stopped; the longest back-off is a minute."""

DATABASES = 3
PROXIES = 2
CLIENTS_PER_DATABASE = 3


def seeds() -> list[int]:
    if "SEED" in os.environ:
        return [int(os.environ["SEED"])]
    return list(range(int(os.environ.get("SEEDS", "6"))))


@pytest.mark.parametrize("seed", seeds())
def test_a_storm(seed: int) -> None:
    try:
        Run(seed).run()
    except Exception as error:
        command = f"SEED={seed} .venv/bin/pytest {os.path.relpath(__file__)}"
        raise AssertionError(f"{type(error).__name__}: {error}\nagain: {command}") from error


def test_switchovers_in_calm_weather_are_nobodys_loss() -> None:
    """Under load, and again and again: clients wait, and nothing of theirs fails."""
    run = Run(1, lambda _: replace(CALM, switchover_s=1.0))
    run.run()
    assert run.switchovers > 20 and run.ledger.commits > 500
    assert (run.ledger.refusals, run.ledger.broken_queries, run.doubts) == (0, 0, 0)


def test_drains_in_calm_weather_are_nobodys_loss() -> None:
    """Whoever is told to end, warm or serving, has moved before it does."""
    run = Run(1, drains)
    run.run()
    assert run.drained > 50 and run.ledger.commits > 500
    assert run.overdue == 0
    assert (run.ledger.refusals, run.ledger.broken_queries) == (0, 0)


def test_proxies_that_end_in_calm_weather_cut_nobody_off() -> None:
    run = Run(1, lambda _: replace(CALM, end_proxy_s=2.0))
    run.run()
    assert run.ledger.commits > 500 and run.ledger.broken_queries == 0


def drains(_: Random) -> Weather:
    return replace(CALM, drain_s=1.0)


class Run:
    """One seed, from the first wake to the last sleep."""

    loop = virtual_time.VirtualLoop

    def __init__(
        self,
        seed: int,
        weather: Callable[[Random], Weather] = stormy,
        town: Callable[[Random], Town] = Town,
    ) -> None:
        self.random = Random(seed)
        self._weather = weather
        self._town = town
        self._checkers: Checkers | None = None
        self.ledger = Ledger()
        self.switchovers = 0
        self.doubts = 0
        """How often sessions that listen were not heard for in time, and knew it."""
        self.drained = self.overdue = 0

    def run(self) -> None:
        virtual_time.run(self._live(), self._check, self.loop)

    def _check(self) -> None:
        if self._checkers is not None:
            self._checkers.check()

    async def _live(self) -> None:
        town, ledger = self._town(self.random), self.ledger
        self._checkers = Checkers(town, ledger)
        clients = self._populate(town, ledger)
        storm = Storm(town, self._weather(self.random))
        storm.begin()
        await self._pass(STORM_S)
        await storm.end()
        await self._pass(CALM_S)
        await self._everybody_is_served(town)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await self._everything_sleeps(town)
        self.switchovers = town.switchovers
        gates = [gate for proxy in town.proxies.values() for gate in proxy.gates.values()]
        self.doubts = sum(gate.doubts for gate in gates)
        self.drained, self.overdue = town.drained, town.overdue
        await town.life.end()
        await town.network.close()

    def _populate(self, town: Town, ledger: Ledger) -> list[asyncio.Task[None]]:
        names = [f"db{n}" for n in range(DATABASES)]
        for number, name in enumerate(names):
            spec = {"idleTimeout": "2s", "keepAwake": number == 2}
            town.cluster.apply({"metadata": {"name": name}, "spec": spec})
        town.begin()
        proxies = [f"proxy{n}" for n in range(PROXIES)]
        for proxy in proxies:
            town.network.background(keep_proxy_alive(town, town.add_proxy(proxy)))
        return [
            asyncio.create_task(
                Client(town, f"{name}-{n}", name, proxies[n % PROXIES], ledger).live()
            )
            for name in names
            for n in range(CLIENTS_PER_DATABASE)
        ]

    async def _pass(self, seconds: float) -> None:
        """Let time pass in small pieces, and stop at the first violation."""
        assert self._checkers is not None
        for _ in range(int(seconds)):
            await asyncio.sleep(1.0)
            if self._checkers.failure is not None:
                raise self._checkers.failure

    async def _everybody_is_served(self, town: Town) -> None:
        for proxy in town.proxies.values():
            for name in town.cluster.resources:
                session = proxy.connect(name)
                async with asyncio.timeout(10.0):
                    await proxy.attach(session)
                proxy.disconnect(session)

    async def _everything_sleeps(self, town: Town) -> None:
        for proxy in town.proxies.values():
            for gate in proxy.gates.values():
                for session in list(gate.sessions):
                    proxy.disconnect(session)
        await self._pass(90.0)
        for name, resource in town.cluster.resources.items():
            expected = Phase.ACTIVE if resource.spec.keep_awake else Phase.SUSPENDED
            if resource.status.phase is not expected:
                why = (await town.life.autoscaler.desk.why(name)).reasons
                raise Broken(f"{name} is {resource.status.phase}, not {expected}: {why}")
