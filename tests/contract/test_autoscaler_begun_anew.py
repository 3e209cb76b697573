"""An autoscaler that has just begun tells of what was before it what records say, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.fakes.proxy import FakeProxy
from support.fakes.town import Town, apply, opened_town, sampling
from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_api.transition import Transition


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with opened_town() as opened:
        apply(opened, idleTimeout="1h")
        for _ in range(4):
            await opened.start_agent()
        await opened.start_autoscaler()
        yield opened


async def transitions(town: Town, **asked: Any) -> tuple[Transition, ...]:
    found: m.TransitionList = await town.person(m.AskTransitions(**asked))
    return found.transitions


async def row(town: Town) -> m.DatabaseRow:
    page: m.FleetPage = await town.person(m.AskFleet())
    return page.databases[0]


async def woken(town: Town, proxy: FakeProxy) -> None:
    """Up to its first row, which is on the record."""
    epoch = town.status().epoch
    session = proxy.connect("shop")
    await proxy.attach(session)
    await town.until("another compute serves it", lambda: town.status().epoch > epoch)

    def is_whole() -> bool:
        chain = town.status().last_resume
        return chain is not None and chain.steps[-1].name == "first row"

    await town.until("the whole chain is written", is_whole)


async def begin_anew(town: Town) -> FakeProxy:
    await town.stop_autoscaler()
    await town.start_autoscaler()
    return await town.register()


async def test_the_last_wake_and_the_last_switchover_are_told_by_the_record(town: Town) -> None:
    await woken(town, await town.register())
    await town.person(m.Switchover(name="shop"))
    (wake,) = await transitions(town, kinds=("resume",))
    (move,) = await transitions(town, kinds=("switchover",))
    assert not wake.is_recorded and (await row(town)).wakes_known_since == ""
    await begin_anew(town)
    (wake_told,) = await transitions(town, database="shop", kinds=("resume",))
    (move_told,) = await transitions(town, database="shop", kinds=("switchover",))
    assert wake_told.is_recorded and move_told.is_recorded
    assert wake_told.total_ms == pytest.approx(wake.total_ms, abs=0.01)
    assert (wake_told.at[:19], move_told.at[:19]) == (wake.at[:19], move.at[:19])
    assert wake_told.cause == wake.cause and wake_told.spans[-1].name == "first row"
    assert (move_told.epoch, move_told.total_ms) == (move.epoch, move.total_ms)
    assert set(await transitions(town, order="slowest")) == {wake_told, move_told}
    told = await row(town)
    assert (told.wakes_last_hour, told.slowest_wake_ms) == (1, wake_told.total_ms)
    assert told.wakes_known_since == told.last_wake_at


async def test_what_the_record_told_stays_known_when_it_wakes_again(town: Town) -> None:
    await woken(town, await town.register())
    proxy = await begin_anew(town)
    (before,) = await transitions(town, kinds=("resume",))
    async with sampling(proxy):
        await town.person(m.Suspend(name="shop"))
        await town.until("it sleeps", lambda: town.status().phase is Phase.SUSPENDED)
        await woken(town, proxy)
    latest, first = await transitions(town, kinds=("resume",))
    assert first == before and not latest.is_recorded
    told = await row(town)
    assert told.wakes_last_hour == 2 and told.wakes_known_since == before.at[:19] + "Z"


async def test_of_a_database_that_has_never_woken_all_is_known(town: Town) -> None:
    await begin_anew(town)
    assert await transitions(town) == ()
    told = await row(town)
    assert (told.wakes_last_hour, told.wakes_known_since) == (0, "")
