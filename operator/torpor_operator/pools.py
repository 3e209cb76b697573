"""Looks at one pool: its volume claim, its pods, its status."""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from math import inf

from torpor_api.failures import Failure, InvalidRequest, NotFound
from torpor_kube.documents import metadata, name_of, version_of
from torpor_kube.kinds import POD, VOLUME_CLAIM, WARM_POOL
from torpor_kube.port import Document, Kube
from torpor_kube.times import Clock, api_time
from torpor_operator.attempts import Attempts
from torpor_operator.core.actions import Action, Apply, Create, Delete, Patch, Tell, Weight
from torpor_operator.core.cache import Cache
from torpor_operator.core.claims import VOLUME_SIZED, SeenClaim, growth
from torpor_operator.core.conditions import Finding
from torpor_operator.core.naming import POOL_FINALIZER, Key, key_of, volume_claim
from torpor_operator.core.outdated import say_outdated
from torpor_operator.core.pods import PodSettings, compute_pod, spec_of, template_hash
from torpor_operator.core.pool import (
    PoolFacts,
    PoolPlan,
    is_leaving,
    may_be_let_go,
    plan_pool,
)
from torpor_operator.core.pool_status import pool_claim, pool_status, unread_status
from torpor_operator.core.seen_pods import SeenPod
from torpor_operator.executor import Executor, NameTaken, Stale
from torpor_operator.ports import Autoscaler

log = logging.getLogger(__name__)

STILL_NEEDED_S = 2.0
"""Between two questions about an ended compute that the autoscaler still needs."""

UNANSWERED_S = 15.0
"""Before the next one to an autoscaler that does not answer: warm computes are not to wait for it
each time."""

REFUSED_AGAIN_S = 15.0
"""After what the API server would not have: nobody tells when a quota has room again."""

_ENDS = "Ends"
"""Of what is refused where computes end: told in an event, and no condition of the pool's."""

SUFFIX_BYTES = 5
"""Eight characters of base32: a compute's id is never used again."""


