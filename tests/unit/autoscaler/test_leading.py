"""Agents and proxies hear nothing of one that leads no more, and it knows that they did not."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api import messages as m
from torpor_autoscaler.adapters.leading import AgentsWhileLeading, ProxiesWhileLeading
from torpor_autoscaler.lifecycle.actions import NotAsked

AGENT = m.AgentInfo(compute="c1", address="/run/c1.sock", postgres_version="17")
STOP = m.StopCompute(epoch=3, grace_s=1.0)
CLOSE = m.CloseGate(name="shop", epoch=3, hold_s=10.0)


class Heard:
    """An agent, or all proxies."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    async def ask(self, _: m.AgentInfo, request: m.Request[Any], *, timeout_s: float) -> Any:
        self.heard.append(request)

    async def ask_all(self, request: m.Request[Any], *, timeout_s: float) -> dict[str, Any]:
        self.heard.append(request)
        return {}

    async def ask_each(
        self, request: m.Request[Any], *, timeout_s: float, only: str = ""
    ) -> dict[str, Any]:
        return await self.ask_all(request, timeout_s=timeout_s)

    def tell(self, event: m.Event) -> None:
        self.heard.append(event)

    def expect(self, agent: m.AgentInfo) -> None: ...

    def forget(self, compute: str) -> None: ...


async def test_questions_are_not_asked_and_it_is_known_that_they_were_not() -> None:
    heard, leads = Heard(), False
    agents = AgentsWhileLeading(heard, lambda: leads)
    proxies = ProxiesWhileLeading(heard, lambda: leads)
    gone = m.EndpointRemoved(name="shop")
    with pytest.raises(NotAsked):
        await agents.ask(AGENT, STOP, timeout_s=1.0)
    with pytest.raises(NotAsked):
        await proxies.ask_all(CLOSE, timeout_s=1.0)
    with pytest.raises(NotAsked):
        await proxies.ask_each(CLOSE, timeout_s=1.0)
    proxies.tell(gone)
    assert heard.heard == []
    leads = True
    await agents.ask(AGENT, STOP, timeout_s=1.0)
    await proxies.ask_all(CLOSE, timeout_s=1.0)
    await proxies.ask_each(CLOSE, timeout_s=1.0)
    proxies.tell(gone)
    assert heard.heard == [STOP, CLOSE, CLOSE, gone]
