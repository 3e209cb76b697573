"""The cluster over the control channel: questions, and the two watches that bring facts."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from torpor_api import messages as m
from torpor_autoscaler.ports import ClusterFacts
from torpor_channel.client import Link
from torpor_channel.peer import Handlers, Peer

ReplyT = TypeVar("ReplyT", bound=m.Message)

WATCH_S_MAX = 30.0
"""For the list of all databases; 10,000 take about a second."""

LANES = 64
"""Questions that can wait, at a time: at the start there is one for login facts per database, and
claims must not stand in line behind them."""


class ChannelCluster:
    """One connection, made again when it is lost; then everything is listed anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._link: Link | None = None
        self._turns = asyncio.Semaphore(LANES)

    async def start(self, fleet: ClusterFacts) -> None:
        """Answered when the fleet knows all resources and agents. Raises Unavailable."""
        self._link = Link(self._path, _handlers(fleet), lambda peer: _greet(peer, fleet))
        self._link.start()
        await self._link.ready(timeout_s=WATCH_S_MAX)

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()

    async def ask(
        self, request: m.Request[ReplyT], *, timeout_s: float, can_wait: bool = False
    ) -> ReplyT:
        assert self._link is not None
        async with self._turns if can_wait else nullcontext():
            return await self._link.ask(request, timeout_s=timeout_s)


async def _greet(peer: Peer, fleet: ClusterFacts) -> None:
    """Agents first: a database that is found awake looks for its own."""
    agents = await peer.ask(m.WatchAgents(), timeout_s=WATCH_S_MAX)
    fleet.agents_listed(agents.agents)
    resources = await peer.ask(m.WatchResources(), timeout_s=WATCH_S_MAX)
    fleet.resources_listed(resources.resources)


def _handlers(fleet: ClusterFacts) -> Handlers:
    async def changed(_: Peer, event: m.ResourceChanged) -> None:
        fleet.resource_changed(event.resource)

    async def deleted(_: Peer, event: m.ResourceDeleted) -> None:
        fleet.resource_deleted(event.name)

    async def agent(_: Peer, event: m.AgentChanged) -> None:
        fleet.agent_changed(event.agent)

    return {m.ResourceChanged: changed, m.ResourceDeleted: deleted, m.AgentChanged: agent}
