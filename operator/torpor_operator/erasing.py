"""Has the data of a deleted database erased, by a compute that serves nobody.

The compute's pod is labelled with the database first. So everybody can see that it is none of
those that wait, and where it dies in the midst of its work, its pod is kept until the deletion is
over: as the word of its end, which the next one needs who takes the volume. Only one that has
answered, and so holds nothing, is labelled with another database, whose data it erases next.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from torpor_api.failures import (
    Conflict,
    Holder,
    NotFenced,
    NotFound,
    StaleEpoch,
    Unavailable,
)
from torpor_kube import names
from torpor_kube.documents import annotations_of
from torpor_kube.kinds import POD, SERVERLESS_DATABASE
from torpor_kube.port import Kube
from torpor_operator.core.actions import Action, Delete, Erase, Patch
from torpor_operator.core.cache import Cache
from torpor_operator.core.erasing import ERASER_WAIT_S, candidates
from torpor_operator.core.naming import Key
from torpor_operator.core.pool import wanted_size
from torpor_operator.core.seen_pods import SeenPod
from torpor_operator.core.targets import Target
from torpor_operator.ports import Agents

log = logging.getLogger(__name__)


class NoEraser(Unavailable):
    """None is free; one is being made, which is trouble only when it does not come."""

    is_late = False


class Eraser:
    """One per process."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        agents: Agents,
        report: Callable[[Iterable[Target]], None],
        carry_out: Callable[[Action], Awaitable[None]],
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._agents = agents
        self._report = report
        self._carry_out = carry_out
        self._holders: dict[Key, Holder] = {}
        """Whom volumes have named that are still to be erased: who came before, and died at it."""
        self._erasers = cache.erasers
        self._useless: set[str] = set()
        """Computes whose agent erases nothing for us: mostly the one that served the database until
        it slept, and that ends now."""

    async def erase(self, order: Erase) -> None:
        """Raises NoEraser, NotFenced; and Unavailable without a pool."""
        pool = self._cache.pools.get(order.pool)
        if pool is None:
            raise Unavailable(
                f"there is no WarmPool {order.pool!r}, whose computes could erase its data",
                hint="make it again, or write deletionPolicy: Retain",
            )
        try:
            order = await self._above_holder(order)
        except NotFenced:
            self._erasers.wait_no_more(order.database)  # No compute is kept for it until then.
            raise
        now = asyncio.get_running_loop().time()
        since = self._erasers.since(order.database, order.pool, now)
        is_in_line = self._erasers.are_there(self._cache.pods_of(order.pool))
        waited_s = 0.0 if is_in_line else now - since
        for name in self._candidates(order, wanted_size(pool), waited_s):
            pod = self._cache.pods.get(name)  # As it is by now.
            if pod is None or name in self._useless:
                continue
            if not self._erasers.may_begin(pod, order.database):
                continue
            if await self._is_done_by(pod, order):
                self._holders.pop(order.database, None)
                return
        self._report(self._cache.eraser_wanted(order.database, order.pool, since))
        waits = NoEraser(
            f"no compute of the pool {order.pool!r} is free to erase {order.directory}",
            hint="one is being started for it",
        )
        waits.is_late = waited_s >= ERASER_WAIT_S
        raise waits

    def _candidates(self, order: Erase, kept: int, waited_s: float) -> list[str]:
        pods, named = self._cache.pods_of(order.pool), self._cache.named_computes()
        free = self._erasers.free_of(pods)
        found = candidates(order.database, pods, named, free, kept, waited_s)
        return [pod.name for pod in found]

    async def _is_done_by(self, pod: SeenPod, order: Erase) -> bool:
        """Raises NotFenced, StaleEpoch where the volume knows of somebody whom we don't."""
        self._erasers.begin(pod.name, order.database)
        try:
            if pod.database != order.database:
                await self._label(pod, order.database)
            self._erasers.asked(pod.name)
            await self._ask(pod, order)
        except (Conflict, NotFound, Unavailable) as failure:
            name = order.database.endpoint
            fields = {"database": name, "compute": pod.name, "reason": failure.message}
            log.info("agent_could_not_erase", extra=fields)
            return False
        finally:
            self._erasers.end(pod.name)
        return True

    async def _ask(self, pod: SeenPod, order: Erase) -> None:
        try:
            await self._agents.erase(pod, order)
        except (NotFenced, StaleEpoch) as refused:
            if refused.holder is not None:
                self._holders[order.database] = refused.holder
                if refused.holder.compute != pod.name:
                    self._has_answered(pod)
            raise
        except Conflict:
            self._useless = (self._useless & self._cache.pods.keys()) | {pod.name}
            raise
        self._has_answered(pod)

    def _has_answered(self, pod: SeenPod) -> None:
        self._erasers.answered(pod.name)
        self._report(self._cache.eraser_free(pod.pool))

    async def _label(self, pod: SeenPod, database: Key) -> None:
        """Raises Conflict where it has changed since: it may have been claimed."""
        labels = {
            names.DATABASE_LABEL: database.name,
            names.DATABASE_NAMESPACE_LABEL: database.namespace,
        }
        mine = {"metadata": {"resourceVersion": pod.version, "labels": labels}}
        await self._carry_out(Patch(POD, Key(self._cache.system_namespace, pod.name), mine))

    async def _above_holder(self, order: Erase) -> Erase:
        """As it has to be after whoever has had the volume since the database slept, who is gone.

        Raises NotFenced."""
        holder = self._holders.get(order.database)
        if holder is None:
            return order
        epoch, fenced = max(order.epoch, holder.epoch + 1), order.fenced
        if holder.compute and holder.compute not in fenced:
            await self._confirm_gone(order.database, holder.compute)
            fenced = (*fenced, holder.compute)
        return replace(order, epoch=epoch, fenced=fenced)

    async def _confirm_gone(self, database: Key, compute: str) -> None:
        """Nothing of it erases any more. Raises NotFenced."""
        pod = self._cache.pods.get(compute)
        if pod is not None and pod.has_ended and pod.ended_at:  # By its kubelet's word.
            return
        if pod is None:
            words = "its pod has vanished before a kubelet said that it ended"
        else:
            words = "no kubelet says that it has ended"
            if not pod.is_deleting and compute not in self._cache.named_computes():
                key = Key(self._cache.system_namespace, compute)
                await self._carry_out(Delete(POD, key, pod.version))
        if (pod is None or pod.is_deleting) and await self._is_sworn(database, compute):
            return
        raise NotFenced(
            f"compute {compute} has the volume, and {words}",
            hint="once you are sure that no node runs it: "
            f"kubectl annotate sdb {database.name} {names.GONE_COMPUTE_ANNOTATION}={compute}",
        )

    async def _is_sworn(self, database: Key, compute: str) -> bool:
        """Whether a person says so; a kubelet was given its time to."""
        document = await self._kube.get(SERVERLESS_DATABASE, database.name, database.namespace)
        return annotations_of(document).get(names.GONE_COMPUTE_ANNOTATION) == compute
