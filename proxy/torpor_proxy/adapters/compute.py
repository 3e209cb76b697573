"""Connections to the Postgres of a compute."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from torpor_api.messages import ComputeAddress
from torpor_proxy.adapters.streams import PlainStream
from torpor_proxy.core import wire
from torpor_proxy.ports import BackendLost

CANCEL_SECONDS_MAX = 5.0
"""For a cancel request to be taken; nobody waits for it."""


def socket_path(address: ComputeAddress) -> str:
    """Where Postgres listens in its socket directory."""
    assert address.socket_directory is not None, "computes have Unix sockets on one machine"
    return str(Path(address.socket_directory) / f".s.PGSQL.{address.port}")


class SocketComputes:
    """Computes on this machine: one Unix socket each, where ``peer`` lets the proxy in."""

    async def dial(self, address: ComputeAddress) -> PlainStream:
        loop = asyncio.get_running_loop()
        path = socket_path(address)
        try:
            _, stream = await loop.create_unix_connection(PlainStream, path)
        except OSError as error:
            raise BackendLost(f"nobody answers at {path}: {error}") from None
        return stream

    async def cancel(self, address: ComputeAddress, process_id: int, secret: bytes) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS_MAX):
                reader, writer = await asyncio.open_unix_connection(socket_path(address))
                writer.write(wire.cancel_request(process_id, secret))
                # The server hangs up when it has sent the signal.
                await reader.read()
                writer.close()
