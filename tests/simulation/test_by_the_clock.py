"""Schedules through a day in virtual time, with the real shells: also when the clock is set."""

from __future__ import annotations

import asyncio
from random import Random

from simulation import virtual_time
from simulation.town import Town
from torpor_api.phases import Phase
from torpor_autoscaler.wall_clock import LOOK_S

MIDNIGHT = 1_799_971_200.0
"""UTC."""

HOUR, WINDOW_S = 3600.0, 600.0

SPEC = {"idleTimeout": "1s", "schedules": [{"cron": "0 * * * *", "duration": "10m"}]}

LATE_S = LOOK_S + 5.0
"""Until a jump is noticed, and for a wake, or a sleep, with the samples that it rests on."""


class SetClock:
    """A wall clock that somebody sets."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_s(self) -> float:
        return MIDNIGHT + self.now() + self.ahead_s


class Day:
    """One database in a town whose clock we set."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.town = Town(Random(0))
        self.town.clock = self.clock  # type: ignore[assignment]
        self.town.life = self.town.new_life()
        self.town.cluster.apply({"metadata": {"name": "shop"}, "spec": SPEC})
        self.town.begin()

    def is_awake(self) -> bool:
        return self.town.cluster.resources["shop"].status.phase is Phase.ACTIVE

    @property
    def epoch(self) -> int:
        return self.town.cluster.resources["shop"].status.epoch

    async def until(self, wall_s: float) -> None:
        await asyncio.sleep(wall_s - self.clock.wall_s())

    async def end(self) -> None:
        await self.town.life.end()
        await self.town.network.close()


def test_windows_of_hours() -> None:
    async def story() -> None:
        day = Day()
        begin = MIDNIGHT + HOUR
        for hour in range(4):
            await day.until(begin + hour * HOUR - 30.0)
            assert not day.is_awake(), hour
            await day.until(begin + hour * HOUR)
            assert day.is_awake(), hour
            await day.until(begin + hour * HOUR + WINDOW_S - 1.0)
            assert day.is_awake(), hour
            await day.until(begin + hour * HOUR + WINDOW_S + LATE_S)
            assert not day.is_awake(), hour
            assert day.epoch == hour + 1
        await day.end()

    virtual_time.run(story(), lambda: None)


def test_a_clock_that_is_set_by_hours_both_ways() -> None:
    async def story() -> None:
        day, random = Day(), Random(7)
        await day.until(MIDNIGHT + HOUR)
        for _ in range(16):
            day.clock.ahead_s += random.uniform(-6 * HOUR, 6 * HOUR)
            await asyncio.sleep(LATE_S)
            into_s = day.clock.wall_s() % HOUR
            if LATE_S < into_s < WINDOW_S:
                assert day.is_awake(), into_s
            elif WINDOW_S + LATE_S < into_s < HOUR - LATE_S:
                assert not day.is_awake(), into_s
            await asyncio.sleep(random.uniform(0.0, HOUR))
        assert day.epoch > 2
        await day.end()

    virtual_time.run(story(), lambda: None)
