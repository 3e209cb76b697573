"""A clean stop that cuts no session: either nobody is there, or nothing has happened.

Postgres can't go back from a smart shutdown, and one session that slipped in would hold it up for
as long as it likes. So before Postgres is told to stop, the postmaster is paused for a few
milliseconds: newcomers wait in the socket's queue, the last look finds nobody on any side, and the
order to stop is there before the postmaster goes on. The newcomers then hear 57P03, "shutting
down", which the proxy takes as a reason to wake the database again. If somebody is found, the
postmaster goes on as if nothing had been, and so do the newcomers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from torpor_api.facts import LoginFacts
from torpor_api.failures import Busy
from torpor_api.messages import StopCompute, Stopped
from torpor_compute.chain import AGENT, POSTGRES, StepClock
from torpor_compute.ports import Postgres, Sql, Stop, Volume

STOP_SECONDS_MAX = 600.0
"""For the checkpoint of a shutdown; after that it is ended at once, and the next start recovers."""

_LOOK_SECONDS = 0.02
"""Between two looks at who is still there."""

_NAMED_MAX = 5
"""Clients that a message names."""


class Stopping:
    """One attempt to stop."""

    def __init__(
        self, volume: Volume, postgres: Postgres, sql: Sql, superusers: Collection[str]
    ) -> None:
        self._volume = volume
        self._postgres = postgres
        self._sql = sql
        self._superusers = superusers
        self._chain = StepClock()

    async def order(self, request: StopCompute) -> LoginFacts:
        """Tell Postgres to stop, now that nobody is there any more; the login facts of that moment.

        Raises Busy with who is there after ``grace_s``; then nothing has changed. With ``force``
        their sessions are ended instead.
        """
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + request.grace_s
        while True:
            clients = (await self._sql.clients()).described
            if not clients:
                facts, clients = await self._order_if_nobody_is_there()
                if facts is not None:
                    return facts
            if clock() >= deadline_s:
                if request.force:
                    return await self._order_whoever_is_there()
                raise _busy(clients)
            await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, deadline_s - clock())))

    async def finish(self, facts: LoginFacts) -> Stopped:
        """Wait until nothing is left, bring everything to disk, give the volume back."""
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self._postgres.gone()
        except TimeoutError:
            self._postgres.signal(Stop.IMMEDIATE)
            await self._postgres.gone()
        self._chain.took("shutdown of postgres", POSTGRES)
        await self._volume.flush()
        self._chain.took("flush", AGENT)
        await self._volume.release(facts_exported=True)
        self._chain.took("release", AGENT)
        return Stopped(steps=self._chain.steps, facts=facts)

    async def _order_if_nobody_is_there(self) -> tuple[LoginFacts | None, tuple[str, ...]]:
        async with self._postgres.paused():
            # In this order: whoever is in neither has not been let in and will not be.
            facts = await self._sql.facts(self._superusers)
            processes = self._postgres.processes()
            found = await self._sql.clients()
            newcomers = [
                process
                for process, age_s in processes.items()
                if process not in found.processes and age_s < found.entry_seconds_max
            ]
            if found.described or newcomers:
                return None, found.described or ("a client that is just connecting",)
            await self._sql.close()
            self._postgres.signal(Stop.SMART)
        self._chain.took("login facts", AGENT)
        return facts, ()

    async def _order_whoever_is_there(self) -> LoginFacts:
        facts = await self._sql.facts(self._superusers)
        await self._sql.close()
        self._postgres.signal(Stop.FAST)
        self._chain.took("login facts", AGENT)
        return facts


def _busy(clients: tuple[str, ...]) -> Busy:
    named = "; ".join(clients[:_NAMED_MAX])
    more = f"; and {len(clients) - _NAMED_MAX} more" if len(clients) > _NAMED_MAX else ""
    return Busy(f"{len(clients)} clients are still connected: {named}{more}")
