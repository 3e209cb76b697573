"""A port of this machine that leads to one of a pod, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable

from torpor_api.failures import Failure
from torpor_cli.kubernetes.carrying import BUFFER_BYTES, Dial, carry_one
from torpor_cli.local import dashboard
from torpor_cli.local.sockets import Address, free_address

AT_ONCE_MAX = 32
"""Connections; a browser opens six. Each is a WebSocket to the API server."""


def forward(dial: Dial, port: int | None, announce: Callable[[Address], None]) -> None:
    """Returns at Ctrl-C. Raises Refused where ``port`` can't be had; None: a free one."""
    wanted = None if port is None else Address(dashboard.USUAL.host, port)
    listen = (
        dashboard.free(dashboard.USUAL)
        if wanted is None
        else free_address(wanted, "choose another with --port")
    )
    assert listen is not None, "an address was wanted"
    # That is how it is meant to end: without a trace of the stack.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(dial, listen, announce))


async def serve(dial: Dial, listen: Address, announce: Callable[[Address], None]) -> None:
    """Until it is cancelled."""
    open_now = asyncio.Semaphore(AT_ONCE_MAX)

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with open_now:
                await carry_one(dial, reader, writer)
        except (Failure, OSError) as error:
            # The browser itself only says that the connection has ended.
            sys.stderr.write(f"torpor: {error}\n")
        finally:
            writer.close()

    server = await asyncio.start_server(accepted, listen.host, listen.port, limit=BUFFER_BYTES)
    try:
        announce(listen)
        await asyncio.Event().wait()
    finally:
        server.close()
