"""Proxies over the connections that they opened: asked and told on the same ones."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from torpor_api import messages as m
from torpor_api.failures import Busy, Failure
from torpor_channel.peer import Peer

ReplyT = TypeVar("ReplyT", bound=m.Message)


class ChannelProxies:
    """Those that are registered, by name; a proxy that registers again takes its own place."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}

    def add(self, proxy: str, peer: Peer) -> None:
        self._peers[proxy] = peer

    def remove(self, proxy: str, peer: Peer) -> bool:
        """Whether this connection was the proxy's latest."""
        if self._peers.get(proxy) is not peer:
            return False
        del self._peers[proxy]
        return True

    async def ask_all(
        self,
        request: m.CloseGate | m.OpenGate | m.StopListening | m.HaveHeard,
        *,
        timeout_s: float,
    ) -> dict[str, m.Message]:
        question: m.Request[Any] = request
        answers = await self.ask_each(question, timeout_s=timeout_s)
        failures = [answer for answer in answers.values() if isinstance(answer, Failure)]
        # Busy names a session and its state: of more use to a person than a lost connection.
        failures.sort(key=lambda failure: not isinstance(failure, Busy))
        if failures:
            raise failures[0]
        return {name: told for name, told in answers.items() if isinstance(told, m.Message)}

    async def ask_each(
        self, request: m.Request[ReplyT], *, timeout_s: float, only: str = ""
    ) -> dict[str, ReplyT | Failure]:
        peers = {name: peer for name, peer in self._peers.items() if only in ("", name)}
        answers = [_answer(peer, request, timeout_s) for peer in peers.values()]
        return dict(zip(peers, await asyncio.gather(*answers), strict=True))

    def tell(self, event: m.Event) -> None:
        for peer in self._peers.values():
            peer.tell(event)


async def _answer(peer: Peer, request: m.Request[ReplyT], timeout_s: float) -> ReplyT | Failure:
    try:
        return await peer.ask(request, timeout_s=timeout_s)
    except Failure as failure:
        return failure
