"""The contract of a database's volume, as agents take it: ``Volume``."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from support.fakes.files import Disk, FakeVolume
from torpor_api.failures import DataDamaged, Failure, Holder, NotFenced, StaleEpoch
from torpor_api.identity import ComputeId, Epoch
from torpor_compute.adapters.volume import FileVolume
from torpor_compute.ports import Taken, Volume

TAKERS = 20
"""That race for one volume."""


class World(Protocol):
    """A volume that nobody has ever taken."""

    def agent(self, compute: str) -> Volume:
        """As this compute's agent sees it."""

    def lose_data(self) -> None:
        """The data directory is not there any more."""


class FakeWorld:
    def __init__(self, folder: Path) -> None:
        self._disk = Disk(records=[], generation=0, is_clean=False)

    def agent(self, compute: str) -> Volume:
        return FakeVolume(self._disk, compute, [])

    def lose_data(self) -> None:
        self._disk.is_there = False


class FileWorld:
    def __init__(self, folder: Path) -> None:
        (folder / "ownership").mkdir()
        (folder / "data").mkdir()
        (folder / "data" / "PG_VERSION").write_text("18\n")
        self._folder = folder

    def agent(self, compute: str) -> Volume:
        return FileVolume(self._folder, ComputeId(compute), "18")

    def lose_data(self) -> None:
        shutil.rmtree(self._folder / "data")


WORLDS: dict[str, Callable[[Path], World]] = {"fake": FakeWorld, "files": FileWorld}


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return WORLDS[request.param](tmp_path)


async def take(volume: Volume, epoch: int, *fenced: str) -> Taken:
    return await volume.take(Epoch(epoch), fenced)


async def test_of_a_new_one_nothing_is_known(world: World) -> None:
    taken = await take(world.agent("c1"), 1)
    assert taken == Taken(facts_are_stored=False, generation=0, was_stopped_cleanly=False)


@pytest.mark.parametrize("facts_exported", [True, False])
async def test_what_was_released_is_taken_by_the_next(world: World, facts_exported: bool) -> None:
    first, second = world.agent("c1"), world.agent("c2")
    await take(first, 1)
    await first.flush()
    for _ in range(2):
        await first.release(facts_exported=facts_exported)
    assert (await take(second, 2)).facts_are_stored is facts_exported
    await second.check_ours()
    with pytest.raises(StaleEpoch):
        await first.check_ours()


async def test_what_is_held_is_not_taken(world: World) -> None:
    first, second = world.agent("c1"), world.agent("c2")
    await take(first, 5)
    for fenced in ((), ("c2", "c3")):
        with pytest.raises(NotFenced, match="c1") as refused:
            await take(second, 6, *fenced)
        assert refused.value.holder == Holder(5, "c1")
    await first.check_ours()
    await first.release(facts_exported=True)
    assert (await take(second, 6)).facts_are_stored


async def test_the_fencer_s_word_of_its_holder_lets_it_be_taken(world: World) -> None:
    first, second = world.agent("c1"), world.agent("c2")
    await take(first, 5)
    assert not (await take(second, 6, "c3", "c1")).facts_are_stored
    with pytest.raises(StaleEpoch):
        await first.check_ours()


@pytest.mark.parametrize("epoch", [1, 4, 5])
async def test_an_epoch_that_is_over_is_refused(world: World, epoch: int) -> None:
    first = world.agent("c1")
    await take(first, 5)
    for _ in range(2):
        with pytest.raises(StaleEpoch):
            await take(world.agent("c2"), epoch, "c1")
        await first.release(facts_exported=True)
    await first.check_ours()


@pytest.mark.parametrize("epochs", [[1] * TAKERS, range(1, TAKERS + 1)], ids=["same", "each"])
async def test_of_many_takers_at_most_one_has_it(world: World, epochs: list[int]) -> None:
    agents = [world.agent(f"c{number}") for number in range(TAKERS)]
    taking = [take(agent, epoch) for agent, epoch in zip(agents, epochs, strict=True)]
    outcomes = await asyncio.gather(*taking, return_exceptions=True)
    takers = [a for a, taken in zip(agents, outcomes, strict=True) if isinstance(taken, Taken)]
    assert len(takers) <= 1
    for agent in takers:
        await agent.check_ours()
    assert all(isinstance(each, Taken | Failure) for each in outcomes)


async def test_the_generation_is_remembered_over_computes(world: World) -> None:
    first, second = world.agent("c1"), world.agent("c2")
    await take(first, 1)
    for generation in (2, 7):
        await first.note_applied(generation)
    await first.release(facts_exported=True)
    assert (await take(second, 2)).generation == 7


async def test_without_its_data_it_is_not_taken(world: World) -> None:
    first = world.agent("c1")
    await take(first, 1)
    await first.release(facts_exported=True)
    world.lose_data()
    with pytest.raises(DataDamaged):
        await take(world.agent("c2"), 2)
    await first.check_ours()


async def test_the_list_of_pages_is_there_for_the_next_compute(world: World) -> None:
    first, second = world.agent("c1"), world.agent("c2")
    await take(first, 1)
    assert await first.pages.read() == b""
    for content in (b"\0 long ago", b"\0 now"):
        await first.pages.write(content)
    await first.release(facts_exported=True)
    await take(second, 2)
    assert await second.pages.read() == b"\0 now"


async def test_whoever_has_lost_the_volume_writes_no_list(world: World) -> None:
    first, second = world.agent("c1"), world.agent("c2")
    await take(first, 1)
    await take(second, 2, "c1")
    await second.pages.write(b"the second's")
    with pytest.raises(StaleEpoch):
        await first.pages.write(b"the first's")
    assert await second.pages.read() == b"the second's"
