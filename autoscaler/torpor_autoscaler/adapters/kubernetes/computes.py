"""The pods of computes: told to the fleet, labelled at a claim, and confirmed gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal

from torpor_api.failures import Conflict, Failure, NotFenced, NotFound, Unavailable
from torpor_api.identity import split_endpoint_name
from torpor_api.sizes import cpu_milli, memory_bytes
from torpor_api.warm_pool import PoolResources
from torpor_autoscaler.adapters.kubernetes.pods import Compute, compute_from
from torpor_autoscaler.adapters.kubernetes.sizes import Amount, resize_patch, wanted_limits
from torpor_autoscaler.ports import ClusterFacts
from torpor_kube import names
from torpor_kube.documents import is_older, labels_of
from torpor_kube.fencing import is_out_of_service
from torpor_kube.kinds import NODE, POD, WARM_POOL
from torpor_kube.port import Kube, PatchForm
from torpor_kube.watching import Watch

log = logging.getLogger(__name__)

FENCE_GRACE_S = 5
"""For an agent that is sound and only out of our reach: enough for a checkpoint that is nearly
done, which saves the next start a recovery; then the kubelet kills it."""

ENDED_REMEMBERED_MAX = 10_000
"""Names; a claim that was sent before its compute ended comes no later than so many other ends."""

LABEL_TRIES_MAX = 5
"""A kubelet writes a few times to a pod in the moment in which it is claimed, and not for long."""

FENCE_WAIT_S = 20.0
"""For the kubelet's word after that. Then whoever asked hears why, and asks again."""


