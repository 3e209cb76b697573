"""What can wait never crowds an API server, and least of all one that does not answer."""

from __future__ import annotations

import asyncio

import pytest

from torpor_api.failures import Conflict, Unavailable
from torpor_autoscaler.adapters.kubernetes.lanes import LANES, PAUSE_S_MAX, Lanes, NotProvidedYet


async def test_no_more_than_so_many_are_under_way() -> None:
    lanes, ends = Lanes(), asyncio.Event()
    running: set[int] = set()

    async def question(number: int) -> None:
        async with lanes.turn():
            running.add(number)
            await ends.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(3 * LANES):
            group.create_task(question(number))
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(running) == LANES
        ends.set()
    assert len(running) == 3 * LANES


async def test_each_failure_makes_them_slower_and_an_answer_fast_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("torpor_autoscaler.adapters.kubernetes.lanes.asyncio.sleep", sleep)
    lanes = Lanes()
    for _ in range(12):
        with pytest.raises(Unavailable):
            async with lanes.turn():
                raise Unavailable("away")
    assert pauses[:4] == [0.0, 0.1, 0.2, 0.4] and pauses[-1] == PAUSE_S_MAX
    with pytest.raises(NotProvidedYet):
        async with lanes.turn():
            raise NotProvidedYet("no fault of the server's")
    assert pauses[-1] == PAUSE_S_MAX
    with pytest.raises(Conflict):
        async with lanes.turn():
            raise Conflict("written in between")
    with pytest.raises(NotProvidedYet):
        async with lanes.turn():
            raise NotProvidedYet("no reason to be slow")
    async with lanes.turn():
        pass
    assert pauses[-2:] == [0.0, 0.0]
