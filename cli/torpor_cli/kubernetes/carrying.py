"""Clients on this machine, connected to a database of a cluster.

Its endpoint may be known inside of the cluster only. So clients connect to a Unix socket in a
folder that nobody else can enter, and each connection (a cancel request is one too) is carried to a
proxy through the API server, in whose TLS it travels: as with `kubectl port-forward`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from torpor_api.failures import Failure

BUFFER_BYTES = 256 * 1024

Dial = Callable[[], socket.socket]
"""A fresh connection to a pod's port; blocks."""


@contextlib.asynccontextmanager
async def carried(port: int, dial: Dial) -> AsyncIterator[str]:
    """The folder of the socket, which is the host for libpq with that port."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await carry_one(dial, reader, writer)
        except (Failure, OSError) as error:
            # The client itself only hears that the connection has ended.
            sys.stderr.write(f"torpor: {error}\n")
        except asyncio.CancelledError:
            pass  # The client has ended, and with it everything that it had open.
        finally:
            writer.close()

    with tempfile.TemporaryDirectory(prefix="torpor-") as folder:
        path = Path(folder) / f".s.PGSQL.{port}"
        async with await asyncio.start_unix_server(carry, path, limit=BUFFER_BYTES):
            yield folder


async def carry_one(dial: Dial, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, until either side ends. Raises Failure where the pod is not reached."""
    raw = await asyncio.to_thread(dial)
    from_proxy, to_proxy = await asyncio.open_connection(sock=raw, limit=BUFFER_BYTES)
    with contextlib.suppress(OSError):
        await asyncio.gather(_flow(reader, to_proxy), _flow(from_proxy, writer))


async def _flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side ends; then the other one is told."""
    try:
        while data := await reader.read(BUFFER_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
