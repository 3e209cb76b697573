"""Serves the dashboard while the autoscaler decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator

from aiohttp import web

from torpor_api import messages as m
from torpor_autoscaler.dashboard.desk import DatabaseDesk, WatchedFleet
from torpor_autoscaler.dashboard.door import LINK_S_MAX, Door
from torpor_autoscaler.dashboard.files import page_files
from torpor_autoscaler.dashboard.live import Live
from torpor_autoscaler.dashboard.web import Pages
from torpor_autoscaler.settings import OfDashboard

log = logging.getLogger(__name__)

CONNECTIONS_MAX = 128
"""Four of each viewer. One more is hung up on: a file is open for each, and agents need theirs."""

END_S_MAX = 2.0
"""For answers under way when the autoscaler ends."""


@contextlib.asynccontextmanager
async def serving(
    wanted: OfDashboard, desk: DatabaseDesk, fleet: WatchedFleet
) -> AsyncIterator[None]:
    """From now on ``fleet`` gives out links. Raises OSError where it can't listen, or the key
    can't be read."""
    key = secrets.token_bytes() if wanted.key is None else wanted.key.read_bytes()
    door, live = Door(key, wanted.hosts, time.time), Live(fleet, time.monotonic)
    pages = Pages(desk, fleet, live, door, page_files())
    # A browser that hangs up withdraws its wish, as a person's `torpor suspend` does.
    runner = web.AppRunner(
        pages.app, access_log=None, handler_cancellation=True, shutdown_timeout=END_S_MAX
    )
    await runner.setup()
    try:
        server = await _listening(runner, wanted)
        fleet.changed, fleet.link = live.touched, lambda: _link(wanted, door)
        log.info("dashboard_served", extra={"address": str(wanted.listen)})
        try:
            yield
        finally:
            # Not waited for: it ends with its connections, which the runner ends.
            server.close()
            pages.close()
    finally:
        await runner.cleanup()
        await live.close()


async def _listening(runner: web.AppRunner, wanted: OfDashboard) -> asyncio.Server:
    server = runner.server
    assert server is not None, "it was set up"

    def accept() -> asyncio.BaseProtocol:
        return server() if len(server.connections) < CONNECTIONS_MAX else _HangUp()

    loop, listen = asyncio.get_running_loop(), wanted.listen
    return await loop.create_server(accept, listen.host, listen.port)


class _HangUp(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _link(wanted: OfDashboard, door: Door) -> m.DashboardLink:
    return m.DashboardLink(
        host=wanted.listen.host,
        port=wanted.listen.port,
        hosts=wanted.hosts,
        link=door.link(),
        valid_s=LINK_S_MAX,
    )
