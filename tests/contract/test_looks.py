"""The autoscaler looks into what is awake: what it finds, and whom it leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.fakes.agent import FakeAgent
from support.fakes.proxy import FakeProxy
from support.fakes.town import Town, apply, opened_town, sampling
from torpor_api import messages as m
from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.phases import Phase

CHANGED = LoginFacts(roles=(RoleFacts(name="app", verifier="the new one"),))


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with opened_town() as opened:
        yield opened


async def woken(town: Town, **spec: Any) -> tuple[FakeAgent, FakeProxy]:
    apply(town, **spec)
    agent = await town.start_agent()
    await town.start_autoscaler()
    proxy = await town.register()
    await proxy.attach(proxy.connect("shop"))
    await town.until("awake", lambda: town.status().phase is Phase.ACTIVE)
    return agent, proxy


async def test_a_changed_password_is_soon_known_to_every_proxy(town: Town) -> None:
    agent, proxy = await woken(town)
    agent.change_facts(CHANGED)
    await town.until("it is told", lambda: proxy.gates["shop"].info.facts == CHANGED)
    await town.until("it is stored", lambda: town.cluster.facts.get("shop") == (1, CHANGED))
    assert proxy.gates["shop"].info.facts_are_exact


async def test_after_a_loss_proxies_know_that_a_password_may_have_changed(town: Town) -> None:
    agent, proxy = await woken(town)
    await town.lose_agent(agent)
    await town.until("told", lambda: not proxy.gates["shop"].info.facts_are_exact)
    await town.stop_autoscaler()
    await town.start_autoscaler()
    other = await town.register("proxy-2")
    assert not other.gates["shop"].info.facts_are_exact


async def test_whoever_asks_why_hears_what_goes_on_inside(town: Town) -> None:
    agent, _ = await woken(town)
    agent.activity = Activity(busy=("an index build in shop (process 7)",), backends=2)
    lines = list[str]()
    while not any("connections 2" in line for line in lines):
        lines = (await town.person(m.Why(name="shop"))).reasons
    assert any(line.startswith("an index build in shop (process 7) for ") for line in lines)


async def test_an_agent_is_asked_for_samples_and_a_crowd_gets_a_larger_compute(town: Town) -> None:
    agent, _ = await woken(town, maxCU=4)
    agent.clients |= {object() for _ in range(6)}
    await town.until("it grows", lambda: (town.status().current_cu or 0) > 1)
    assert agent.size is not None and 1 < agent.size.cu <= 4
    found = await town.person(m.AskDecisions(name="shop"))
    assert any(one.follows.startswith("grows from 1 to ") for one in found.decisions)


async def test_one_that_can_have_no_other_size_is_not_watched(town: Town) -> None:
    agent, _ = await woken(town, minCU=1, maxCU=1)
    await town.until("it is asked", lambda: agent.looks >= 3)
    assert not agent.is_watched


async def test_an_agent_whose_database_sleeps_is_not_asked(town: Town) -> None:
    agent, proxy = await woken(town)
    await town.until("it is asked", lambda: agent.looks >= 3)
    async with sampling(proxy):
        await town.person(m.Suspend(name="shop"))
    asked, warm = agent.looks, await town.start_agent()
    apply(town, "other")
    await town.until("it is known", lambda: "other" in proxy.gates)
    await proxy.attach(proxy.connect("other"))
    await town.until("others are asked", lambda: warm.looks >= 3)
    assert agent.looks == asked
