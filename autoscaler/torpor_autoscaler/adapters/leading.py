"""Agents and proxies that hear only the one that leads.

Each question is checked in front of its connection (see :mod:`torpor_kube.leading`): a stop or a
closed gate that was decided before somebody else took over would meet what that one has decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from torpor_api import messages as m
from torpor_api.failures import Failure
from torpor_autoscaler.lifecycle.actions import NotAsked
from torpor_autoscaler.ports import Agents, Proxies

ReplyT = TypeVar("ReplyT", bound=m.Message)

Leads = Callable[[], bool]


class AgentsWhileLeading:
    def __init__(self, agents: Agents, leads: Leads) -> None:
        self._agents = agents
        self._leads = leads

    def expect(self, agent: m.AgentInfo) -> None:
        self._agents.expect(agent)

    async def ask(
        self, agent: m.AgentInfo, request: m.Request[ReplyT], *, timeout_s: float
    ) -> ReplyT:
        _refuse_unless(self._leads)
        return await self._agents.ask(agent, request, timeout_s=timeout_s)

    def forget(self, compute: str) -> None:
        self._agents.forget(compute)


class ProxiesWhileLeading:
    def __init__(self, proxies: Proxies, leads: Leads) -> None:
        self._proxies = proxies
        self._leads = leads

    async def ask_all(
        self,
        request: m.CloseGate | m.OpenGate | m.StopListening | m.HaveHeard,
        *,
        timeout_s: float,
    ) -> Mapping[str, m.Message]:
        _refuse_unless(self._leads)
        return await self._proxies.ask_all(request, timeout_s=timeout_s)

    async def ask_each(
        self, request: m.Request[ReplyT], *, timeout_s: float, only: str = ""
    ) -> Mapping[str, ReplyT | Failure]:
        _refuse_unless(self._leads)
        return await self._proxies.ask_each(request, timeout_s=timeout_s, only=only)

    def tell(self, event: m.Event) -> None:
        if self._leads():
            self._proxies.tell(event)


def _refuse_unless(leads: Leads) -> None:
    if not leads():
        raise NotAsked("another autoscaler leads")
