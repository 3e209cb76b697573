"""Fakes behind a real control channel: what they answer and tell goes over a Unix socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from torpor_api import messages as m
from torpor_channel.peer import Handlers, Peer

Answer = Callable[[m.Request[Any]], Awaitable[m.Message]]


def handlers_of(answer: Answer, *requests: type[m.Request[Any]]) -> Handlers:
    """The fake answers these requests."""

    async def handle(_: Peer, request: m.Request[Any]) -> m.Message:
        return await answer(request)

    return dict.fromkeys(requests, handle)


class Watchers:
    """Peers that asked to be told."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._peers: list[Peer] = []

    async def watch(self, peer: Peer, request: m.Request[Any]) -> m.Message:
        self._peers.append(peer)
        return await self._answer(request)

    def tell(self, event: m.Event) -> None:
        for peer in self._peers:
            peer.tell(event)


CLUSTER_REQUESTS: tuple[type[m.Request[Any]], ...] = (
    m.ApplyResource,
    m.DeleteResource,
    m.ListResources,
    m.GetResource,
    m.WriteStatus,
    m.StoreLoginFacts,
    m.FetchLoginFacts,
    m.FetchVerifiers,
    m.LocateStorage,
    m.SetWarmPool,
    m.ConfirmGone,
    m.ResizeCompute,
)

AGENT_REQUESTS: tuple[type[m.Request[Any]], ...] = (
    m.StartCompute,
    m.StopCompute,
    m.EraseStorage,
    m.Checkpoint,
    m.ApplySpec,
    m.FollowSize,
    m.AskAgentState,
    m.AskActivity,
    m.WatchSamples,
)
