"""A listener whose socket has newcomers at the worst moments."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

from support.certificates import Authority
from support.ports import free_address
from torpor_channel.admission import Admission
from torpor_channel.tls import COMPUTE, Identity
from torpor_channel.tls_listener import TlsListener

SECONDS_MAX = 30.0


async def test_who_comes_in_the_turn_in_which_it_closes_is_hung_up_on(tmp_path: Path) -> None:
    """The kernel has let it in, and the loop is about to say so."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    identity = Identity(Authority().folder(tmp_path / "own", COMPUTE))
    address = free_address()

    async def accept(*_: object) -> None:
        raise AssertionError("nobody was let in")

    listener = TlsListener(Admission(identity, {}), accept)
    listener.listen(address)
    await asyncio.sleep(0)
    with socket.create_connection((address.host, address.port), SECONDS_MAX) as client:
        await asyncio.sleep(0)
        await listener.close()
        await listener.ended()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.to_thread(client.recv, 1) == b""
    assert complaints == []
