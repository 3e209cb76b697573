"""Chaos: how often a database is moved, and what happens when it can't be."""

from __future__ import annotations

import asyncio

from torpor_api.failures import Busy, Failure
from torpor_proxy.executor.restarts import PATIENCE_SECONDS, Restarts


class Fleet:
    """Answers a switchover when the test says so, and as it says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []
        self.answers: asyncio.Queue[Failure | None] = asyncio.Queue()

    async def switch_over(self, name: str, *, patience_s: float) -> None:
        self.asked.append((name, patience_s))
        answer = await self.answers.get()
        if answer is not None:
            raise answer


async def settled(fleet: Fleet, answer: Failure | None = None) -> None:
    """Answer what is asked, and let it be heard."""
    await asyncio.sleep(0)
    fleet.answers.put_nowait(answer)
    for _ in range(3):
        await asyncio.sleep(0)


def restarts(every: int) -> tuple[Fleet, Restarts]:
    fleet = Fleet()
    return fleet, Restarts("shop", every, fleet)  # type: ignore[arg-type]


async def test_it_is_moved_after_so_many_parks_and_again() -> None:
    fleet, counted = restarts(3)
    for _ in range(2):
        counted.parked()
    await asyncio.sleep(0)
    assert fleet.asked == []
    counted.parked()
    await settled(fleet)
    assert fleet.asked == [("shop", PATIENCE_SECONDS)]
    for _ in range(2):
        counted.parked()
    await asyncio.sleep(0)
    assert len(fleet.asked) == 1
    counted.parked()
    await settled(fleet)
    assert len(fleet.asked) == 2


async def test_parks_on_the_way_begin_no_second_one() -> None:
    fleet, counted = restarts(1)
    counted.parked()
    await asyncio.sleep(0)
    counted.parked()
    await settled(fleet)
    assert len(fleet.asked) == 1


async def test_a_refused_one_is_due_again_at_the_next_park() -> None:
    fleet, counted = restarts(3)
    for _ in range(3):
        counted.parked()
    await settled(fleet, Busy("session 3 holds advisory lock 42"))
    counted.parked()
    await settled(fleet)
    assert len(fleet.asked) == 2


async def test_without_a_number_there_are_none() -> None:
    fleet, counted = restarts(0)
    for _ in range(10):
        counted.parked()
    await asyncio.sleep(0)
    assert fleet.asked == []
