"""The autoscaler's own network is away, and all others are well: no session is to notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from simulation import virtual_time
from simulation.checkers import Checkers
from simulation.clients import Ledger, keep_proxy_alive
from simulation.faults import CALM
from simulation.kube_town import KubeTown
from simulation.test_autoscaler_storms import Run
from simulation.town import Town
from support.fakes.agent import FakeAgent
from support.fakes.proxy_session import FakeSession
from torpor_autoscaler.lifecycle.limits import Limits

AWAY_S = 25.0

AFTERWARDS_S = 70.0
"""Whoever was waiting has tried again by then: the longest back-off is a minute."""

PLACES = [Town, KubeTown]

FEW, MANY = Limits().silent_max - 1, 2 * Limits().silent_max


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("databases", [FEW, MANY])
@pytest.mark.parametrize("away_s", [AWAY_S, 10 * AWAY_S])
def test_busy_sessions_go_on(
    place: Callable[[Random], Town], databases: int, away_s: float
) -> None:
    async def story() -> None:
        town = place(Random(3))
        busy = await _busy_sessions(town, databases)
        await town.cut_off(away_s)
        await asyncio.sleep(AFTERWARDS_S)
        _have_noticed_nothing(town, busy)
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("databases", [FEW, MANY])
def test_their_computes_outlive_a_restart_in_the_midst_of_it(
    place: Callable[[Random], Town], databases: int
) -> None:
    async def story() -> None:
        town = place(Random(3))
        await _busy_sessions(town, databases)
        serving = _serving(town)
        cut_off = asyncio.create_task(town.cut_off(AWAY_S))
        await asyncio.sleep(1.0)
        await town.restart_autoscaler(0.5)
        await cut_off
        await asyncio.sleep(AFTERWARDS_S)
        assert _serving(town) == serving and not town.ended_for_nothing
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)


@pytest.mark.parametrize("place", PLACES)
def test_their_computes_outlive_one_that_reaches_everybody_but_them(
    place: Callable[[Random], Town],
) -> None:
    """As a fresh one does as long as the network's rules are not in force for it."""

    async def story() -> None:
        town = place(Random(3))
        await _busy_sessions(town, MANY)
        serving = _serving(town)
        town.partitioned.update(serving)
        await town.restart_autoscaler(0.5)
        await asyncio.sleep(10 * AWAY_S)
        assert _serving(town) == serving
        town.partitioned.clear()
        await asyncio.sleep(AFTERWARDS_S)
        assert _serving(town) == serving and not town.ended_for_nothing
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)


@pytest.mark.parametrize("place", PLACES)
def test_what_dies_meanwhile_is_replaced_when_it_is_back(place: Callable[[Random], Town]) -> None:
    async def story() -> None:
        town = place(Random(3))
        busy = await _busy_sessions(town, MANY)
        (session, dead), *others = busy
        cut_off = asyncio.create_task(town.cut_off(AWAY_S))
        await asyncio.sleep(10.0)
        town.kill_agent(dead.compute)
        await cut_off
        await asyncio.sleep(5.0)
        assert town.cluster.resources[session.database].status.epoch == 2
        _have_noticed_nothing(town, others)
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)


@pytest.mark.parametrize("place", PLACES)
def test_again_and_again_in_calm_weather(place: Callable[[Random], Town]) -> None:
    """Who asks for a wake meanwhile waits; whoever is attached has no part in it."""
    run = Run(1, lambda _: replace(CALM, cut_off_s=10.0), place)
    run.run()
    assert run.ledger.commits > 100


async def _busy_sessions(town: Town, databases: int) -> list[tuple[FakeSession, FakeAgent]]:
    names = [f"db{number}" for number in range(databases)]
    for name in names:
        spec = {"idleTimeout": "10m", "keepAwake": False}
        town.cluster.apply({"metadata": {"name": name}, "spec": spec})
    town.begin()
    proxy = town.add_proxy("proxy")
    town.network.background(keep_proxy_alive(town, proxy))
    while set(proxy.gates) != set(names):
        await asyncio.sleep(0.1)
    found = []
    for name in names:
        session = proxy.connect(name)
        await proxy.attach(session)
        assert session.backend is not None
        session.is_busy = True
        found.append((session, session.backend))
    await asyncio.sleep(10.0)
    return found


def _have_noticed_nothing(town: Town, busy: list[tuple[FakeSession, FakeAgent]]) -> None:
    for session, backend in busy:
        assert session.backend is backend and not session.is_lost
        assert town.cluster.resources[session.database].status.epoch == 1
    Checkers(town, Ledger()).check()
    assert not town.ended_for_nothing


def _serving(town: Town) -> set[str]:
    return {agent.compute for agent in town.cluster.agents.values() if agent.is_serving}