class Pools:
    """Looks at them one at a time."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        executor: Executor,
        autoscaler: Autoscaler,
        clock: Clock,
        settings: PodSettings,
        databases: Callable[[], AsyncIterator[Document]],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._executor = executor
        self._autoscaler = autoscaler
        self._clock = clock
        self._settings = settings
        self._databases = databases
        self._random_bytes = random_bytes
        self._unnamed_since: dict[str, float] = {}
        self._let_go: set[str] = set()
        """Of the pods that are there."""
        self._ask_at = -inf
        """When the autoscaler may be asked about ended ones again."""

    async def look(self, key: Key) -> float | None:
        """Seconds after which to look again though nothing has changed; None: no need.

        What is of no use any more ends last: whoever waits for a compute does not wait for that.
        """
        attempts = Attempts()
        facts = await self._facts_of(key, attempts)
        if facts is None:
            return None
        plan = plan_pool(facts, self._clock.wall_s(), self._settings.namespace)
        if plan.start or plan.start_own:
            if not await self._is_there(facts.document):
                self._cache.pool_gone(key.name)
                return 0.0
            await attempts.make("ComputesRefused", self._start_all(facts.document, plan))
        if facts.template:
            await self._say(facts.document, plan, attempts.refusals)
        if key.name in self._cache.pools and may_be_let_go(facts):
            await self._release(self._cache.pools[key.name])
        claimed = await self._claimed_meanwhile(plan.actions)
        for action in (*plan.actions, *self._outdated(facts)):
            if not (isinstance(action, Delete) and action.key.name in claimed):
                await attempts.make("ComputesStay", self._executor.carry_out(action), type=_ENDS)
        if _ENDS in attempts.refusals and facts.template:
            await self._tell(facts.document, attempts.refusals[_ENDS])
        moments = [plan.again_in_s or inf, REFUSED_AGAIN_S if attempts.refusals else inf]
        if plan.to_ask:
            moments.append(await self._ask_about(plan.to_ask))
        attempts.end()
        return None if min(moments) == inf else min(moments)

    def _outdated(self, facts: PoolFacts) -> Iterator[Action]:
        namespace = self._settings.namespace
        return say_outdated(facts.document, facts.template, facts.pods, namespace)

    async def _facts_of(self, key: Key, attempts: Attempts) -> PoolFacts | None:
        """None: nobody knows what is to become of its pods."""
        document = self._cache.pools.get(key.name)
        if document is None:
            return self._facts_of_gone(key)
        try:
            spec_of(document)
        except InvalidRequest as invalid:
            await self._say_unread(document, invalid.message)
            return self._facts_of_gone(key) if is_leaving(document) else None
        if not is_leaving(document):
            await self._prepare(document, attempts)
        return self._facts(self._cache.pools.get(key.name, document))

    async def _ask_about(self, ended: Sequence[str]) -> float:
        """Seconds after which to look again; at once, where some are let go."""
        if self._clock.now() < self._ask_at:
            return self._ask_at - self._clock.now()
        try:
            found = await self._autoscaler.let_go(ended)
        except Failure as failure:
            fields = {"computes": len(ended), "reason": failure.message}
            log.info("ended_computes_not_asked_about", extra=fields)
            self._ask_at = self._clock.now() + UNANSWERED_S
            return UNANSWERED_S
        self._let_go = (self._let_go | set(found)) & set(self._cache.pods)
        return 0.0 if found else STILL_NEEDED_S

    async def _is_there(self, document: Document) -> bool:
        """Nobody may have heard of its end, and computes for a pool that is gone would come and go
        for ever."""
        try:
            found = await self._kube.get(WARM_POOL, name_of(document), self._settings.namespace)
        except NotFound:
            return False
        return metadata(found).get("uid") == metadata(document).get("uid")

    async def _prepare(self, document: Document, attempts: Attempts) -> None:
        """Before its first pod: who deletes it must wait for them, and they need a volume."""
        finalizers = metadata(document).get("finalizers") or []
        if POOL_FINALIZER not in finalizers:
            mine = {
                "resourceVersion": version_of(document),
                "finalizers": [*finalizers, POOL_FINALIZER],
            }
            await self._executor.carry_out(Patch(WARM_POOL, key_of(document), {"metadata": mine}))
        claim = pool_claim(document, self._settings.namespace)
        there, size = self._cache.claims.get(name_of(claim)), spec_of(document).storage.size
        if there is None:
            await attempts.make("ClaimRefused", self._claim(claim))
        elif there.is_less_than(size):
            grown = self._executor.carry_out(growth(key_of(claim), size))
            await attempts.make("Refused", grown, type=VOLUME_SIZED)

    async def _claim(self, claim: Document) -> None:
        try:
            await self._executor.carry_out(Create(VOLUME_CLAIM, claim))
        except Stale:
            return  # It has outlived an earlier pool of this name, with its data.
        except NameTaken:
            # Made beforehand by a person, whose it stays: nothing is told of it, but by pods.
            self._cache.claim_seen(name_of(claim), SeenClaim(is_bound=True, size=""))

    async def _claimed_meanwhile(self, actions: Sequence[Action]) -> set[str]:
        """A claim changes the database and not the pod: before those that may serve are ended, the
        databases themselves are asked, once for all of them, and no watch that may be silent."""
        deleted = [action.key.name for action in actions if isinstance(action, Delete)]
        asked = {name for name in deleted if self._may_serve(name)}
        found = set[str]()
        if asked:
            async for document in self._databases():
                found.add((document.get("status") or {}).get("compute") or "")
        return asked & found

    def _may_serve(self, name: str) -> bool:
        pod = self._cache.pods.get(name)
        return pod is not None and not pod.has_ended and (pod.is_ready or pod.database is not None)

    def _facts_of_gone(self, key: Key) -> PoolFacts:
        """Of a pool that is gone, or whose end is all that can be read of it: no pod is for it."""
        end = {"metadata": {"name": key.name, "deletionTimestamp": ""}}
        pods, named = self._cache.pods_of(key.name), self._named(key.name)
        return PoolFacts(
            document=end,
            template="",
            pods=pods,
            named=named,
            unnamed_s=self._unnamed_s(pods, named),
            ownerless=[one.name for one in pods if self._cache.is_ownerless(one)],
            let_go=self._let_go,
        )

    def _named(self, pool: str) -> set[str]:
        return self._cache.named_computes() | self._cache.erasing(pool)

    def _facts(self, document: Document) -> PoolFacts:
        name, template = name_of(document), template_hash(document, self._settings)
        self._executor.look_at(self._cache.template_known(name, template))
        pods, named = self._cache.pods_of(name), self._named(name)
        claim = self._cache.claims.get(volume_claim(name))
        return PoolFacts(
            document=document,
            template=template,
            pods=pods,
            named=named,
            unnamed_s=self._unnamed_s(pods, named),
            ownerless=[one.name for one in pods if self._cache.is_ownerless(one)],
            let_go=self._let_go,
            awaiting=self._cache.awaiting_compute(name),
            is_claim_bound=claim is not None and claim.is_bound,
            erasing=self._cache.erasing(name),
            erasers=self._cache.erasers.missing(name, pods),
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

    async def _start_all(self, document: Document, plan: PoolPlan) -> None:
        for database in (*plan.start_own, *[None] * plan.start):
            await self._start(document, database)

    async def _start(self, document: Document, database: Key | None) -> None:
        suffix = base64.b32encode(self._random_bytes(SUFFIX_BYTES)).decode().lower()
        pod = compute_pod(document, self._settings, suffix, database)
        self._executor.learn(POD, await self._kube.create(POD, pod))

    async def _say(
        self, document: Document, plan: PoolPlan, refusals: Mapping[str, Finding]
    ) -> None:
        now = api_time(self._clock.wall_s())
        status = pool_status(document, plan, refusals, self._settings.namespace, now)
        for refusal in refusals.values():
            await self._tell(document, refusal)
        if plan.failure:
            note = f"a compute failed before it served anybody: {plan.failure}"
            tell = Tell(document, Weight.WARNING, "ComputeFailed", note)
            await self._executor.carry_out(tell)
        if status is not None:
            await self._executor.carry_out(Apply(WARM_POOL, status, "status"))

    async def _tell(self, document: Document, refusal: Finding) -> None:
        log.warning("pool_refused", extra={"pool": name_of(document), "reason": refusal.message})
        tell = Tell(document, Weight.WARNING, refusal.reason, refusal.message)
        await self._executor.carry_out(tell)

    async def _say_unread(self, document: Document, message: str) -> None:
        note = Tell(document, Weight.WARNING, "Invalid", message)
        await self._executor.carry_out(note)
        status = unread_status(document, message, api_time(self._clock.wall_s()))
        if status is not None:
            await self._executor.carry_out(Apply(WARM_POOL, status, "status"))

    async def _release(self, document: Document) -> None:
        finalizers = metadata(document).get("finalizers") or []
        others = [finalizer for finalizer in finalizers if finalizer != POOL_FINALIZER]
        if others != finalizers:
            patch = {"metadata": {"resourceVersion": version_of(document), "finalizers": others}}
            await self._executor.carry_out(Patch(WARM_POOL, key_of(document), patch))
