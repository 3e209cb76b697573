"""Proxies over the connections that they opened: asked and told on the same ones."""

from __future__ import annotations

import asyncio

from torpor_api import messages as m
from torpor_api.failures import Busy
from torpor_channel.peer import Peer


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

    async def ask_all(self, request: m.CloseGate | m.OpenGate, *, timeout_s: float) -> None:
        questions = [peer.ask(request, timeout_s=timeout_s) for peer in self._peers.values()]
        outcomes = await asyncio.gather(*questions, return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        # Busy names a session and its state: of more use to a person than a lost connection.
        failures.sort(key=lambda failure: not isinstance(failure, Busy))
        if failures:
            raise failures[0]

    def tell(self, event: m.Event) -> None:
        for peer in self._peers.values():
            peer.tell(event)
