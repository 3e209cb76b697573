"""The same town on Kubernetes: the real adapter, over an API server that fails as the seed wants.

What the others of a cluster do is played here as it is there: kubelets say what has ended, the
operator keeps the pool and lets go of pods that nobody needs, and a node controller that hears
nothing of a node writes what it believes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any

from simulation.kube_port import FailingKube, Stale
from simulation.town import SETTINGS, Life, Town
from support.fake_kube.errors import ApiError
from support.fake_kube.objects import Key, Objects
from support.fakes.agent import FakeAgent
from support.fakes.cluster import FakeCluster
from support.kube_people import ENDED, RUNNING, pod_document, provided, verifiers_document
from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import ServerlessDatabase
from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
from torpor_autoscaler.adapters.kubernetes.documents import known_from
from torpor_autoscaler.settings import OnKubernetes
from torpor_kube import kinds, names
from torpor_kube.documents import metadata, name_of
from torpor_kube.fencing import why_not_gone
from torpor_kube.port import ChangeType, Document, Kube
from torpor_operator.adapters.components import LET_GO_S_MAX

SYSTEM, POOL = "torpor-system", "default"

GRACE_S = 60.0
"""Of an evicted pod, beyond the time for its sessions to move."""

EVICTED = 0.8
"""Of the agents that are told to end; the others' pods are not deleted."""

DEAD_S_MAX = 5.0
"""For which an operator that has died is not there."""

TURN_S_MAX = 0.3
"""Between two looks of kubelets and operator."""


