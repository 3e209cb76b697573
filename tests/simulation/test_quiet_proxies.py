"""Proxies that tell the same again and again: it costs little, and nothing is missed by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from simulation import virtual_time
from simulation.clients import keep_proxy_alive
from simulation.town import Town
from support.fakes.proxy_session import FakeSession
from torpor_api.phases import Phase
from torpor_autoscaler.core import sleep
from torpor_autoscaler.lifecycle import database

IDLE_S = 300.0

GAP_S = 4.0
"""Shorter than the time-out that is learned, at whose end samples are looked at anyway."""

SAMPLES_S = 5.0
"""Until samples have come that a sleep rests on, and until it is done."""


class Quiet:
    """A database that two proxies know; one of them has a session, which asks when it is told."""

    def __init__(self, **spec: Any) -> None:
        self.town = Town(Random(0))
        self.town.life = self.town.new_life()
        self.town.cluster.apply({"metadata": {"name": "shop"}, "spec": spec})
        self.town.begin()
        self.proxies = [self.town.add_proxy(name) for name in ("p1", "p2")]
        self.tasks = [asyncio.create_task(keep_proxy_alive(self.town, p)) for p in self.proxies]

    async def connects(self) -> FakeSession:
        while "shop" not in self.proxies[0].gates:
            await asyncio.sleep(0.1)
        return self.proxies[0].connect("shop")

    async def asks(self, session: FakeSession) -> None:
        await self.proxies[0].attach(session)
        gate = self.proxies[0].gates["shop"]
        gate.used_at, gate.queries = self.town.clock.now(), gate.queries + 1

    @property
    def database(self) -> database.Database:
        return self.town.life.autoscaler.fleet.entry("shop").database

    @property
    def is_awake(self) -> bool:
        return self.town.cluster.resources["shop"].status.phase is Phase.ACTIVE

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.town.life.end()
        await self.town.network.close()


Play = Callable[[Quiet], Coroutine[Any, Any, None]]


def play(story: Play, **spec: Any) -> None:
    async def whole() -> None:
        quiet = Quiet(**spec)
        await story(quiet)
        await quiet.end()

    virtual_time.run(whole(), lambda: None)


def test_a_held_session_that_asks_nothing_lets_it_sleep_in_time() -> None:
    async def story(quiet: Quiet) -> None:
        session = await quiet.connects()
        for _ in range(3):
            await quiet.asks(session)
            await asyncio.sleep(IDLE_S - 1.0)
            assert quiet.is_awake
            await quiet.asks(session)
            await asyncio.sleep(IDLE_S + SAMPLES_S)
            assert not quiet.is_awake

    play(story, idleTimeout=f"{IDLE_S:g}s")


def test_a_time_without_use_is_learned_of() -> None:
    async def story(quiet: Quiet) -> None:
        session = await quiet.connects()
        await quiet.asks(session)
        for _ in range(4):
            await asyncio.sleep(GAP_S)
            await quiet.asks(session)
        await asyncio.sleep(SAMPLES_S)
        learned = quiet.database.learned
        assert learned is not None and learned.choice.timeout_s > GAP_S
        assert "4 gaps known" in learned.words

    play(story, idleTimeout="auto", keepAwake=True)


@pytest.mark.parametrize(
    "spec",
    [
        {"idleTimeout": f"{IDLE_S:g}s"},
        {"idleTimeout": "1s", "keepAwake": True},
        {"idleTimeout": "auto", "keepAwake": True},
    ],
)
def test_an_idle_one_is_not_thought_about_at_each_sample(
    spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choices, choose = [], sleep.choose_sleep

    def counting(*args: Any) -> Any:
        choices.append(args)
        return choose(*args)

    monkeypatch.setattr(database, "choose_sleep", counting)

    async def story(quiet: Quiet) -> None:
        await quiet.asks(await quiet.connects())
        await asyncio.sleep(SAMPLES_S)
        choices.clear()
        await asyncio.sleep(IDLE_S - 2 * SAMPLES_S)
        assert quiet.is_awake
        # Some 800 samples meanwhile; once a minute what is to be noted is looked for.
        assert len(choices) < 100

    play(story, **spec)
