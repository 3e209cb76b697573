"""When a compute is sampled, and when it is left alone."""

from __future__ import annotations

import asyncio

from support.fakes.compute import FakeCompute
from support.fakes.sql import FakeSampleSql
from torpor_api.failures import Unavailable
from torpor_api.identity import ComputeId
from torpor_api.messages import ComputeSample, Event
from torpor_compute.core.claim import Claim
from torpor_compute.core.lifecycle import State
from torpor_compute.core.working_set import SeenPage
from torpor_compute.sampling import Sampling

EVERY_S = 0.002

CLAIM = Claim(ComputeId("c1"), "shop", 7)


class Watched:
    """A Postgres that runs in memory, and somebody who watches it or does not."""

    def __init__(self, *, is_watched: bool = True, may_look: bool = True) -> None:
        self.compute = FakeCompute()
        self.compute.postgres.is_running = True
        self.is_watched = is_watched
        self.may_look = may_look
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self.sampling = Sampling(
            self.compute.postgres,
            self.told.put_nowait,
            lambda: self.is_watched,
            every_s=EVERY_S,
            may_look=lambda: self.may_look,
        )

    def runs(self) -> None:
        """Anew, each time."""
        self.sampling.became(State.RUNNING, CLAIM, self.compute.served())

    async def sample(self) -> ComputeSample:
        async with asyncio.timeout(5.0):
            told = await self.told.get()
        assert isinstance(told, ComputeSample)
        return told

    async def is_silent(self) -> bool:
        """For as long as several samples would have taken."""
        while not self.told.empty():
            self.told.get_nowait()
        await asyncio.sleep(10 * EVERY_S)
        return self.told.empty()


async def test_samples_are_told_again_and_again() -> None:
    world = Watched()
    world.runs()
    first, second = await world.sample(), await world.sample()
    assert (first.database, first.epoch) == ("shop", 7)
    assert second.at_s - first.at_s >= EVERY_S
    assert first.postgres is not None and first.use.memory_bytes > 0
    assert (first.shared_buffers_bytes, first.working_set_bytes) == (128 << 20, {})
    await world.sampling.end()


async def test_nothing_is_asked_where_nobody_watches() -> None:
    world = Watched(is_watched=False)
    world.runs()
    assert await world.is_silent()
    world.is_watched = True
    world.sampling.watched()
    await world.sample()
    world.is_watched = False
    async with asyncio.timeout(5.0):
        while not await world.is_silent():  # The one that was under way.
            pass
    await world.sampling.end()


async def test_nothing_is_asked_of_one_that_is_to_stop() -> None:
    world = Watched()
    world.runs()
    await world.sample()
    world.sampling.became(State.STOPPING, CLAIM, world.compute.served())
    assert await world.is_silent()
    world.runs()  # It was found busy.
    await world.sample()
    await world.sampling.end()


async def test_a_postgres_that_does_not_answer_leaves_the_rest_of_the_sample() -> None:
    world = Watched()
    world.runs()
    await world.sample()
    world.compute.postgres.is_running = False
    while (sample := await world.sample()).postgres is not None:
        pass
    assert sample.use.memory_bytes > 0
    world.compute.postgres.is_running = True
    while (await world.sample()).postgres is None:
        pass
    await world.sampling.end()


class NobodyFollows(FakeSampleSql):
    """The pages in shared buffers can't be told."""

    async def followed_pages(self, one_in: int) -> tuple[SeenPage, ...]:
        raise Unavailable("not now")


async def test_a_look_that_fails_leaves_what_postgres_counts() -> None:
    world = Watched()
    sql = world.compute.sql_of()
    sql.samples = NobodyFollows(world.compute, world.compute.sql_of()._server)
    world.sampling.became(State.RUNNING, CLAIM, world.compute.served(sql))
    sample = await world.sample()
    assert sample.postgres is not None and sample.working_set_bytes == {}
    await world.sampling.end()


async def test_nobody_looks_at_pages_while_they_are_brought_back() -> None:
    """Each of them would seem to be in use."""
    world = Watched(may_look=False)
    world.runs()
    assert (await world.sample()).shared_buffers_bytes is None
    world.may_look = True
    while (await world.sample()).shared_buffers_bytes is None:
        pass
    await world.sampling.end()


async def test_the_next_postgres_is_asked_anew() -> None:
    world = Watched()
    old = world.compute.sql_of()
    world.sampling.became(State.RUNNING, CLAIM, world.compute.served(old))
    await world.sample()
    await old.close()
    world.sampling.became(State.RESTARTING, CLAIM, world.compute.served(old))
    world.runs()
    while (await world.sample()).postgres is None:
        pass
    await world.sampling.end()


async def test_an_agent_that_ends_samples_no_more() -> None:
    world = Watched()
    world.runs()
    await world.sample()
    await world.sampling.end()
    world.runs()
    assert await world.is_silent()