class Computes:
    """Everything in the system namespace that is labelled as a compute."""

    def __init__(self, kube: Kube, system: str) -> None:
        self._kube = kube
        self._system = system
        self._fleet: ClusterFacts | None = None
        self._pods: dict[str, Compute] = {}
        self._told: set[str] = set()
        """Those that the fleet knows: they were ready once, or a database names them."""
        self._ended: dict[str, None] = {}
        """The latest whose kubelet has said so: that stays true when their pods are gone."""
        self._awaited: dict[str, asyncio.Event] = {}
        """Set at the kubelet's word that the compute has ended."""
        self._labelling: set[asyncio.Task[None]] = set()
        self.watch = Watch(
            kube, POD, compute_from, self, namespace=system, labels=names.COMPUTE_SELECTOR
        )

    def start(self, fleet: ClusterFacts) -> None:
        self._fleet = fleet
        self.watch.start()

    async def close(self) -> None:
        await self.watch.close()
        for task in list(self._labelling):
            task.cancel()
        await asyncio.gather(*self._labelling, return_exceptions=True)

    # --- from the watch --------------------------------------------------------------------

    def listed(self, all: Iterable[Compute]) -> None:
        self._pods = {pod.name: pod for pod in all}
        self._told &= set(self._pods)
        for pod in self._pods.values():
            self._note_end(pod)
        self._tell_all()
        for pod in self._pods.values():
            self._end_waiting(pod)

    def changed(self, one: Compute) -> None:
        known = self._pods.get(one.name)
        if known is not None and known.uid == one.uid and is_older(one.version, known.version):
            return  # The answer to a resize was newer, and the watch will say it.
        self._pods[one.name] = one
        self._note_end(one)
        if self._is_told(one):
            self._tell(one)
        self._end_waiting(one)

    def deleted(self, one: Compute) -> None:
        """An object that vanished before its end was confirmed: nobody knows whether it runs."""
        self._pods.pop(one.name, None)
        self._note_end(one)
        self._end_waiting(one)
        if one.name not in self._told:
            return
        if one.is_gone:
            self._tell(one)
        self._told.discard(one.name)
        if not one.is_gone:
            self._tell_all()

    def _note_end(self, pod: Compute) -> None:
        # Objects that were restored from an older state may run again under their old names.
        self._ended.pop(pod.name, None)
        if pod.is_gone:
            self._ended[pod.name] = None
            if len(self._ended) > ENDED_REMEMBERED_MAX:
                del self._ended[next(iter(self._ended))]

    def _is_told(self, pod: Compute) -> bool:
        """One that is being deleted as well: a database that it serves has to move. And one that
        has ended, so that no older news of it is believed and its pod may be let go."""
        return pod.name in self._told or pod.is_gone or (pod.is_ready and bool(pod.address))

    def _tell(self, pod: Compute) -> None:
        assert self._fleet is not None
        self._told.add(pod.name)
        self._fleet.agent_changed(pod.info)

    def _tell_all(self) -> None:
        assert self._fleet is not None
        told = [pod for pod in self._pods.values() if self._is_told(pod)]
        self._told |= {pod.name for pod in told}
        self._fleet.agents_listed([pod.info for pod in told])

    def _end_waiting(self, pod: Compute) -> None:
        if pod.is_gone and pod.name in self._awaited:
            self._awaited[pod.name].set()

    # --- the fencer ------------------------------------------------------------------------

    async def make_gone(
        self, compute: str, database: str, sworn: Callable[[], Awaitable[str]]
    ) -> None:
        """Answered once nothing of the compute can write. Raises NotFenced with what is missing.

        ``sworn``: the compute of which a person says, on the resource, that it runs nowhere; asked
        when it counts, for a person may say so in the time for which a kubelet is waited for.
        """
        try:
            pod = compute_from(await self._kube.get(POD, compute, self._system))
        except NotFound:
            if compute not in self._ended and await sworn() != compute:
                raise _vanished(compute, database) from None
            return
        if pod.is_gone:
            self._bury(pod)
        elif await self._is_off(pod):
            await self._end(pod)
            self._bury(pod)
        elif compute not in self._told and pod.address:
            # It was claimed before we came, and the fleet has only now a chance to ask it.
            self._tell(pod)
            raise NotFenced(f"{database}: compute {compute} has only now become known")
        else:
            await self._end_or_believe(pod, database, sworn)

    async def _end_or_believe(
        self, pod: Compute, database: str, sworn: Callable[[], Awaitable[str]]
    ) -> None:
        """Of a pod that is there a kubelet is waited for first: a person's word counts only where
        none has answered, and saves nobody that time."""
        try:
            await self._end_and_wait(pod, database)
        except NotFenced:
            if await sworn() != pod.name:
                raise
            self._bury(pod)

    async def _end(self, pod: Compute) -> bool:
        """Whether it was there. Else what is known of it is what the watch hears."""
        try:
            await self._kube.delete(POD, pod.name, self._system, uid=pod.uid, grace_s=FENCE_GRACE_S)
        except NotFound:
            return False
        return True

    async def _end_and_wait(self, pod: Compute, database: str) -> None:
        has_ended = self._awaited.setdefault(pod.name, asyncio.Event())
        if pod.name in self._pods:
            self._end_waiting(self._pods[pod.name])  # The word may have come since it was read.
        try:
            if not await self._end(pod) and pod.name in self._ended:
                return  # All of that was heard since it was read.
            async with asyncio.timeout(FENCE_WAIT_S):
                await has_ended.wait()
        except TimeoutError:
            raise _not_fenced(self._pods.get(pod.name, pod), database) from None
        finally:
            if self._awaited.get(pod.name) is has_ended:
                del self._awaited[pod.name]

    async def _is_off(self, pod: Compute) -> bool:
        if not pod.node:
            return False
        try:
            return is_out_of_service(await self._kube.get(NODE, pod.node))
        except NotFound:
            return False  # Whoever deletes a Node object has not ended what runs there.

    def _bury(self, pod: Compute) -> None:
        assert self._fleet is not None
        self._told.add(pod.name)
        self._fleet.agent_changed(pod.info.model_copy(update={"is_gone": True}))

    # --- sizes -----------------------------------------------------------------------------

    async def resize(self, compute: str, cu: Decimal) -> None:
        """Answered when the server has taken it; what the kubelet makes of it the pod will say.

        Raises Refused or InvalidRequest where the server does not take it.
        """
        pod = await self._kube.get(POD, compute, self._system)
        if wanted_limits(pod) == Amount(cpu_milli(cu), memory_bytes(cu)):
            return
        pool = await self._kube.get(
            WARM_POOL, labels_of(pod).get(names.POOL_LABEL, ""), self._system
        )
        resources = (pool.get("spec") or {}).get("resources") or {}
        patch = resize_patch(pod, cu, PoolResources.model_validate(resources, extra="ignore"))
        patched = await self._kube.patch(
            POD, compute, self._system, patch, form=PatchForm.STRATEGIC, subresource="resize"
        )
        self._learn(compute_from(patched))

    def _learn(self, answer: Compute) -> None:
        """Else what the kubelet said of the former size would be taken for its answer. But the
        watch may have said more meanwhile: that it has ended."""
        known = self._pods.get(answer.name)
        if known is not None and known.uid == answer.uid:
            self.changed(answer)

    # --- labels ----------------------------------------------------------------------------

    def label(self, compute: str, database: str, *, is_sure: bool) -> None:
        """With whom it serves; nothing waits for it. ``is_sure``: its agent has said so."""
        known = self._pods.get(compute)
        if known is not None and _keeps_label(known, database, is_sure):
            return
        task = asyncio.create_task(self._label(compute, database, is_sure))
        self._labelling.add(task)
        task.add_done_callback(self._labelling.discard)

    async def _label(self, compute: str, database: str, is_sure: bool) -> None:
        known = self._pods.get(compute)
        try:
            for _ in range(LABEL_TRIES_MAX):
                if known is None:
                    known = compute_from(await self._kube.get(POD, compute, self._system))
                if _keeps_label(known, database, is_sure):
                    return
                try:
                    await self._patch_labels(known, database)
                    return
                except Conflict:
                    known = None
            raise Unavailable(f"its pod has changed {LABEL_TRIES_MAX} times meanwhile")
        except Failure as failure:
            fields = {"compute": compute, "database": database, "reason": failure.message}
            log.warning("compute_not_labelled", extra=fields)

    async def _patch_labels(self, pod: Compute, database: str) -> None:
        """Raises Conflict where the pod has changed since."""
        name, namespace = split_endpoint_name(database)
        labels = {names.DATABASE_LABEL: name, names.DATABASE_NAMESPACE_LABEL: namespace}
        patch = {"metadata": {"resourceVersion": pod.version, "labels": labels}}
        self._learn(compute_from(await self._kube.patch(POD, pod.name, self._system, patch)))


def _keeps_label(pod: Compute, database: str, is_sure: bool) -> bool:
    """Another's stays until the agent has said whose it is: a claim may come second, and the pod of
    one that erases data is kept by its label, as the word of its end."""
    return pod.labelled == database or (bool(pod.labelled) and not is_sure)


def _annotate(compute: str) -> str:
    return f"kubectl annotate sdb NAME {names.GONE_COMPUTE_ANNOTATION}={compute}"


def _vanished(compute: str, database: str) -> NotFenced:
    return NotFenced(
        f"{database}: the pod of compute {compute} vanished before a kubelet said that it ended",
        f"once you are sure that no node runs it: {_annotate(compute)}",
    )


def _not_fenced(pod: Compute, database: str) -> NotFenced:
    return NotFenced(
        f"{database}: nobody says that compute {pod.name} on node {pod.node} has ended: "
        f"{pod.why_not_gone}",
        f"if the node is off for good: kubectl taint nodes {pod.node} "
        "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute; "
        f"once you are sure that it does not run: {_annotate(pod.name)}",
    )
