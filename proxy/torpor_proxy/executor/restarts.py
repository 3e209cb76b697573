"""Chaos: a database is moved to a fresh compute again and again, each time after so many parks."""

from __future__ import annotations

import asyncio
import logging

from torpor_api.failures import Failure
from torpor_proxy.ports import Fleet

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0
"""For sessions that are busy: the other ones wait meanwhile, and their clients not for long."""


class Restarts:
    """Of one database. One that was refused (somebody is pinned) is due again at the next park."""

    def __init__(self, name: str, every: int, fleet: Fleet) -> None:
        self._name = name
        self._every = every
        self._fleet = fleet
        self._parks = 0
        self._asking: asyncio.Task[None] | None = None

    def parked(self) -> None:
        """One more."""
        self._parks += 1
        if self._every and self._parks >= self._every and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        try:
            await self._fleet.switch_over(self._name, patience_s=PATIENCE_SECONDS)
            self._parks = 0
        except Failure as failure:
            fields = {"database": self._name, "reason": failure.message}
            log.info("restart_refused", extra=fields)
        finally:
            self._asking = None
