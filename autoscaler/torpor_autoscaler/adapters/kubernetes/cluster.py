"""The cluster's port on Kubernetes: each question to the part that answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar, cast

from torpor_api import messages as m
from torpor_api.failures import InvalidRequest, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.adapters.kubernetes.computes import Computes
from torpor_autoscaler.adapters.kubernetes.databases import Databases, readable
from torpor_autoscaler.adapters.kubernetes.lanes import Lanes
from torpor_autoscaler.adapters.kubernetes.login_facts import FactsStore
from torpor_autoscaler.adapters.kubernetes.pools import Pools
from torpor_autoscaler.ports import ClusterFacts
from torpor_kube.port import Kube

ReplyT = TypeVar("ReplyT", bound=m.Message)

WATCH_S_MAX = 30.0
"""For the list of all databases; 10,000 take some seconds."""


class KubernetesCluster:
    """One API server; computes, their pools and Secrets of the system are in one namespace,
    databases in some or, where none are named, in all."""

    def __init__(
        self, kube: Kube, *, system_namespace: str, namespaces: Sequence[str] = ()
    ) -> None:
        self._kube = kube
        self._system = system_namespace
        self._computes = Computes(kube, system_namespace)
        self._databases = Databases(kube, system_namespace, namespaces)
        self._pools = Pools(kube, system_namespace)
        self._facts = FactsStore(kube, system_namespace)
        self._lanes = Lanes()

    async def start(self, fleet: ClusterFacts) -> None:
        """Answered when the fleet knows all pools, agents and resources, in this order, so that a
        database that is found awake finds its own. Raises Unavailable."""
        pools, computes, databases = self._pools, self._computes, self._databases
        for part, all_heard in (
            (pools, pools.watch.is_listed.wait),
            (computes, computes.watch.is_listed.wait),
            (databases, databases.all_heard),
        ):
            part.start(fleet)
            try:
                async with asyncio.timeout(WATCH_S_MAX):
                    await all_heard()
            except TimeoutError:
                raise Unavailable("the API server does not list what there is") from None

    async def close(self) -> None:
        await self._databases.close()
        await self._computes.close()
        await self._pools.close()

    async def ask(
        self, request: m.Request[ReplyT], *, timeout_s: float, can_wait: bool = False
    ) -> ReplyT:
        async with self._lanes.turn() if can_wait else nullcontext():
            try:
                async with asyncio.timeout(timeout_s):
                    return cast(ReplyT, await self._answer(request))
            except TimeoutError:
                asked = type(request).__name__
                raise Unavailable(f"no answer to {asked} from the API server in time") from None

    async def _answer(self, request: m.Request[Any]) -> m.Message:
        match request:
            case m.GetResource(name=name):
                return m.Stored(resource=readable(await self._databases.get(name)))
            case m.WriteStatus():
                return await self._write(request)
            case m.LocateStorage(name=name):
                return await self._locate(name)
            case m.FetchVerifiers(name=name):
                resource = readable(await self._databases.find(name))
                return m.RolePasswordVerifiers(verifiers=await self._facts.verifiers(resource))
            case m.FetchLoginFacts(name=name):
                return await self._fetch_facts(name)
            case m.StoreLoginFacts(name=name, epoch=epoch, facts=facts):
                await self._databases.find(name)
                await self._facts.store(name, epoch, facts)
                return m.Done()
            case m.ConfirmGone(compute=compute, database=name):
                await self._computes.make_gone(compute, name, partial(self._sworn, name))
                return m.Done()
            case m.ResizeCompute(compute=compute, cu=cu):
                await self._computes.resize(compute, cu)
                return m.Done()
            case m.SetWarmPool():
                await self._pools.say(request)
                return m.Done()
            case _:
                raise InvalidRequest(f"{type(request).__name__} is no question to Kubernetes")

    async def _write(self, request: m.WriteStatus) -> m.Stored:
        """Raises Unavailable for a claim of a compute that may have ended unheard long ago: its pod
        is kept only for some minutes, and of one that is gone nobody can say what became of it."""
        if request.status.phase is Phase.RESUMING and not self._computes.watch.is_in_touch:
            raise Unavailable(f"{request.name}: the API server has long told nothing of computes")
        stored = await self._databases.write_status(request)
        phase, compute = request.status.phase, request.status.compute
        if compute is not None and phase in (Phase.RESUMING, Phase.ACTIVE):
            self._computes.label(compute, request.name, is_sure=phase is Phase.ACTIVE)
        return m.Stored(resource=stored)

    async def _sworn(self, name: str) -> str:
        known = await self._databases.get(name)
        return known.gone_compute

    async def _locate(self, name: str) -> m.StoragePlace:
        known = await self._databases.find(name)
        if known.storage is None:
            known = await self._databases.get(name)
        if known.storage is None:
            raise Unavailable(
                f"{name}: the operator has not made its storage yet",
                "see its log and the condition StorageReady",
            )
        status = readable(known).status
        may_create = not known.storage.is_made and status.observed_generation == 0
        return m.StoragePlace(
            directory=known.storage.directory,
            user_id=known.storage.user_id,
            may_create=may_create,
        )

    async def _fetch_facts(self, name: str) -> m.LoginFactsReply:
        resource = readable(await self._databases.find(name))
        return m.LoginFactsReply(facts=await self._facts.fetch(resource))
