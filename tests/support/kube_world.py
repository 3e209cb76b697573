"""The autoscaler's Kubernetes adapter, over the API server of the tests, with people around it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from support.fake_kube.server import FakeKube
from support.kube_cluster import Heard, client
from support.kube_people import RUNNING, People
from torpor_api import messages as m
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
from torpor_kube.kinds import NAMESPACE, SERVERLESS_DATABASE
from torpor_kube.login import at
from torpor_kube.server import ApiServer

SYSTEM = "torpor-system"
ANSWER_SECONDS_MAX = 30.0


@dataclass(slots=True)
class World:
    fake: FakeKube
    kube: ApiServer
    people: People
    cluster: KubernetesCluster
    heard: Heard

    async def ask(self, request: m.Request[Any]) -> Any:
        return await self.cluster.ask(request, timeout_s=ANSWER_SECONDS_MAX)

    async def apply(self, name: str = "shop", **spec: Any) -> ServerlessDatabase:
        return await self.people.apply({"metadata": {"name": name}, "spec": spec})

    async def write(self, stored: ServerlessDatabase, **status: Any) -> ServerlessDatabase:
        request = m.WriteStatus(
            name=stored.name,
            resource_version=stored.metadata.resource_version,
            status=DatabaseStatus(**status),
        )
        answer: m.Stored = await self.ask(request)
        return answer.resource

    async def document(self, name: str = "shop") -> dict[str, Any]:
        return await self.kube.get(SERVERLESS_DATABASE, name, "default")

    async def annotate(self, **annotations: str) -> None:
        patch = {"metadata": {"annotations": annotations}}
        await self.kube.patch(SERVERLESS_DATABASE, "shop", "default", patch)

    async def running(self, compute: str = "compute-default-a", *, node: str = "n1") -> str:
        """A claimed compute whose agent the fleet knows."""
        await self.people.make_pod(compute, node=node)
        await self.people.say_of_pod(compute, **RUNNING)
        await self.until(lambda: compute in self.heard.agents)
        return compute

    async def gone(self, compute: str) -> m.Done:
        answer: m.Done = await self.ask(m.ConfirmGone(compute=compute, database="shop"))
        return answer

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while not holds():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as ending:
        fake = await ending.enter_async_context(FakeKube().serving())
        kube = await ending.enter_async_context(client(at(fake.url)))
        await kube.create(NAMESPACE, {"metadata": {"name": SYSTEM}})
        cluster = KubernetesCluster(kube, system_namespace=SYSTEM)
        ending.push_async_callback(cluster.close)
        heard = Heard()
        await cluster.start(heard)
        yield World(fake, kube, People(kube, SYSTEM), cluster, heard)
