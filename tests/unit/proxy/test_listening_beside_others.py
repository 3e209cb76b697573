"""Sessions that listen in one proxy, while those of others notify; the test plays the server."""

from __future__ import annotations

import asyncio

import pytest

from support.fakes.session import state
from torpor_proxy.executor.host import State
from unit.proxy.test_listening_sessions import Client, parked


async def resting(client: Client) -> None:
    """All gates are closed."""
    rest = asyncio.create_task(client.host.listeners.rest())
    await client.host.settle()
    assert await rest and client.host.listeners.connections == 0


async def on_the_next_compute(client: Client) -> None:
    """Behind the gate: nobody can attach to it yet."""
    client.host.epoch += 1
    start = asyncio.create_task(client.host.listeners.start(client.host.epoch))
    await client.host.settle()
    await start


async def test_what_another_proxy_notifies_first_on_the_next_compute_is_heard() -> None:
    client = await parked()
    await client.notify()
    client.host.is_gate_open = False
    await resting(client)
    client.read()
    assert client.heard == ["0"]
    await on_the_next_compute(client)
    client.host.listeners.opened(client.host.epoch, is_in_time=True)
    client.host.is_gate_open = True
    client.host.last_use_elsewhere = float("inf")
    await client.notify()
    await client.finish()
    assert client.heard == ["0", "1"] and client.errors == []


@pytest.mark.parametrize("is_used", [False, True])
@pytest.mark.parametrize("comes", ["never", "late", "by itself"])
async def test_who_does_not_listen_before_it_is_opened_asks_what_was_missed(
    comes: str, is_used: bool
) -> None:
    """``comes``: that it is opened is heard never, behind the opening, or not at all."""
    client = await parked()
    client.host.is_gate_open = False
    await resting(client)
    if comes == "late":
        await on_the_next_compute(client)
    client.host.is_gate_open = True
    if is_used:
        client.host.last_use_elsewhere = asyncio.get_running_loop().time()
    if comes != "by itself":
        client.host.listeners.opened(client.host.epoch, is_in_time=False)
    await client.host.settle()
    await client.ask()
    await client.finish()
    if is_used:
        assert client.errors == ["57P01"] and state(client.session) is State.ENDED
        return
    await client.notify()
    await client.finish()
    assert client.heard == ["0"] and client.errors == []


async def test_a_loss_is_judged_by_what_sessions_elsewhere_have_done() -> None:
    client = await parked()
    client.host.last_use_elsewhere = asyncio.get_running_loop().time() + 1
    client.listener.vanishes()
    await client.finish()
    assert client.errors == ["57P01"] and state(client.session) is State.ENDED


async def test_who_is_in_doubt_when_the_gates_close_is_so_on_the_next_compute() -> None:
    client = await parked()
    client.host.is_gate_open = False
    client.listener.vanishes()
    rest = asyncio.create_task(client.host.listeners.rest())
    await client.host.settle()
    assert await rest
    client.host.last_use_elsewhere = asyncio.get_running_loop().time() + 1
    await on_the_next_compute(client)
    client.read()
    assert client.errors == ["57P01"]