class KubeCluster(FakeCluster):
    """What is so, is so in the API server; the fake's own records follow it for the checkers."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self.objects = Objects()
        for kind, name in ((kinds.NAMESPACE, SYSTEM), (kinds.WARM_POOL, POOL)):
            head = {"name": name, **({"namespace": SYSTEM} if kind.is_namespaced else {})}
            self.objects.create(kind, {"metadata": head})
        self._ended_at: dict[str, float] = {}
        self.pods_let_go = 0
        """Early."""
        self._let_go: set[str] = set()
        """By the autoscaler's word."""
        self._named: set[str] = set()
        """Of what the operator saw at its last look."""
        self.ask: Callable[[m.AskLetGo], Awaitable[m.LetGo]] = _nobody
        self._seen = self.objects.version
        self.objects.listeners.add(self._follow)

    # --- people ----------------------------------------------------------------------------

    def apply(self, document: object) -> ServerlessDatabase:
        assert isinstance(document, dict)
        name, spec = document["metadata"]["name"], document["spec"]
        self._provision(name)
        head = {"name": name, "namespace": "default"}
        wanted = {"metadata": head, "spec": spec}
        resource = known_from({**wanted, "status": {}}).resource
        assert resource is not None
        secret = verifiers_document(resource, SYSTEM)
        self.objects.apply(_key(kinds.SECRET, secret), secret, names.OPERATOR_MANAGER, "")
        key: Key = (kinds.SERVERLESS_DATABASE, "default", name)
        self.objects.apply(key, wanted, "kubectl", "")
        if name not in self.resources:
            status = provided(self.objects.get(key), 1, directory=f"/volumes/{name}")
            self.objects.apply(key, status, names.OPERATOR_MANAGER, "status")
        return self.resources[name]

    def touch(self, name: str) -> None:
        labels = {"touched": str(self.objects.version)}
        key = (kinds.SERVERLESS_DATABASE, "default", name)
        self.objects.patch(key, {"metadata": {"labels": labels}}, "")

    def forget_history(self) -> None:
        self.objects.compact()

    def _follow(self) -> None:
        for happened in self.objects.since(self._seen):
            self._seen = happened.version
            if happened.key[0] is not kinds.SERVERLESS_DATABASE:
                continue
            assert happened.type is not ChangeType.DELETED
            known = known_from(happened.document)
            if known.resource is None or known.storage is None:
                continue
            before = self.resources.get(known.name)
            self.resources[known.name] = known.resource
            if before is not None and before.status != known.resource.status:
                self.statuses.append((known.name, known.resource.status))

    # --- agents ----------------------------------------------------------------------------

    def start_agent(self) -> FakeAgent:
        agent = super().start_agent()
        self.objects.create(kinds.POD, pod_document(agent.compute, SYSTEM, node="n1"))
        self.objects.patch(_pod(agent.compute), {"status": RUNNING}, "status")
        return agent

    def lose_agent(self, compute: str) -> None:
        """Its kubelet will see it."""
        self.agents.pop(compute).kill()

    def evict(self, compute: str, grace_s: float) -> None:
        """Its pod is deleted, and has so long to end."""
        self.objects.delete(_pod(compute), {}, int(grace_s))

    def refill(self) -> None:
        """The operator does, in its time."""

    async def live(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0, TURN_S_MAX))
            for pod in self._pods():
                if name_of(pod) in self.unfenceable:
                    self._believe(pod)
                else:
                    self._look(pod)
            self._operate()

    def _pods(self) -> list[Document]:
        """Not copies, which would take most of the simulation's time."""
        stored = self.objects.stored.items()
        return [one.document for key, one in stored if key[0] is kinds.POD]

    def _look(self, pod: Document) -> None:
        """A kubelet."""
        compute, is_deleted = name_of(pod), "deletionTimestamp" in metadata(pod)
        if is_deleted and compute in self.agents and not self.agents[compute].is_leaving:
            self.lose_agent(compute)
        if compute not in self.agents and why_not_gone(pod):
            self._end(compute)
            if is_deleted:
                self.objects.delete(_pod(compute), {}, 0)

    def _end(self, compute: str) -> None:
        self._ended_at[compute] = asyncio.get_running_loop().time()
        self.objects.patch(_pod(compute), {"status": ENDED}, "status")

    def _believe(self, pod: Document) -> None:
        """The node controller and the collector of pods: words, and no proof."""
        if self._random.random() < 0.05:
            status = {"phase": "Failed", "reason": "NodeLost"}
            self.objects.patch(_pod(name_of(pod)), {"status": status}, "status")
            self.objects.delete(_pod(name_of(pod)), {}, 0)

    def _operate(self) -> None:
        claimed = {
            resource.status.compute
            for resource in self.resources.values()
            if resource.status.phase is not Phase.SUSPENDED
        }
        self._let_go_of_ended()
        warm = []
        for pod in self._pods():
            compute = name_of(pod)
            if compute in claimed or not why_not_gone(pod):
                continue
            agent = self.agents.get(compute)
            if agent is not None and agent.claims:
                self._delete(compute)
            elif "deletionTimestamp" not in metadata(pod):
                warm.append(compute)
        pool = self.objects.get((kinds.WARM_POOL, SYSTEM, POOL))
        wanted = (pool.get("status") or {}).get("wanted", 0)
        for _ in range(wanted - len(warm)):
            self.start_agent()
        for compute in warm[wanted:]:
            self._delete(compute)

    def _let_go_of_ended(self) -> None:
        """By what it saw of the records at its last look, which is some time ago."""
        now = asyncio.get_running_loop().time()
        for compute in self._ended():
            is_late = now >= self._ended_at[compute] + names.ENDED_POD_KEPT_S
            if is_late or compute in self._let_go:
                self.objects.patch(_pod(compute), {"metadata": {"finalizers": None}}, "")
                with contextlib.suppress(ApiError):
                    self.objects.delete(_pod(compute), {}, 0)
                self._let_go.discard(compute)
                self.pods_let_go += not is_late
        statuses = [resource.status for resource in self.resources.values()]
        self._named = {status.compute for status in statuses if status.compute is not None}

    def _ended(self) -> list[str]:
        """Those that no record names."""
        ended = [name_of(pod) for pod in self._pods() if not why_not_gone(pod)]
        return [compute for compute in ended if compute not in self._named]

    async def ask_about_ended(self) -> None:
        """The operator, beside its other business. Between the word and its deed it may die."""
        while True:
            await asyncio.sleep(self._random.uniform(0, TURN_S_MAX))
            with contextlib.suppress(Unavailable):
                told = await self.ask(m.AskLetGo(computes=tuple(self._ended())))
                await asyncio.sleep(self._random.choice((0.0, 0.0, DEAD_S_MAX)))
                self._let_go |= set(told.computes)

    def _delete(self, compute: str) -> None:
        self.objects.delete(_pod(compute), {}, 5)


