"""A room and its guests, which are played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from random import Random
from time import monotonic

import pytest

from support.fakes.session import turns
from torpor_api.identity import SessionId
from torpor_proxy.core.routing import Route
from torpor_proxy.executor.host import Identity
from torpor_proxy.executor.room import KEPT_FOR_LISTENERS, PAUSE_SECONDS_MIN, Place, Room

LONG_AGO = -1000.0


class FakeGuest:
    """Attached, idle, examined and without state, unless the test says otherwise."""

    def __init__(self, town: Town, who: int, place: Place) -> None:
        self.identity = Identity(SessionId(who), Route("shop", "app", "app"), "", False)
        self.since = self.last_used = monotonic() + LONG_AGO
        self.is_at_rest = True
        self.is_pinned = False
        self.needs_capture = False
        self.reason = ""
        self._town = town
        self._place = place

    @property
    def can_be_let_go(self) -> bool:
        return self.is_at_rest and not self.needs_capture and not self.is_pinned

    def park(self) -> Coroutine[None, None, None]:
        assert self in self._town.attached, "it is parked already"
        if self.can_be_let_go:
            self.depart()
        return self._capture()

    async def _capture(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.needs_capture = False
        if self in self._town.attached and not self.is_pinned:
            self.depart()

    def depart(self) -> None:
        """It lets its connection go; a moment later the server does."""
        self._town.attached.remove(self)
        self._town.room.detached(self.identity.number)
        asyncio.get_running_loop().call_soon(self._place.free)


class Town:
    """A room and who is in it."""

    def __init__(self, limit: int, *, tenure_s: float = 0.0) -> None:
        self.attached: list[FakeGuest] = []
        self.listeners = 0
        self.pressures = 0
        self.room = Room(self.attached, tenure_s, 30.0, self._pressed, lambda: self.listeners)
        self.room.serve(1, limit + KEPT_FOR_LISTENERS)
        self.tasks: list[asyncio.Task[FakeGuest]] = []

    def _pressed(self) -> None:
        self.pressures += 1

    async def guest(self, who: int) -> FakeGuest:
        guest = FakeGuest(self, who, await self.room.enter(who))
        self.attached.append(guest)
        return guest

    def comes(self, who: int) -> asyncio.Task[FakeGuest]:
        self.tasks.append(asyncio.create_task(self.guest(who)))
        return self.tasks[-1]

    async def full_of(self, *who: int) -> list[FakeGuest]:
        return [await self.guest(each) for each in who]


@pytest.fixture
async def towns() -> AsyncIterator[list[Town]]:
    made: list[Town] = []
    yield made
    for task in (task for town in made for task in town.tasks):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # Nobody waits any more: no timer is left.
    await asyncio.sleep(2 * PAUSE_SECONDS_MIN)


@pytest.fixture
def town(towns: list[Town]) -> Town:
    towns.append(Town(2))
    return towns[0]


async def test_the_idlest_makes_way(town: Town) -> None:
    first, second = await town.full_of(1, 2)
    second.last_used -= 1
    third = await town.guest(3)
    assert town.attached == [first, third] and town.pressures == 0


async def test_nobody_makes_way_while_nobody_waits(town: Town) -> None:
    there = await town.full_of(1, 2)
    assert town.room.is_full and not town.room.is_pressed
    town.room.at_safe_point(there[0])
    assert town.attached == there


async def test_one_that_is_busy_makes_way_where_it_comes_to_a_safe_point(town: Town) -> None:
    there = await town.full_of(1, 2)
    for guest in there:
        guest.is_at_rest = False
    coming = town.comes(3)
    await turns(lambda: town.room.is_pressed)
    there[1].is_at_rest = there[1].needs_capture = True
    town.room.at_safe_point(there[1])
    await coming
    assert there[1] not in town.attached and not town.room.is_pressed and town.pressures == 2


async def test_one_that_turns_out_to_be_pinned_stays_and_the_next_one_goes(town: Town) -> None:
    pinned, other = await town.full_of(1, 2)
    pinned.needs_capture = pinned.is_pinned = True
    pinned.last_used -= 1
    third = await town.guest(3)
    assert town.attached == [pinned, third] and other not in town.attached


async def test_one_that_falls_idle_in_silence_is_found(town: Town) -> None:
    there = await town.full_of(1, 2)
    for guest in there:
        guest.is_at_rest = False
    coming = town.comes(3)
    await turns(lambda: town.room.is_pressed)
    there[0].is_at_rest = True
    await coming
    assert there[0] not in town.attached


async def test_a_tenure_is_kept_by_who_asks_without_a_pause(towns: list[Town]) -> None:
    town = Town(1, tenure_s=1000)
    towns.append(town)
    (guest,) = await town.full_of(1)
    guest.since = guest.last_used = monotonic() + 1000
    coming = town.comes(2)
    await turns(lambda: town.room.is_pressed)
    town.room.at_safe_point(guest)
    assert town.attached == [guest]
    guest.since -= 2000
    town.room.at_safe_point(guest)
    await coming
    assert guest not in town.attached


async def test_listeners_take_room_and_there_is_always_some_for_the_next(town: Town) -> None:
    town.listeners = 1
    (guest,) = await town.full_of(1)
    guest.is_pinned = True
    town.comes(2)
    await asyncio.sleep(0)
    assert town.room.is_full and town.room.is_pressed
    assert "its compute accepts 3 connections and 1 are taken" in town.room.why_full()


async def test_why_it_is_full(town: Town) -> None:
    pinned, busy = await town.full_of(1, 2)
    pinned.is_pinned, pinned.reason = True, "holds advisory lock 7"
    busy.is_at_rest, busy.reason = False, "is running a query"
    assert town.room.why_full() == (
        "its compute accepts 3 connections and 2 are taken, 1 by pinned sessions: "
        "1 × holds advisory lock 7; 1 × is running a query"
    )


async def test_a_compute_that_refuses_all_the_same_costs_one_idle_session(town: Town) -> None:
    there = await town.full_of(1, 2)
    town.room.refused()
    assert town.attached == there[1:]


async def test_the_places_of_a_compute_that_is_gone_do_not_count(town: Town) -> None:
    old = [await town.room.enter(1), await town.room.enter(2)]
    assert {place.epoch for place in old} == {1}
    town.room.serve(2, 0)
    new = [await town.room.enter(3), await town.room.enter(1)]
    assert {place.epoch for place in new} == {2}
    coming = town.comes(4)
    for place in old:
        place.free()
    await turns(lambda: town.room.is_pressed)
    assert not coming.done()
    new[1].free()
    new[1].free()
    await coming


async def test_whoever_gives_up_in_the_moment_of_its_turn_passes_it_on(town: Town) -> None:
    places = [await town.room.enter(1), await town.room.enter(2)]
    third, fourth = town.comes(3), town.comes(4)
    await turns(lambda: town.room.is_pressed)
    await asyncio.sleep(0)
    places[0].free()
    third.cancel()
    assert (await fourth).identity.number == 4 and third.cancelled()


@pytest.mark.parametrize("seed", range(20))
async def test_no_place_is_lost_however_they_come_and_give_up(seed: int) -> None:
    random, town = Random(seed), Town(3)
    waits: list[asyncio.Task[Place]] = []
    for who in range(200):
        waits.append(asyncio.create_task(town.room.enter(who)))
        for _ in range(random.randrange(3)):
            await asyncio.sleep(0)
        if random.random() < 0.4:
            random.choice(waits).cancel()
        for wait in [each for each in waits if each.done()]:
            if random.random() < 0.6:
                waits.remove(wait)
                if not wait.cancelled():
                    wait.result().free()
    for wait in waits:
        wait.cancel()
    for ended in await asyncio.gather(*waits, return_exceptions=True):
        if isinstance(ended, Place):
            ended.free()
    whole = await asyncio.gather(*(town.room.enter(1000 + n) for n in range(3)))
    assert len(whole) == 3 and town.room.is_full and not town.room.is_pressed
    await asyncio.sleep(2 * PAUSE_SECONDS_MIN)
