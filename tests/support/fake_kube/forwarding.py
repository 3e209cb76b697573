"""Port forwarding of the fake API server: one port of a pod over a WebSocket.

The protocol is ``v4.channel.k8s.io``: each message begins with its channel, 0 for the port's bytes
and 1 for its error, and the first one on either channel is the port's number.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct

from aiohttp import WSMsgType, web

from torpor_channel.address import TcpAddress

PROTOCOL = "v4.channel.k8s.io"

BUFFER_BYTES = 65536

DATA, ERROR = b"\x00", b"\x01"


class Forwarding:
    """Which port of which pod is really where."""

    def __init__(self) -> None:
        self.ports: dict[tuple[str, str, int], TcpAddress] = {}
        """By namespace, pod and port."""

    def add_routes(self, app: web.Application) -> None:
        path = "/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        app.router.add_get(path, self._forward)

    async def _forward(self, request: web.Request) -> web.WebSocketResponse:
        where, port = request.match_info, int(request.query["ports"])
        socket = web.WebSocketResponse(protocols=(PROTOCOL,))
        await socket.prepare(request)
        for channel in (DATA, ERROR):
            await socket.send_bytes(channel + struct.pack("<H", port))
        address = self.ports.get((where["namespace"], where["pod"], port))
        if address is None:
            await socket.send_bytes(ERROR + b"connection refused")
            return socket
        reader, writer = await asyncio.open_connection(address.host, address.port)
        back = asyncio.create_task(_to_client(reader, socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[:1] == DATA:
                    writer.write(message.data[1:])
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            writer.close()
        return socket


async def _to_client(reader: asyncio.StreamReader, socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(BUFFER_BYTES):
            await socket.send_bytes(DATA + data)
    await socket.close()