async def _nobody(_: m.AskLetGo) -> m.LetGo:
    raise Unavailable("no autoscaler answers")


class KubeLife(Life):
    """Its adapter is the real one."""

    settings = replace(SETTINGS, cluster=OnKubernetes(SYSTEM, POOL, None))

    def __init__(self, town: KubeTown) -> None:
        self._adapter = KubernetesCluster(self.kube(town), system_namespace=SYSTEM)
        self._start: asyncio.Task[None] | None = None
        self._listens = False
        super().__init__(town)

    def kube(self, town: KubeTown) -> Kube:
        return FailingKube(town.kube.objects, town.network, town.random, town.stale)

    def begin(self) -> None:
        self._start = asyncio.create_task(self._begin())

    async def _begin(self) -> None:
        """A process that can't reach its API server ends, and is started again."""
        while True:
            try:
                await self._adapter.start(self.autoscaler.fleet)
                break
            except Unavailable:
                await self._adapter.close()
        self.autoscaler.begin()
        self._listens = True

    async def let_go(self, asked: m.AskLetGo) -> m.LetGo:
        if self.ended.is_set() or not self._listens:
            return await _nobody(asked)
        return self.autoscaler.desk.let_go(asked)

    async def end(self) -> None:
        if self._start is not None:
            self._start.cancel()
            await asyncio.gather(self._start, return_exceptions=True)
        await self._adapter.close()
        await super().end()

    async def ask(
        self, request: m.Request[Any], *, timeout_s: float, can_wait: bool = False
    ) -> Any:
        self._town.asked_cluster(request)
        return await self._adapter.ask(request, timeout_s=timeout_s, can_wait=can_wait)


class KubeTown(Town):
    """Everything there is, on Kubernetes."""

    def _told_by_cluster(self, event: m.Event) -> None:
        """What is so the adapter's watches tell, and nobody else."""

    def drain(self, agent: FakeAgent, leave_s: float) -> None:
        """Its pod is evicted; mostly: a kubelet whose node shuts down tells its agents alone."""
        super().drain(agent, leave_s)
        if self.random.random() < EVICTED:
            self.kube.evict(agent.compute, leave_s + GRACE_S)

    def __init__(self, random: Random) -> None:
        self.kube = KubeCluster(random)
        self.stale = Stale()
        super().__init__(random, self.kube)

    def is_wanted_away(self, agent: FakeAgent) -> bool:
        """Also where only the node controller has deleted its pod, which does not hear of it."""
        pod = self.kube.objects.get(_pod(agent.compute))
        return agent.is_leaving or "deletionTimestamp" in metadata(pod)

    def new_life(self) -> Life:
        return KubeLife(self)

    def begin(self) -> None:
        self.kube.ask = self._ask_autoscaler
        self.network.background(self.kube.live())
        self.network.background(self.kube.ask_about_ended())
        super().begin()

    async def _ask_autoscaler(self, asked: m.AskLetGo) -> m.LetGo:
        life = self.life
        assert isinstance(life, KubeLife)

        async def answer(_: m.Request[Any]) -> m.LetGo:
            return await life.let_go(asked)

        told: m.LetGo = await self.network.ask(answer, asked, timeout_s=LET_GO_S_MAX)
        return told


def _pod(compute: str) -> Key:
    return kinds.POD, SYSTEM, compute


def _key(kind: kinds.Kind, document: Document) -> Key:
    head = metadata(document)
    return kind, head["namespace"], head["name"]
