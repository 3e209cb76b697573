"""What is applied counts for whoever connects next: AwaitKnown, over real control channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.fakes.town import Town, apply, opened_town
from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_autoscaler import desk
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer

QUIET_S = 0.1
"""What has not been answered after this long is held up, not slow."""


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with opened_town() as opened:
        await opened.start_autoscaler()
        yield opened


class SlowProxy:
    """Takes its time over every piece of news."""

    def __init__(self) -> None:
        self.known: dict[str, m.EndpointInfo] = {}
        self.may_hear = asyncio.Event()

    async def register(self, town: Town) -> None:
        handlers: Handlers = {m.EndpointChanged: self._hear, m.HaveHeard: self._answer}
        peer = await dial(town.settings.listen, handlers)
        town.ending.push_async_callback(peer.close)
        await peer.ask(m.RegisterProxy(proxy="slow"), timeout_s=10)

    async def _hear(self, _: Peer, event: m.EndpointChanged) -> None:
        await self.may_hear.wait()
        self.known[event.endpoint.name] = event.endpoint

    async def _answer(self, _: Peer, asked: m.HaveHeard) -> m.Done:
        return m.Done()


def awaiting(town: Town, generation: int) -> asyncio.Task[m.Done]:
    return asyncio.create_task(town.person(m.AwaitKnown(name="shop", generation=generation)))


async def is_held_up(task: asyncio.Task[m.Done]) -> bool:
    await asyncio.wait({task}, timeout=QUIET_S)
    return not task.done()


async def test_it_is_answered_when_every_proxy_has_heard(town: Town) -> None:
    fast, slow = await town.register(), SlowProxy()
    await slow.register(town)
    known = awaiting(town, 1)
    assert await is_held_up(known)
    apply(town)
    await town.until("one proxy is told", lambda: "shop" in fast.gates)
    assert await is_held_up(known)
    slow.may_hear.set()
    await known
    assert slow.known["shop"].facts.roles


async def test_of_an_awake_one_the_compute_has_carried_it_out(town: Town) -> None:
    apply(town)
    agent = await town.start_agent()
    proxy = await town.register()
    await awaiting(town, 1)
    await proxy.attach(proxy.connect("shop"))
    assert agent.volume is not None and agent.volume.generation == 1
    changed = apply(town, roles=[{"name": "app"}, {"name": "extra"}])
    assert changed.metadata.generation == 2
    await awaiting(town, 2)
    assert agent.volume.generation == 2


async def test_what_was_known_before_is_answered_at_once(town: Town) -> None:
    apply(town)
    for _ in range(2):
        await awaiting(town, 1)


async def test_it_is_not_awaited_for_ever(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "TOLD_S_MAX", QUIET_S)
    apply(town)
    with pytest.raises(Unavailable, match="shop is not known"):
        await awaiting(town, 2)


async def test_a_proxy_that_does_not_say_so_is_no_success(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "HEARD_S_MAX", QUIET_S)
    slow = SlowProxy()
    await slow.register(town)
    apply(town)
    with pytest.raises(Unavailable, match="HaveHeard"):
        await awaiting(town, 1)
    slow.may_hear.set()
