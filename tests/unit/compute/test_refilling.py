"""When pages are noted, and when they are brought back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from support.fakes.compute import FakeCompute, Served
from support.fakes.files import FakeVolume
from torpor_api.identity import ComputeId, Epoch
from torpor_compute import refilling
from torpor_compute.core.claim import Claim
from torpor_compute.core.kept_pages import PAGES_MIN, File, page_count, unpacked
from torpor_compute.core.lifecycle import State
from torpor_compute.refilling import Refilling

CLAIM = Claim(ComputeId("c1"), "shop", 7)

TABLE, OTHER = File(5, 1663, 16384, 0), File(7, 1663, 20000, 0)

PAGES = 2 * PAGES_MIN

NOTE_EVERY_S = 0.5
"""Longer than most of the tests take."""


class World:
    """A database whose Postgres starts and ends, each time with another agent."""

    def __init__(self) -> None:
        self.compute = FakeCompute()
        self.compute.buffers.files = {TABLE: PAGES, OTHER: PAGES}
        self.buffers = self.compute.buffers
        self.served: Served
        self.refilling: Refilling

    async def wakes(self, *, is_on: bool = True) -> None:
        self.buffers.lose()
        await self.compute.volume.take(Epoch(self.compute.disk.records[-1].epoch + 1), ("c1",))
        self.compute.postgres.is_running = True
        self.refilling = Refilling(is_on=is_on, begin_after_s=0.0, note_every_s=NOTE_EVERY_S)
        self.served = self.compute.served()
        self.becomes(State.RUNNING)

    def becomes(self, state: State) -> None:
        self.refilling.became(state, CLAIM, self.served)

    def uses(self, *files: File) -> None:
        """Each page twice: what is read once is not hot."""
        for file in files:
            for block in [*range(PAGES)] * 2:
                self.buffers.read(file, block)

    async def is_filled(self) -> None:
        async with asyncio.timeout(5.0):
            while self.refilling.is_under_way:
                await asyncio.sleep(0)

    async def sleeps(self) -> None:
        await self.refilling.note()
        self.becomes(State.STOPPING)
        await self.served.sql.close()
        await self.refilling.end()

    @property
    def listed(self) -> int:
        """Pages on the list."""
        content = self.compute.disk.pages
        return page_count(unpacked(content)) if content else 0

    @property
    def present(self) -> int:
        return len(self.buffers.usage)


@pytest.fixture
async def world() -> World:
    """Which has slept once since its two tables were in use."""
    world = World()
    await world.wakes()
    await world.is_filled()
    world.uses(TABLE, OTHER)
    await world.sleeps()
    return world


async def test_what_was_there_is_there_again(world: World) -> None:
    await world.wakes()
    await world.is_filled()
    assert world.present == 2 * PAGES
    await world.sleeps()


async def test_the_little_that_every_start_reads_is_not_noted() -> None:
    world = World()
    await world.wakes()
    for block in range(PAGES_MIN - 1):
        world.buffers.read(TABLE, block)
    await world.sleeps()
    assert world.compute.disk.pages == b""


async def test_nothing_is_noted_or_loaded_where_it_is_off(world: World) -> None:
    before = world.compute.disk.pages
    await world.wakes(is_on=False)
    await world.is_filled()
    assert world.present == 0
    world.uses(TABLE)
    await world.sleeps()
    assert world.compute.disk.pages == before


async def test_what_clients_have_read_since_stays(world: World) -> None:
    await world.wakes()
    world.buffers.count = PAGES + 100
    world.uses(TABLE)
    await world.is_filled()
    assert world.present == PAGES + 100
    await world.sleeps()


async def test_nobody_uses_the_rest_so_it_is_forgotten(world: World) -> None:
    listed = []
    for _ in range(4):
        await world.wakes()
        await world.is_filled()
        world.uses(TABLE)
        await world.sleeps()
        listed.append(world.listed)
    assert listed == [2 * PAGES, 2 * PAGES, PAGES, PAGES]


async def test_a_sleep_amid_filling_leaves_the_list_as_it_was(world: World) -> None:
    before = world.compute.disk.pages
    await world.wakes()
    while world.present < PAGES_MIN:  # From where on they would be noted.
        await asyncio.sleep(0)
    await world.sleeps()
    assert world.present < 2 * PAGES and world.compute.disk.pages == before


async def test_a_stop_cuts_it_and_one_that_finds_somebody_lets_it_go_on(world: World) -> None:
    await world.wakes()
    while not world.buffers.batches:
        await asyncio.sleep(0)
    world.becomes(State.STOPPING)
    cut_at = world.present
    await asyncio.sleep(0.01)
    assert world.present == cut_at < 2 * PAGES
    world.becomes(State.RUNNING)
    await world.is_filled()
    assert world.present == 2 * PAGES
    await world.sleeps()


async def test_what_is_noted_more_than_once_in_a_life_is_no_older_for_it(world: World) -> None:
    await world.wakes()
    await world.is_filled()
    for _ in range(5):
        await world.refilling.note()
    await world.sleeps()
    assert world.listed == 2 * PAGES


async def test_it_is_noted_now_and_then_for_whoever_comes_after_a_crash(world: World) -> None:
    world.compute.disk.pages = b""
    await world.wakes()
    await world.is_filled()
    world.uses(TABLE)
    async with asyncio.timeout(5.0):
        while not world.listed:
            await asyncio.sleep(0.01)
    assert world.listed == PAGES
    await world.sleeps()


async def test_a_postgres_that_died_is_filled_again(world: World) -> None:
    await world.wakes()
    await world.is_filled()
    world.becomes(State.RESTARTING)
    world.buffers.lose()
    world.served = world.compute.served()
    world.becomes(State.RUNNING)
    await world.is_filled()
    assert world.present == 2 * PAGES
    await world.sleeps()


async def test_a_table_that_is_gone_or_shorter_is_no_trouble(world: World) -> None:
    world.buffers.files = {OTHER: 100}
    await world.wakes()
    await world.is_filled()
    assert set(world.buffers.usage) == {(OTHER, block) for block in range(100)}
    await world.sleeps()


async def test_a_database_whose_owner_does_not_want_it_is_left_out(world: World) -> None:
    world.buffers.unwanted = {TABLE.database}
    await world.wakes()
    await world.is_filled()
    assert {file for file, _ in world.buffers.usage} == {OTHER}
    await world.sleeps()


async def test_a_list_that_is_none_is_ignored_and_replaced(world: World) -> None:
    world.compute.disk.pages = b"torpor pages 1\n" + b"rubbish"
    await world.wakes()
    await world.is_filled()
    assert world.present == 0
    world.uses(TABLE)
    await world.sleeps()
    assert world.listed == PAGES


async def test_a_volume_that_is_full_or_another_s_fails_nothing(world: World) -> None:
    before = world.compute.disk.pages
    await world.wakes()
    await world.is_filled()
    world.compute.volume.pages.is_full = True
    await world.refilling.note()
    world.compute.volume.pages.is_full = False
    await FakeVolume(world.compute.disk, "c2", []).take(Epoch(99), ("c1",))
    await world.sleeps()
    assert world.compute.disk.pages == before


async def test_a_loader_that_fails_is_the_end_of_it(world: World) -> None:
    await world.wakes()
    world.compute.postgres.is_running = False
    await world.is_filled()
    assert world.present == 0
    await world.refilling.note()
    await world.refilling.end()


async def test_what_can_t_be_read_for_once_stays_on_the_list(world: World) -> None:
    """Of a database that is there; nobody has used it since, and it is not forgotten for that."""
    world.buffers.unreachable = {TABLE.database}
    for _ in range(4):
        await world.wakes()
        await world.is_filled()
        world.uses(OTHER)
        await world.sleeps()
        assert world.listed == 2 * PAGES
    world.buffers.unreachable = set()
    await world.wakes()
    await world.is_filled()
    assert world.present == 2 * PAGES
    await world.sleeps()


async def test_nothing_is_noted_of_a_postgres_that_is_being_stopped(world: World) -> None:
    before = world.compute.disk.pages
    await world.wakes()
    await world.is_filled()
    world.uses(TABLE)
    noting = asyncio.create_task(world.refilling.note())
    await asyncio.sleep(0)
    world.becomes(State.STOPPING)
    await noting
    assert world.compute.disk.pages == before
    await world.refilling.end()


async def test_batches_follow_the_order_of_the_disk(world: World) -> None:
    await world.wakes()
    await world.is_filled()
    parts = [part for batch in world.buffers.batches for part in batch.parts if part.file == TABLE]
    firsts = [first for part in parts for first, _ in part.ranges]
    assert firsts == sorted(firsts) and len(parts) > 1
    await world.sleeps()


@pytest.mark.parametrize("disk_takes_s", [0.0, 0.1])
async def test_a_table_that_is_damaged_keeps_no_other_from_being_loaded(
    world: World, monkeypatch: pytest.MonkeyPatch, disk_takes_s: float
) -> None:
    """Nor where the time of one connection is over when that is known."""
    monkeypatch.setattr(refilling, "CONNECTED_SECONDS_MAX", 0.05)
    world.buffers.damaged_takes_s = disk_takes_s
    index = replace(TABLE, number=TABLE.number + 1)
    world.buffers.files[index] = 10
    await world.wakes()
    await world.is_filled()
    for block in range(10):
        world.buffers.read(index, block)
    world.uses(TABLE)
    await world.sleeps()
    world.buffers.damaged = {index}  # It comes first.
    await world.wakes()
    await world.is_filled()
    assert set(world.buffers.usage) == {(f, page) for f in (TABLE, OTHER) for page in range(PAGES)}
    await world.sleeps()
