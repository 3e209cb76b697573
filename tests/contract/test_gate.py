"""The contract of a proxy's gate: what the autoscaler may count on when it closes and opens one.

The test plays the autoscaler. A world brings a proxy that has registered over a real control
channel and knows one awake database, ``shop``, of epoch 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from support.gate_worlds import ANSWER_S_MAX, EPOCH, HOLD_S, WORLDS, World
from torpor_api.failures import Busy, NotFound, StaleEpoch
from torpor_api.phases import Phase

QUIET_S = 0.1
"""What has not happened after this long is held up, not slow."""


@pytest.fixture(params=sorted(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with WORLDS[request.param]() as made:
        yield made


async def is_held_up(task: asyncio.Task[None]) -> bool:
    await asyncio.wait({task}, timeout=QUIET_S)
    return not task.done()


async def ends(task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(ANSWER_S_MAX):
        await task


async def test_idle_sessions_are_parked_and_wait_until_the_gate_opens(world: World) -> None:
    clients = [await world.client() for _ in range(3)]
    for client in clients:
        await client.query()
    assert (await world.autoscaler.close_gate()).parked == 3
    query = asyncio.create_task(clients[0].query())
    assert await is_held_up(query)
    await world.autoscaler.open_gate()
    await ends(query)
    assert world.autoscaler.wakes == []


async def test_who_closes_it_is_told_of_the_last_use(world: World) -> None:
    assert (await world.autoscaler.close_gate()).idle_s is None
    await world.autoscaler.open_gate()
    before_s = monotonic()
    await (await world.client()).query()
    idle_s = (await world.autoscaler.close_gate()).idle_s
    assert idle_s is not None and 0.0 <= idle_s <= monotonic() - before_s


async def test_a_newcomer_waits_behind_a_closed_gate(world: World) -> None:
    await world.autoscaler.close_gate()
    client = await world.client()
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await world.autoscaler.open_gate()
    await ends(query)


async def test_an_open_transaction_is_busy_and_nobody_is_held_up(world: World) -> None:
    busy, idle = await world.client(), await world.client()
    await busy.begin()
    await idle.query()
    with pytest.raises(Busy, match="session"):
        await world.autoscaler.close_gate()
    await ends(asyncio.create_task(idle.query()))
    await busy.commit()
    assert (await world.autoscaler.close_gate()).parked == 2


async def test_a_session_at_work_keeps_its_backend_while_no_address_is_known(world: World) -> None:
    """As an autoscaler tells it that has just begun, and has not heard the agent yet."""
    client = await world.client()
    await client.begin()
    world.autoscaler.tell(address=None)
    with pytest.raises(Busy):
        await world.autoscaler.close_gate()
    await client.commit()
    assert not world.autoscaler.wakes


async def test_a_pinned_session_is_named_with_its_state(world: World) -> None:
    client = await world.client()
    await client.pin()
    with pytest.raises(Busy, match="advisory lock"):
        await world.autoscaler.close_gate()
    await ends(asyncio.create_task(client.query()))


async def test_a_gate_of_which_nobody_speaks_any_more_opens_by_itself(world: World) -> None:
    client = await world.client()
    await client.query()
    await world.autoscaler.close_gate(hold_s=3 * QUIET_S)
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await ends(query)
    assert world.autoscaler.wakes == []


async def test_a_gate_that_is_closed_again_is_held_from_then_on(world: World) -> None:
    client = await world.client()
    await client.query()
    await world.autoscaler.close_gate(hold_s=QUIET_S)
    await world.autoscaler.close_gate(hold_s=HOLD_S)
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await asyncio.sleep(QUIET_S)
    assert not query.done()
    await world.autoscaler.open_gate()
    await ends(query)


async def test_an_earlier_epoch_is_refused_and_changes_nothing(world: World) -> None:
    client = await world.client()
    await client.query()
    with pytest.raises(StaleEpoch):
        await world.autoscaler.close_gate(epoch=EPOCH - 1)
    await ends(asyncio.create_task(client.query()))
    await world.autoscaler.close_gate()
    await world.autoscaler.open_gate(epoch=EPOCH - 1)
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await world.autoscaler.open_gate()
    await ends(query)


async def test_a_gate_may_be_closed_before_its_compute_is_heard_of(world: World) -> None:
    client = await world.client()
    await client.query()
    await world.autoscaler.close_gate(epoch=EPOCH + 1)
    world.autoscaler.tell(epoch=EPOCH + 1)
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    await world.autoscaler.open_gate(epoch=EPOCH + 1)
    await ends(query)
    assert world.autoscaler.wakes == []


async def test_an_unknown_database_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match="ghost"):
        await world.autoscaler.close_gate(name="ghost")


async def test_who_waits_behind_the_gate_wakes_the_database_when_it_sleeps(world: World) -> None:
    client = await world.client()
    await client.query()
    await world.autoscaler.close_gate()
    query = asyncio.create_task(client.query())
    assert await is_held_up(query)
    world.autoscaler.tell(phase=Phase.SUSPENDED, address=None)
    await ends(query)
    (wake,) = world.autoscaler.wakes
    assert (wake.name, wake.lost_epoch) == ("shop", 0)
    assert wake.cause


async def fall_asleep_listening(world: World) -> None:
    """One client, which listens, beside another proxy."""
    await (await world.client()).listen()
    await world.autoscaler.close_gate()
    assert (await world.autoscaler.stop_listening()).listens
    world.autoscaler.tell(phase=Phase.SUSPENDED, address=None, proxies=2)


async def test_the_answer_to_a_wake_is_no_word_on_who_listens(world: World) -> None:
    """It may speak of a moment before a sleep that this proxy knows of."""
    await fall_asleep_listening(world)
    await ends(asyncio.create_task((await world.client()).query()))
    assert len(world.autoscaler.wakes) == 1 and world.doubts() == 1


async def test_who_listens_before_the_gate_opens_has_missed_nothing(world: World) -> None:
    await fall_asleep_listening(world)
    await world.autoscaler.start_listening()
    world.autoscaler.tell(listening=(world.autoscaler.name, "another"))
    await ends(asyncio.create_task((await world.client()).query()))
    assert world.autoscaler.wakes == [] and world.doubts() == 0


async def test_opening_an_open_gate_is_harmless(world: World) -> None:
    await world.autoscaler.open_gate()
    client = await world.client()
    await ends(asyncio.create_task(client.query()))
