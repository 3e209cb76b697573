"""Looks into awake databases, one after another: what runs inside, and who may log in now.

An agent that is asked also tells of roles that have changed, so that what is known of them is never
much older than one round. One that does not tell samples, though its database may have another
size, is asked for them: it is new, or its connection is. Nobody is asked about a database that
sleeps.
"""

from __future__ import annotations

import asyncio
import logging

from torpor_api.failures import Failure
from torpor_api.messages import AgentInfo, AskActivity, WatchSamples
from torpor_autoscaler.executor import Entry
from torpor_autoscaler.fleet import Fleet
from torpor_autoscaler.lifecycle import outcomes
from torpor_autoscaler.ports import Agents

log = logging.getLogger(__name__)

ANSWER_S_MAX = 5.0
"""For some milliseconds of SQL."""


class Looks:
    """Each round takes ``every_s``, however many are awake: they are spread over it."""

    def __init__(self, fleet: Fleet, agents: Agents, every_s: float) -> None:
        self._fleet = fleet
        self._agents = agents
        self._every_s = every_s
        self._rounds: asyncio.Task[None] | None = None
        self._asked: dict[Entry, asyncio.Task[None]] = {}

    def start(self) -> None:
        self._rounds = asyncio.create_task(self._go_round())

    async def close(self) -> None:
        tasks = [*self._asked.values(), *([self._rounds] if self._rounds is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _go_round(self) -> None:
        while True:
            awake = self._fleet.awake()
            for entry in awake:
                self._look(entry)
                await asyncio.sleep(self._every_s / len(awake))
            if not awake:
                await asyncio.sleep(self._every_s)

    def _look(self, entry: Entry) -> None:
        """An agent that has not answered yet delays nobody else, and is not asked again."""
        if entry.database.is_up and entry not in self._asked:
            look = asyncio.create_task(self._ask(entry))
            self._asked[entry] = look
            look.add_done_callback(lambda _: self._asked.pop(entry))

    async def _ask(self, entry: Entry) -> None:
        run = entry.database.run
        if run is None:
            return
        try:
            reply = await self._agents.ask(run.agent, AskActivity(), timeout_s=ANSWER_S_MAX)
        except Failure as failure:
            # Whether the compute still serves is asked by whoever has a reason to doubt it.
            keys = outcomes.log_keys(entry.database)
            log.debug("not_looked_inside", extra={**keys, "reason": failure.message})
        else:
            self._fleet.looked_inside(entry, run.epoch, reply.activity)
            if self._fleet.unsampled(entry):
                await self._watch(entry, run.agent)

    async def _watch(self, entry: Entry, agent: AgentInfo) -> None:
        """An agent of a release that has no samples says so, and its database is as large as it
        is."""
        try:
            await self._agents.ask(agent, WatchSamples(), timeout_s=ANSWER_S_MAX)
        except Failure as failure:
            keys = outcomes.log_keys(entry.database)
            log.debug("not_watched", extra={**keys, "reason": failure.message})
