"""Connections that have not logged in yet are bounded in number, however fast they come."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace

from support.ports import free_address
from torpor_proxy.adapters.listener import Listener
from torpor_proxy.adapters.streams import PlainStream
from torpor_proxy.ports import Nobody
from torpor_proxy.settings import Settings

OPENING_MAX = 3

BURST = 30


async def test_in_a_burst_the_oldest_give_way() -> None:
    opening: list[str] = []
    came: list[str] = []

    async def open_one(stream: PlainStream, client: str) -> None:
        came.append(client)
        opening.append(client)
        ended = asyncio.Event()
        stream.sink = Watch(ended)
        await ended.wait()
        opening.remove(client)

    port = free_address().port
    listener = Listener(replace(Settings(), opening_max=OPENING_MAX), open_one)
    await listener.listen("127.0.0.1", port)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(BURST)]
    try:
        async with asyncio.timeout(10):
            while len(came) < BURST or len(opening) > OPENING_MAX:
                await asyncio.sleep(0.001)
        newest = {client.getsockname()[1] for client in clients[-OPENING_MAX:]}
        assert {int(name.rpartition(":")[2]) for name in opening} == newest
        for client in clients[:-OPENING_MAX]:
            client.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    finally:
        await listener.close()
        for client in clients:
            client.close()


class Watch(Nobody):
    """Notices the loss of its stream."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def lost(self) -> None:
        self._ended.set()
