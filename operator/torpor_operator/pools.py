"""Looks at one pool: its volume claim, its pods, its status."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Callable

from torpor_api.failures import NotFound
from torpor_kube.documents import metadata, name_of, version_of
from torpor_kube.kinds import POD, VOLUME_CLAIM, WARM_POOL
from torpor_kube.port import Document, Kube
from torpor_operator.core.actions import Action, Apply, Create, Delete, Patch, Tell, Weight
from torpor_operator.core.cache import Cache
from torpor_operator.core.naming import POOL_FINALIZER, Key, key_of
from torpor_operator.core.pods import PodSettings, compute_pod, template_hash
from torpor_operator.core.pool import PoolFacts, PoolPlan, may_be_let_go, plan_pool
from torpor_operator.core.pool_status import pool_claim, pool_status
from torpor_operator.core.seen_pods import SeenPod, see_pod
from torpor_operator.executor import Executor, Stale
from torpor_operator.ports import Clock
from torpor_operator.times import api_time

SUFFIX_BYTES = 5
"""Eight characters of base32: a compute's id is never used again."""


class Pools:
    """Looks at them one at a time."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        executor: Executor,
        clock: Clock,
        settings: PodSettings,
        databases: Callable[[], AsyncIterator[Document]],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._executor = executor
        self._clock = clock
        self._settings = settings
        self._databases = databases
        self._random_bytes = random_bytes
        self._unnamed_since: dict[str, float] = {}

    async def look(self, key: Key) -> float | None:
        """Seconds after which to look again though nothing has changed; None: no need."""
        document = self._cache.pools.get(key.name)
        if document is None:
            return None
        if "deletionTimestamp" not in metadata(document):
            await self._prepare(document)
            document = self._cache.pools[key.name]
        facts = self._facts(document)
        plan = plan_pool(facts, self._clock.wall_s(), self._settings.namespace)
        for action in plan.actions:
            if not await self._is_claimed_meanwhile(action):
                await self._executor.carry_out(action)
        if (plan.start or plan.start_own) and not await self._is_there(document):
            self._cache.pool_gone(key.name)
            return None
        for database in (*plan.start_own, *[None] * plan.start):
            await self._start(document, database)
        await self._say(document, plan)
        if may_be_let_go(facts):
            await self._let_go(document)
        return plan.again_in_s

    async def _is_there(self, document: Document) -> bool:
        """Nobody may have heard of its end, and computes for a pool that is gone would come and go
        for ever."""
        try:
            found = await self._kube.get(WARM_POOL, name_of(document), self._settings.namespace)
        except NotFound:
            return False
        return metadata(found).get("uid") == metadata(document).get("uid")

    async def _prepare(self, document: Document) -> None:
        """Before its first pod: who deletes it must wait for them, and they need a volume."""
        finalizers = metadata(document).get("finalizers") or []
        if POOL_FINALIZER not in finalizers:
            mine = {
                "resourceVersion": version_of(document),
                "finalizers": [*finalizers, POOL_FINALIZER],
            }
            await self._executor.carry_out(Patch(WARM_POOL, key_of(document), {"metadata": mine}))
        claim = pool_claim(document, self._settings.namespace)
        if name_of(claim) not in self._cache.claims:
            try:
                await self._executor.carry_out(Create(VOLUME_CLAIM, claim))
            except Stale:
                return  # It has outlived an earlier pool of this name, with its data.

    async def _is_claimed_meanwhile(self, action: Action) -> bool:
        """A claim changes the database and not the pod: before one that may serve is ended, the
        databases themselves are asked, and no watch of them that may be silent."""
        if not isinstance(action, Delete):
            return False
        pod = self._cache.pods.get(action.key.name)
        if pod is None or pod.has_ended or not (pod.is_ready or pod.database):
            return False
        async for document in self._databases():
            if (document.get("status") or {}).get("compute") == pod.name:
                return True
        return False

    def _facts(self, document: Document) -> PoolFacts:
        name = name_of(document)
        pods, named = self._cache.pods_of(name), self._cache.named_computes()
        return PoolFacts(
            document=document,
            template=template_hash(document, self._settings),
            pods=pods,
            named=named,
            unnamed_s=self._unnamed_s(pods, named),
            ownerless=[one.name for one in pods if self._cache.is_ownerless(one)],
            awaiting=self._cache.awaiting_compute(name),
            erasers=1 if self._cache.erasers.get(name) else 0,
        )

    def _unnamed_s(self, pods: list[SeenPod], named: set[str]) -> dict[str, float]:
        now = self._clock.now()
        for pod in pods:
            if pod.database is not None and pod.name not in named:
                self._unnamed_since.setdefault(pod.name, now)
            else:
                self._unnamed_since.pop(pod.name, None)
        for name in [name for name in self._unnamed_since if name not in self._cache.pods]:
            del self._unnamed_since[name]
        return {name: now - since for name, since in self._unnamed_since.items()}

    async def _start(self, document: Document, database: Key | None) -> None:
        suffix = base64.b32encode(self._random_bytes(SUFFIX_BYTES)).decode().lower()
        pod = compute_pod(document, self._settings, suffix, database)
        self._cache.pod_seen(see_pod(await self._kube.create(POD, pod)))

    async def _say(self, document: Document, plan: PoolPlan) -> None:
        status = pool_status(document, plan, api_time(self._clock.wall_s()))
        if plan.failure:
            note = f"a compute failed before it served anybody: {plan.failure}"
            tell = Tell(document, Weight.WARNING, "ComputeFailed", note)
            await self._executor.carry_out(tell)
        if status is not None:
            await self._executor.carry_out(Apply(WARM_POOL, status, "status"))

    async def _let_go(self, document: Document) -> None:
        finalizers = metadata(document).get("finalizers") or []
        others = [finalizer for finalizer in finalizers if finalizer != POOL_FINALIZER]
        if others != finalizers:
            patch = {"metadata": {"resourceVersion": version_of(document), "finalizers": others}}
            await self._executor.carry_out(Patch(WARM_POOL, key_of(document), patch))
