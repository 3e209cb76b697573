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
from torpor_autoscaler.dashboard.connections import Connections
from torpor_autoscaler.dashboard.desk import DatabaseDesk, WatchedFleet
from torpor_autoscaler.dashboard.door import LINK_S_MAX, Door
from torpor_autoscaler.dashboard.files import page_files
from torpor_autoscaler.dashboard.live import Live
from torpor_autoscaler.dashboard.web import Pages
from torpor_autoscaler.settings import OfDashboard

log = logging.getLogger(__name__)

KEY_BYTES_MIN = 32
"""Of what cookies are made with: one that was not written to its end is known to everybody."""

END_S_MAX = 2.0
"""For answers under way when the autoscaler ends."""


@contextlib.asynccontextmanager
async def serving(
    wanted: OfDashboard, desk: DatabaseDesk, fleet: WatchedFleet
) -> AsyncIterator[None]:
    """From now on ``fleet`` gives out links. Raises OSError where it can't listen, or the key
    can't be read."""
    door, live = Door(_key(wanted), wanted.hosts, time.time), Live(fleet, time.monotonic)
    pages = Pages(desk, fleet, live, door, page_files())
    # A browser that hangs up withdraws its wish, as a person's `torpor suspend` does.
    runner = web.AppRunner(pages.app, handler_cancellation=True, shutdown_timeout=END_S_MAX)
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


def _key(wanted: OfDashboard) -> bytes:
    if wanted.key is None:
        return secrets.token_bytes()
    key = wanted.key.read_bytes()
    if len(key) < KEY_BYTES_MIN:
        raise OSError(f"{wanted.key} has {len(key)} bytes, at least {KEY_BYTES_MIN} are needed")
    return key


async def _listening(runner: web.AppRunner, wanted: OfDashboard) -> asyncio.Server:
    server = runner.server
    assert server is not None, "it was set up"
    loop, listen = asyncio.get_running_loop(), wanted.listen
    return await loop.create_server(Connections(server).accept, listen.host, listen.port)


def _link(wanted: OfDashboard, door: Door) -> m.DashboardLink:
    return m.DashboardLink(
        host=wanted.listen.host,
        port=wanted.listen.port,
        hosts=wanted.hosts,
        link=door.link(),
        valid_s=LINK_S_MAX,
    )
