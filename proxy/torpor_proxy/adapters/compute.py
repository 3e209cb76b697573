"""Connections to the Postgres of a compute."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct

from torpor_api.messages import ComputeAddress
from torpor_proxy.adapters.server_stream import ServerStream
from torpor_proxy.core import wire
from torpor_proxy.ports import BackendLost

log = logging.getLogger(__name__)

CANCEL_SECONDS_MAX = 5.0
"""For a cancel request to be taken; nobody waits for it."""

_CREDENTIALS = struct.Struct("iII")
"""The kernel's ``struct ucred``: process id, user id, group id."""


def socket_path(address: ComputeAddress) -> str:
    """Where Postgres listens in its socket directory."""
    assert address.socket_directory is not None, "computes have Unix sockets on one machine"
    return f"{address.socket_directory}/.s.PGSQL.{address.port}"


class SocketComputes:
    """Computes on this machine: one Unix socket each, where ``peer`` lets the proxy in."""

    async def dial(self, address: ComputeAddress) -> ServerStream:
        loop = asyncio.get_running_loop()
        path = socket_path(address)
        try:
            transport, stream = await loop.create_unix_connection(ServerStream, path)
        except OSError as error:
            raise BackendLost(f"nobody answers at {path}: {error}") from None
        try:
            _refuse_strangers(transport, address)
        except BackendLost:
            stream.abort()
            raise
        return stream

    async def cancel(self, address: ComputeAddress, process_id: int, secret: bytes) -> None:
        with contextlib.suppress(OSError, TimeoutError, BackendLost):
            async with asyncio.timeout(CANCEL_SECONDS_MAX):
                reader, writer = await asyncio.open_unix_connection(socket_path(address))
                with contextlib.closing(writer):
                    _refuse_strangers(writer.transport, address)
                    writer.write(wire.cancel_request(process_id, secret))
                    # The server hangs up when it has sent the signal.
                    await reader.read()


def _refuse_strangers(transport: asyncio.BaseTransport, address: ComputeAddress) -> None:
    """Raises BackendLost where it is not the database's own user that listens.

    What the proxy says to a Postgres it says as anybody who may log in there. The kernel tells
    who listens, and nobody can feign it.
    """
    connection: socket.socket = transport.get_extra_info("socket")
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process_id, user_id, _ = _CREDENTIALS.unpack(packed)
    if address.user_id in (None, user_id):
        return
    path, expected = socket_path(address), address.user_id
    fields = {
        "compute": address.compute,
        "path": path,
        "user_id": user_id,
        "expected": expected,
        "process_id": process_id,
    }
    log.error("stranger_at_socket", extra=fields)
    raise BackendLost(f"at {path} listens user {user_id}, not {expected}")
