"""Agents over the control channel: one connection to each, made ahead of need."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import TypeVar

from torpor_api import messages as m
from torpor_api.failures import Failure, Unavailable
from torpor_autoscaler.lifecycle.actions import NotAsked, NotReached, Replaced
from torpor_autoscaler.ports import AgentEvent, AgentFacts
from torpor_channel.address import parse_address
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer
from torpor_channel.tls import COMPUTE, Identity, Trust

log = logging.getLogger(__name__)

OUR_OWN_LACK = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Of open files or memory, here and not at the agent."""

INTRODUCTION_S_MAX = 10.0
"""For an agent to say which compute it is, once for each connection."""

ReplyT = TypeVar("ReplyT", bound=m.Message)


class ChannelAgents:
    """A lost connection is a fact for the fleet; the next question makes a new one."""

    def __init__(self, identity: Identity | None = None) -> None:
        """``identity``: for agents on a network."""
        self._trust = None if identity is None else Trust(identity, COMPUTE)
        self._fleet: AgentFacts | None = None
        self._handlers: Handlers = {}
        self._peers: dict[str, Peer] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._dialling: dict[str, asyncio.Task[Peer]] = {}
        """One call to each, for all who want to ask it."""
        self._calls: set[asyncio.Task[None]] = set()

    def start(self, fleet: AgentFacts) -> None:
        self._fleet = fleet
        self._handlers = _handlers(fleet)

    async def close(self) -> None:
        tasks = [*self._watches.values(), *self._calls, *self._dialling.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(peer.close() for peer in list(self._peers.values())))
        self._peers.clear()

    def expect(self, agent: m.AgentInfo) -> None:
        call = asyncio.create_task(self._call(agent))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _call(self, agent: m.AgentInfo) -> None:
        try:
            await self._peer(agent)
        except Failure as failure:
            # Whoever asks it later tries again, and hears of it.
            log.info("agent_unreachable", extra={"compute": agent.compute, "reason": str(failure)})

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
        peer = self._peers.get(agent.compute)
        if peer is not None and not peer.closed.is_set():
            return peer
        if agent.compute not in self._dialling:
            dialling = self._dialling[agent.compute] = asyncio.create_task(self._connect(agent))
            dialling.add_done_callback(_retrieve)
        # Who gives up does not take the call of the others with him.
        return await asyncio.shield(self._dialling[agent.compute])

    async def _connect(self, agent: m.AgentInfo) -> Peer:
        try:
            peer = await self._dial(agent)
        finally:
            del self._dialling[agent.compute]
        self._peers[agent.compute] = peer
        self._watches[agent.compute] = asyncio.create_task(self._watch(agent.compute, peer))
        return peer

    async def _dial(self, agent: m.AgentInfo) -> Peer:
        """Raises NotReached, Replaced, and NotAsked where it is we who can't call."""
        try:
            peer = await dial(parse_address(agent.address), self._handlers, self._trust)
        except Unavailable as failure:
            cause = failure.__context__
            if isinstance(cause, OSError) and cause.errno in OUR_OWN_LACK:
                raise NotAsked(f"{agent.compute} can't be called: {cause.strerror}") from failure
            raise NotReached(failure.message) from failure
        try:
            state = await _introduced(peer, agent)
        except BaseException:
            await peer.close()
            raise
        if state.leaves_in_s is not None:
            self._tell(m.AgentLeaving(compute=agent.compute, leaves_in_s=state.leaves_in_s))
        return peer

    def _tell(self, event: AgentEvent) -> None:
        assert self._fleet is not None
        self._fleet.agent_told(event)

    async def _watch(self, compute: str, peer: Peer) -> None:
        try:
            await peer.closed.wait()
        finally:
            if self._peers.get(compute) is peer:
                del self._peers[compute]
            if self._watches.get(compute) is asyncio.current_task():
                del self._watches[compute]
            await peer.close()
        assert self._fleet is not None
        self._fleet.agent_unheard(compute)


def _retrieve(dialling: asyncio.Task[Peer]) -> None:
    """The failure of a call for which nobody waits any more is no news."""
    if not dialling.cancelled():
        dialling.exception()


async def _introduced(peer: Peer, agent: m.AgentInfo) -> m.AgentState:
    """What it says of itself. Raises NotReached where it says nothing, Replaced where the address
    is another compute's by now.

    On a network an address passes to the next pod. A database that started there would run in a
    compute that nobody looks for when it has to be fenced.
    """
    try:
        state = await peer.ask(m.AskAgentState(), timeout_s=INTRODUCTION_S_MAX)
    except Unavailable as failure:
        raise NotReached(f"{agent.compute} does not say who it is: {failure.message}") from failure
    if state.compute != agent.compute:
        log.warning("another_compute", extra={"compute": agent.compute, "found": state.compute})
        raise Replaced(f"at {agent.address} is {state.compute}, not {agent.compute}")
    return state


def _handlers(fleet: AgentFacts) -> Handlers:
    async def told(_: Peer, event: AgentEvent) -> None:
        fleet.agent_told(event)

    events = (
        m.PostgresLost,
        m.PostgresBack,
        m.LoginFactsChanged,
        m.AgentLeaving,
        m.ComputeSample,
    )
    return dict.fromkeys(events, told)
