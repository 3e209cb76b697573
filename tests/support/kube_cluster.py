"""The autoscaler's Kubernetes adapter behind a control channel, like any cluster that it asks."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any

from support.fakes.channel import CLUSTER_REQUESTS, Watchers, handlers_of
from support.kube_people import People
from torpor_api import messages as m
from torpor_api.failures import Failure
from torpor_api.resource import ServerlessDatabase
from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
from torpor_autoscaler.lifecycle.stock import PoolRecord
from torpor_channel.peer import Handlers
from torpor_kube.kinds import NAMESPACE
from torpor_kube.login import Login
from torpor_kube.port import Kube
from torpor_kube.server import ApiServer

ANSWER_S_MAX = 30.0

OF_PEOPLE = (m.ApplyResource, m.DeleteResource, m.ListResources)


class Heard:
    """What the adapter tells the fleet, as the local cluster would tell it over its channel."""

    def __init__(self) -> None:
        self.resources: dict[str, ServerlessDatabase] = {}
        self.agents: dict[str, m.AgentInfo] = {}
        self.pools: dict[str, PoolRecord] = {}
        self.lists: list[str] = []
        self.unheard: set[str] = set()
        self.watchers = Watchers(self.answer)

    async def answer(self, request: m.Request[Any]) -> m.Message:
        if isinstance(request, m.WatchAgents):
            return m.Agents(agents=tuple(self.agents.values()))
        return m.Resources(resources=tuple(self.resources.values()))

    def resources_listed(self, resources: Iterable[ServerlessDatabase]) -> None:
        self.lists.append("resources")
        self.resources = {resource.name: resource for resource in resources}

    def resource_changed(self, resource: ServerlessDatabase) -> None:
        self.resources[resource.name] = resource
        self.watchers.tell(m.ResourceChanged(resource=resource))

    def resource_deleted(self, name: str) -> None:
        del self.resources[name]
        self.watchers.tell(m.ResourceDeleted(name=name))

    def namespaces_unheard(self, namespaces: Collection[str]) -> None:
        self.unheard = set(namespaces)

    def pools_known(self, pools: Iterable[PoolRecord]) -> None:
        if "pools" not in self.lists:
            self.lists.append("pools")
        self.pools = {pool.name: pool for pool in pools}

    def agents_listed(self, agents: Iterable[m.AgentInfo]) -> None:
        self.lists.append("agents")
        self.agents = {agent.compute: agent for agent in agents}

    def agent_changed(self, agent: m.AgentInfo) -> None:
        self.agents[agent.compute] = agent
        self.watchers.tell(m.AgentChanged(agent=agent))


@contextlib.asynccontextmanager
async def client(login: Login) -> AsyncIterator[ApiServer]:
    kube = ApiServer(login)
    try:
        yield kube
    finally:
        await kube.close()


@contextlib.asynccontextmanager
async def own_namespace(kube: Kube) -> AsyncIterator[str]:
    """With everything in it gone afterwards."""
    name = f"contract-{uuid.uuid4().hex[:8]}"
    await kube.create(NAMESPACE, {"metadata": {"name": name}})
    try:
        yield name
    finally:
        with contextlib.suppress(Failure):
            await kube.delete(NAMESPACE, name)


@contextlib.asynccontextmanager
async def answering(kube: Kube, system: str) -> AsyncIterator[Handlers]:
    """The adapter's answers, and people's for what is asked of them."""
    cluster = KubernetesCluster(kube, system_namespace=system)
    people, heard = People(kube, system), Heard()

    async def answer(request: m.Request[Any]) -> m.Message:
        if isinstance(request, OF_PEOPLE):
            return await people.answer(request)
        answered: m.Message = await cluster.ask(request, timeout_s=ANSWER_S_MAX)
        return answered

    await cluster.start(heard)
    handlers = handlers_of(answer, *CLUSTER_REQUESTS)
    watch = heard.watchers.watch
    try:
        yield {**handlers, m.WatchResources: watch, m.WatchAgents: watch}
    finally:
        await cluster.close()
