"""The agent's side of the control channel: which question goes where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from torpor_api.messages import (
    ActivityReply,
    AgentState,
    ApplySpec,
    AskActivity,
    AskAgentState,
    AskRoleFacts,
    Checkpoint,
    Done,
    EraseStorage,
    Event,
    FollowSize,
    LoginFactsReply,
    Message,
    RoleFactsReply,
    StartCompute,
    StopCompute,
    WatchSamples,
)
from torpor_channel.admission import Rights
from torpor_channel.peer import Handlers, Peer
from torpor_channel.tls import AUTOSCALER, OPERATOR, PROXY
from torpor_compute.executor import Agent
from torpor_compute.refilling import Refilling
from torpor_compute.sampling import Sampling


class Listeners:
    """Who is told what happens to Postgres: whoever has asked about the compute as a whole.

    On a network only the autoscaler: what is told has verifiers in it. A proxy asks about roles
    only, and hears of a compute's fate from the autoscaler.
    """

    def __init__(self) -> None:
        self._peers: set[Peer] = set()

    def add(self, peer: Peer) -> None:
        if peer.name not in (None, AUTOSCALER):
            return
        self._peers = {known for known in self._peers if not known.closed.is_set()} | {peer}

    @property
    def is_empty(self) -> bool:
        return all(known.closed.is_set() for known in self._peers)

    def tell(self, event: Event) -> None:
        for peer in self._peers:
            peer.tell(event)


def rights(handlers: Handlers) -> Rights:
    """Who may ask what, on a network."""
    everything = frozenset(handlers)
    return {
        AUTOSCALER: everything,
        OPERATOR: frozenset({EraseStorage, AskAgentState}),
        PROXY: frozenset({AskRoleFacts}),
    }


def handlers_of(
    agent: Agent,
    listeners: Listeners,
    watchers: Listeners,
    sampling: Sampling,
    refilling: Refilling,
) -> Handlers:
    """Everything that an agent can be asked. ``watchers``: of samples."""

    async def checkpoint(request: Checkpoint) -> Done:
        await agent.checkpoint(request.epoch)
        await refilling.note()
        return Done()

    async def apply(request: ApplySpec) -> LoginFactsReply:
        return LoginFactsReply(facts=await agent.apply(request))

    async def erase(request: EraseStorage) -> Done:
        await agent.erase(request)
        return Done()

    async def state(_: AskAgentState) -> AgentState:
        return agent.state()

    async def activity(_: AskActivity) -> ActivityReply:
        return ActivityReply(activity=await agent.activity())

    async def role(_: Peer, request: AskRoleFacts) -> RoleFactsReply:
        return RoleFactsReply(role=await agent.role(request))

    async def watch(peer: Peer, _: WatchSamples) -> Done:
        watchers.add(peer)
        sampling.watched()
        return Done()

    def heard(answer: Callable[[Any], Awaitable[Message]]) -> Callable[[Peer, Any], Any]:
        async def handle(peer: Peer, request: Any) -> Message:
            listeners.add(peer)
            return await answer(request)

        return handle

    return {
        StartCompute: heard(agent.start),
        StopCompute: heard(agent.stop),
        Checkpoint: heard(checkpoint),
        ApplySpec: heard(apply),
        FollowSize: heard(agent.follow),
        EraseStorage: heard(erase),
        AskAgentState: heard(state),
        AskActivity: heard(activity),
        AskRoleFacts: role,
        WatchSamples: watch,
    }
