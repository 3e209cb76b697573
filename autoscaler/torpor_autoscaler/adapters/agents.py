"""Agents over the control channel: one connection to each that was claimed, made when needed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

from torpor_api import messages as m
from torpor_autoscaler.ports import AgentEvent, AgentFacts
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer

ReplyT = TypeVar("ReplyT", bound=m.Message)


class ChannelAgents:
    """A lost connection is a fact for the fleet; the next question makes a new one."""

    def __init__(self) -> None:
        self._fleet: AgentFacts | None = None
        self._handlers: Handlers = {}
        self._peers: dict[str, Peer] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._dialling: dict[str, asyncio.Lock] = {}

    def start(self, fleet: AgentFacts) -> None:
        self._fleet = fleet
        self._handlers = _handlers(fleet)

    async def close(self) -> None:
        watches = list(self._watches.values())
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await asyncio.gather(*(peer.close() for peer in list(self._peers.values())))
        self._peers.clear()

    async def ask(
        self, agent: m.AgentInfo, request: m.Request[ReplyT], *, timeout_s: float
    ) -> ReplyT:
        peer = await self._peer(agent)
        return await peer.ask(request, timeout_s=timeout_s)

    def forget(self, compute: str) -> None:
        peer = self._peers.pop(compute, None)
        watch = self._watches.get(compute)
        if peer is not None and watch is not None:
            watch.cancel()

    async def _peer(self, agent: m.AgentInfo) -> Peer:
        async with self._dialling.setdefault(agent.compute, asyncio.Lock()):
            peer = self._peers.get(agent.compute)
            if peer is None or peer.closed.is_set():
                peer = await dial(Path(agent.address), self._handlers)
                self._peers[agent.compute] = peer
                watch = asyncio.create_task(self._watch(agent.compute, peer))
                self._watches[agent.compute] = watch
            return peer

    async def _watch(self, compute: str, peer: Peer) -> None:
        try:
            await peer.closed.wait()
        finally:
            if self._peers.get(compute) is peer:
                del self._peers[compute]
            if self._watches.get(compute) is asyncio.current_task():
                del self._watches[compute]
                self._dialling.pop(compute, None)
            await peer.close()
        assert self._fleet is not None
        self._fleet.agent_unheard(compute)


def _handlers(fleet: AgentFacts) -> Handlers:
    async def told(_: Peer, event: AgentEvent) -> None:
        fleet.agent_told(event)

    return {m.PostgresLost: told, m.PostgresBack: told, m.LoginFactsChanged: told}
