"""A clock that is set is noticed, whichever way; one that is kept right is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from torpor_autoscaler.wall_clock import WallClock

DEADLINE_S = 10.0


class SetClock:
    """A wall clock that is so much ahead of the other one, which stands still."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.looks = 0
        self.jumped = asyncio.Event()

    def now(self) -> float:
        return 100.0

    def wall_s(self) -> float:
        self.looks += 1
        return 1_800_000_000.0 + self.ahead_s

    async def look_again(self, times: int = 3) -> None:
        until = self.looks + times
        async with asyncio.timeout(DEADLINE_S):
            while self.looks < until:
                await asyncio.sleep(0)

    async def set(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s
        async with asyncio.timeout(DEADLINE_S):
            await self.jumped.wait()
        self.jumped.clear()


@pytest.fixture
async def clock() -> AsyncIterator[SetClock]:
    clock = SetClock()
    watch = WallClock(clock, clock.jumped.set, every_s=0.001)
    watch.start()
    await clock.look_again(1)
    yield clock
    await watch.close()


async def test_hours_both_ways(clock: SetClock) -> None:
    await clock.set(7200.0)
    await clock.set(-7200.0)
    await clock.look_again()
    assert not clock.jumped.is_set()


async def test_small_steps_count_together(clock: SetClock) -> None:
    clock.ahead_s = 0.6
    await clock.look_again()
    assert not clock.jumped.is_set()
    await clock.set(1.2)


async def test_one_that_was_never_begun_can_be_closed() -> None:
    await WallClock(SetClock(), lambda: None).close()
