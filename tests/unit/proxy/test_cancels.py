"""Cancel requests for sessions of this proxy and of others."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from torpor_api.failures import Unavailable
from torpor_proxy.core.startup import CancelRequest
from torpor_proxy.executor.cancels import ASKED_AT_ONCE, Cancels

OURS, THEIRS = CancelRequest(7, b"ours"), CancelRequest(7, b"theirs")


class World:
    """The autoscaler answers when the test says so."""

    def __init__(self) -> None:
        self.here: list[bytes] = []
        self.elsewhere: list[bytes] = []
        self.answers = asyncio.Event()
        self.failure: Unavailable | None = None
        self.cancels = Cancels(self._here, cast("Any", self))

    async def _here(self, process_id: int, secret: bytes) -> bool:
        self.here.append(secret)
        return secret == OURS.secret

    async def cancel(self, process_id: int, secret: bytes, *, timeout_s: float) -> bool:
        self.elsewhere.append(secret)
        await self.answers.wait()
        if self.failure is not None:
            raise self.failure
        return True


async def test_only_a_key_that_is_not_known_here_is_asked_about() -> None:
    world = World()
    await world.cancels.carry_out(OURS)
    assert (world.here, world.elsewhere) == ([b"ours"], [])
    asked = asyncio.create_task(world.cancels.carry_out(THEIRS))
    await asyncio.sleep(0)
    assert world.elsewhere == [b"theirs"] and not asked.done()
    world.answers.set()
    await asked


async def test_whoever_sends_many_keys_that_nobody_knows_is_not_passed_on() -> None:
    world = World()
    flood = [asyncio.create_task(world.cancels.carry_out(THEIRS)) for _ in range(100)]
    await asyncio.sleep(0)
    assert len(world.elsewhere) == ASKED_AT_ONCE
    await world.cancels.carry_out(OURS)
    world.answers.set()
    await asyncio.gather(*flood)
    await world.cancels.carry_out(THEIRS)
    assert len(world.elsewhere) == ASKED_AT_ONCE + 1


@pytest.mark.parametrize("times", [1, ASKED_AT_ONCE + 1])
async def test_an_autoscaler_that_is_away_harms_nobody(times: int) -> None:
    world = World()
    world.failure = Unavailable("nobody answers")
    world.answers.set()
    for _ in range(times):
        await world.cancels.carry_out(THEIRS)
    assert len(world.elsewhere) == times
