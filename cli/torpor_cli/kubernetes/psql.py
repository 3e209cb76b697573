"""psql on this machine, connected to a database of a cluster."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence

from torpor_cli.kubernetes.carrying import Dial, carried
from torpor_cli.local.postgres_binaries import installed
from torpor_cli.uri import Connection


def run_psql(connection: Connection, dial: Dial, arguments: Sequence[str]) -> int:
    """Its exit status."""
    program = shutil.which("psql") or installed().program("psql")
    return asyncio.run(_while_running([program, *arguments], connection, dial))


async def _while_running(argv: Sequence[str], connection: Connection, dial: Dial) -> int:
    # Ctrl-C is psql's: it cancels a query with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    async with carried(connection.address.port, dial) as host:
        environment = os.environ | connection.environment() | {"PGHOST": host}
        if own := os.environ.get("PGOPTIONS"):
            environment["PGOPTIONS"] += f" {own}"
        running = await asyncio.create_subprocess_exec(
            *argv,
            env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        return await running.wait()
