"""A session's way through the gate, where what a wake brings does not open it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from torpor_api.identity import SessionId
from torpor_api.messages import Awake, ComputeAddress, EndpointInfo
from torpor_api.phases import Phase
from torpor_proxy.core.routing import Route
from torpor_proxy.executor.arrival import Steps
from torpor_proxy.executor.host import Identity
from torpor_proxy.executor.way import RETRY_SECONDS_MAX, Way
from torpor_proxy.settings import Settings

IDENTITY = Identity(SessionId(1), Route("shop", "app", "app"), "::1", has_long_key=False)


class Room:
    """Of which nothing is asked here."""

    def serve(self, epoch: int, limit: int) -> None:
        pass


class Fleet:
    """Whose autoscaler always answers the same."""

    def __init__(self, epoch: int) -> None:
        self.asked = 0
        self.answer = EndpointInfo(
            name="shop",
            phase=Phase.ACTIVE,
            epoch=epoch,
            address=ComputeAddress(socket_directory="/run/c1"),
        )

    async def wake(self, name: str, cause: str, lost_epoch: int, *, timeout_s: float) -> Awake:
        self.asked += 1
        await asyncio.sleep(0)
        return Awake(endpoint=self.answer)


def way(fleet: Fleet) -> Way:
    found = Way("shop", Settings(), cast("Any", fleet), cast("Any", None), cast("Any", Room()))
    found.told(EndpointInfo(name="shop", phase=Phase.SUSPENDED, epoch=7))
    return found


async def test_an_answer_that_opens_the_gate_is_asked_for_once() -> None:
    fleet = Fleet(epoch=8)
    assert await way(fleet)._until_open("a query", Steps())
    assert fleet.asked == 1


async def test_one_that_is_not_believed_is_asked_for_again_with_growing_pauses() -> None:
    fleet = Fleet(epoch=6)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(RETRY_SECONDS_MAX):
            await way(fleet)._until_open("a query", Steps())
    assert 2 <= fleet.asked < 10


async def test_what_is_heard_meanwhile_ends_the_pause() -> None:
    fleet = Fleet(epoch=6)
    found = way(fleet)
    waiting = asyncio.create_task(found._until_open("a query", Steps()))
    while not fleet.asked:
        await asyncio.sleep(0)
    found.told(fleet.answer.model_copy(update={"epoch": 8}))
    async with asyncio.timeout(RETRY_SECONDS_MAX):
        await waiting
