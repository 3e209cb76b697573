"""psql on this machine, connected to a database of a cluster.

Its endpoint may be known inside of the cluster only. So psql connects to a Unix socket in a folder
that nobody else can enter, and each of its connections (a cancel request is one too) is carried to
a proxy through the API server, in whose TLS it travels: as with `kubectl port-forward`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from torpor_api.failures import Failure
from torpor_cli.local.postgres_binaries import installed
from torpor_cli.uri import Connection

BUFFER_BYTES = 256 * 1024

Dial = Callable[[], socket.socket]
"""A fresh connection to a proxy's port."""


def run_psql(connection: Connection, dial: Dial, arguments: Sequence[str]) -> int:
    """Its exit status."""
    program = shutil.which("psql") or installed().program("psql")
    with tempfile.TemporaryDirectory(prefix="torpor-") as folder:
        environment = os.environ | connection.environment() | {"PGHOST": folder}
        if own := os.environ.get("PGOPTIONS"):
            environment["PGOPTIONS"] += f" {own}"
        path = Path(folder) / f".s.PGSQL.{connection.address.port}"
        return asyncio.run(_while_running([program, *arguments], environment, path, dial))


async def _while_running(
    argv: Sequence[str], environment: dict[str, str], path: Path, dial: Dial
) -> int:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _carry(dial, reader, writer)
        except (Failure, OSError) as error:
            # psql itself only says that the connection has ended.
            sys.stderr.write(f"torpor: {error}\n")
        except asyncio.CancelledError:
            pass  # psql has ended, and with it everything that it had open.
        finally:
            writer.close()

    # Ctrl-C is psql's: it cancels a query with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    async with await asyncio.start_unix_server(carry, path, limit=BUFFER_BYTES):
        running = await asyncio.create_subprocess_exec(
            *argv,
            env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        return await running.wait()


async def _carry(dial: Dial, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
