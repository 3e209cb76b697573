"""psql on this machine, connected to a database of a cluster.

Its endpoint may be known inside of the cluster only, and psql may have been built without TLS. So
psql connects to a Unix socket in a folder that nobody else can enter, and each of its connections
(a cancel request is one too) is carried to a proxy through the API server, in TLS with the
endpoint's name, which says which database is meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
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


def run_psql(connection: Connection, authority: str, dial: Dial, arguments: Sequence[str]) -> int:
    """Its exit status. ``authority``: PEM of whom the proxy's certificate has to be of."""
    program = shutil.which("psql") or installed().program("psql")
    context = _trusting(authority)
    with tempfile.TemporaryDirectory(prefix="torpor-") as folder:
        port = connection.address.port
        environment = os.environ | {
            "PGHOST": folder,
            "PGPORT": str(port),
            "PGUSER": connection.role,
            "PGPASSWORD": connection.password or "",
            "PGDATABASE": connection.database,
            "PGSSLMODE": "disable",
        }
        carrier = _Carrier(dial, context, connection.address.host)
        ending = carrier.while_running(
            Path(folder) / f".s.PGSQL.{port}", [program, *arguments], environment
        )
        return asyncio.run(ending)


def _trusting(authority: str) -> ssl.SSLContext:
    """The name is not judged: a namespace that is new is in the certificate a minute later, and
    only the operator's own authority is trusted."""
    context = ssl.create_default_context(cadata=authority or None)
    context.check_hostname = False
    context.set_alpn_protocols(["postgresql"])  # TLS from the first byte.
    return context


class _Carrier:
    def __init__(self, dial: Dial, context: ssl.SSLContext, host: str) -> None:
        self._dial = dial
        self._context = context
        self._host = host

    async def while_running(
        self, path: Path, argv: Sequence[str], environment: dict[str, str]
    ) -> int:
        # Ctrl-C is psql's: it cancels a query with it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        async with await asyncio.start_unix_server(self._carry, path, limit=BUFFER_BYTES):
            running = await asyncio.create_subprocess_exec(
                *argv,
                env=environment,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            return await running.wait()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            raw = await asyncio.to_thread(self._dial)
            proxy_reader, proxy_writer = await asyncio.open_connection(
                sock=raw, ssl=self._context, server_hostname=self._host, limit=BUFFER_BYTES
            )
        except (Failure, OSError) as error:
            # psql itself only says that the connection has ended.
            sys.stderr.write(f"torpor: {error}\n")
            writer.close()
            return
        ways = (_flow(reader, proxy_writer), _flow(proxy_reader, writer))
        with contextlib.suppress(OSError):
            await asyncio.gather(*ways)


async def _flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side ends; then the other one is told."""
    try:
        while data := await reader.read(BUFFER_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
