"""How many computes of a pool to start, which to end, and which pods to let go. Pure.

A compute serves one database in its life. Two things are never done to a pod that a database's
status names: it is not deleted, and it is not let go; only the autoscaler's fencer may say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from torpor_kube import names
from torpor_kube.documents import metadata
from torpor_kube.kinds import POD
from torpor_kube.port import Document
from torpor_operator.core.actions import Action, Delete, Patch
from torpor_operator.core.claims import CLAIM_WAIT_S, why_no_volume
from torpor_operator.core.naming import Key
from torpor_operator.core.pods import spec_of
from torpor_operator.core.seen_pods import SeenPod

BURST_MAX = 20
"""Pods that are made in one go; the next come when these are known."""

USED_S_MAX = 180.0
"""How long a compute that no database names any more may take to end by itself: longer than a watch
of databases may be silent."""

FAILED_KEPT_S = 600.0
"""How long a pod that failed before it served anybody stays, for people to look at its log."""

ENDED_MAX = 1000
"""Ended pods of a pool that are kept; beyond it the oldest go. They cost memory of etcd only."""

YOUNG_S = 30.0
"""For which a compute is kept though there is one too many: how many are wanted changes from one
second to the next, and what is ended while it starts is missed when it would be ready."""

PAUSE_S_MIN = 5.0
PAUSE_S_MAX = 300.0
"""Between two that fail: doubled with each, so that a bad image is no storm of pods."""


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """One pool as it is; clocks are in seconds since 1970, except where it says otherwise."""

    document: Document
    template: str
    """Of the pods that would be made now; empty: none can be."""
    pods: Collection[SeenPod]
    named: Collection[str]
    """Computes that the status of some database names, or that erase the data of one."""
    erasing: Collection[str] = ()
    """Of these, those that erase."""
    unnamed_s: Mapping[str, float] = field(default_factory=dict)
    """For how long a claimed pod has been seen without a database that names it."""
    ownerless: Collection[str] = ()
    """Computes that were made for a database which is deleted: nobody can claim them, and its
    volume can't go before they do."""
    awaiting: Collection[Key] = ()
    """Databases with a volume of their own that wait for a compute."""
    let_go: Collection[str] = ()
    """Computes that nobody will claim any more, by the autoscaler's word."""
    is_claim_bound: bool = True
    """Whether there is a volume for them to mount."""
    erasers: int = 0
    """Agents that are needed to erase data, beyond those that wait for databases and those that
    erase already."""


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What to do now, and when to look again although nothing has changed."""

    start: int = 0
    start_own: tuple[Key, ...] = ()
    """Databases for which one is to be started with their own volume."""
    actions: tuple[Action, ...] = ()
    to_ask: tuple[str, ...] = ()
    """Ended computes that are kept only for whoever claims them by older news: the autoscaler knows
    whether anybody will. The first to end comes first."""
    again_in_s: float | None = None
    wanted: int = 0
    warm: int = 0
    claimed: int = 0
    failure: str = ""
    """Why the last one that failed did so."""
    trouble: str = ""
    """Why one does not start."""
    waits_for_claim: bool = False
    """Computes wait in vain for the pool's volume, or did so when they last needed it."""


def plan_pool(facts: PoolFacts, now: float, namespace: str) -> PoolPlan:
    """Ends what is of no use, and reaches the number that is wanted."""
    wanted = wanted_size(facts.document) + facts.erasers
    alive = [p for p in facts.pods if not (p.has_ended or p.is_lost or p.is_deleting)]
    unclaimed = [p for p in alive if p.name not in facts.named and p.database is None]
    current = [pod for pod in unclaimed if pod.template == facts.template]
    failed = _failed(facts, now)
    wait_s = _pause_s(failed, now)
    missing = max(0, wanted - len(current))
    too_many = _too_many(current, wanted)
    return PoolPlan(
        start=0 if wait_s else min(missing, BURST_MAX),
        start_own=tuple(_owners_without(facts, alive, now)),
        actions=(
            *_surplus(facts, unclaimed, current, wanted, now, namespace),
            *_used(facts, alive, namespace),
            *_lost(facts, namespace),
            *_ended(facts, failed, now, namespace),
        ),
        to_ask=_to_ask(facts, failed, now),
        again_in_s=_again_in_s(facts, alive, failed, too_many, wait_s if missing else 0.0, now),
        wanted=wanted,
        warm=sum(pod.is_ready for pod in unclaimed),
        claimed=sum(p.name in facts.named and p.name not in facts.erasing for p in facts.pods),
        failure=failed[-1].failure if failed else "",
        trouble=next((pod.trouble for pod in current if pod.trouble), ""),
        waits_for_claim=_waits_for_claim(facts, current, now),
    )


def _waits_for_claim(facts: PoolFacts, current: list[SeenPod], now: float) -> bool:
    """Once said it stays so until there is a volume: it gets no better when nobody waits."""
    waited = any(_claim_awaited_s(pod, now) >= CLAIM_WAIT_S for pod in current)
    return not facts.is_claim_bound and (waited or bool(why_no_volume(facts.document)))


def _claim_awaited_s(pod: SeenPod, now: float) -> float:
    return 0.0 if pod.is_ready else now - pod.created_at


def wanted_size(document: Document) -> int:
    """What the autoscaler wants, within the pool's bounds; nothing once it is being deleted."""
    if is_leaving(document):
        return 0
    size = spec_of(document).size
    return max(size.min, min(size.max, int((document.get("status") or {}).get("wanted") or 0)))


def may_be_let_go(facts: PoolFacts) -> bool:
    """Whether a pool that is being deleted has no pod left that may still run, and none to make:
    data of the databases that are deleted with it can be erased by nobody else."""
    return is_leaving(facts.document) and not facts.pods and not facts.erasers


def is_leaving(pool: Document) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in metadata(pool)


def _owners_without(facts: PoolFacts, alive: list[SeenPod], now: float) -> Iterator[Key]:
    """One at a time each: its successor could not mount the volume before it has ended."""
    without = [] if is_leaving(facts.document) else _without_own(facts, alive)
    for database in without[:BURST_MAX]:
        if not _pause_s(_failed(facts, now, database), now):
            yield database


def _without_own(facts: PoolFacts, alive: list[SeenPod]) -> list[Key]:
    """Those that wait and have none that they could claim."""
    served = {pod.database for pod in alive if pod.is_dedicated and pod.name not in facts.named}
    return sorted(database for database in facts.awaiting if database not in served)


def _failed(facts: PoolFacts, now: float, owner: Key | None = None) -> list[SeenPod]:
    """Those that failed of late before they served anybody; the latest last.

    ``owner``: of those that were made for this database.
    """
    failed = [
        pod
        for pod in facts.pods
        if pod.failure and pod.database == owner and pod.name not in facts.named
        if pod.is_lost or not pod.is_deleting  # Else it was told to end.
        if pod.is_dedicated is (owner is not None)
        if now - (pod.ended_at or pod.created_at) < FAILED_KEPT_S
    ]
    return sorted(failed, key=lambda pod: pod.ended_at or pod.created_at)


def _pause_s(failed: list[SeenPod], now: float) -> float:
    """How long to wait before another one is tried."""
    if not failed:
        return 0.0
    pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2.0 ** (len(failed) - 1))
    return max(0.0, (failed[-1].ended_at or failed[-1].created_at) + pause_s - now)


def _surplus(
    facts: PoolFacts,
    unclaimed: list[SeenPod],
    current: list[SeenPod],
    wanted: int,
    now: float,
    namespace: str,
) -> Iterator[Action]:
    """Too many, or made from what the pool no longer is.

    Not by name alone: where one has changed since it was seen, it may just be claimed.
    """
    ready = sum(pod.is_ready for pod in current)
    outdated = [pod for pod in unclaimed if pod.template != facts.template]
    kept = max(0, wanted - ready)
    too_many = [pod for pod in _too_many(current, wanted) if _grown_in_s(facts, pod, now) <= 0]
    for pod in [*too_many, *sorted(outdated, key=lambda pod: pod.created_at)[kept:]]:
        yield Delete(POD, Key(namespace, pod.name), pod.version)


def _too_many(current: list[SeenPod], wanted: int) -> list[SeenPod]:
    """A claim takes the oldest that is ready: the youngest and those that are not go first."""
    by_worth = sorted(current, key=lambda pod: (not pod.is_ready, pod.created_at, pod.name))
    return by_worth[wanted:]


def _grown_in_s(facts: PoolFacts, pod: SeenPod, now: float) -> float:
    return 0.0 if is_leaving(facts.document) else pod.created_at + YOUNG_S - now


def _used(facts: PoolFacts, alive: list[SeenPod], namespace: str) -> Iterator[Action]:
    for pod in alive:
        is_late = facts.unnamed_s.get(pod.name, 0.0) >= USED_S_MAX
        if _is_used(facts, pod) and (is_late or pod.name in facts.ownerless):
            yield Delete(POD, Key(namespace, pod.name), pod.version)


def _lost(facts: PoolFacts, namespace: str) -> Iterator[Action]:
    """Once deleted it goes with time, as one does whose node is silent."""
    for pod in facts.pods:
        if pod.is_lost and not pod.is_deleting and pod.name not in facts.named:
            yield Delete(POD, Key(namespace, pod.name), pod.version)


def _is_used(facts: PoolFacts, pod: SeenPod) -> bool:
    return pod.database is not None and pod.name not in facts.named


def _ended(facts: PoolFacts, failed: list[SeenPod], now: float, namespace: str) -> Iterator[Action]:
    for pod in _kept(facts, failed, now)[:-ENDED_MAX]:
        yield from _removal(pod, namespace)
    for pod in _removable(facts, failed, now):
        if _kept_s(facts, pod, now) <= 0:
            yield from _removal(pod, namespace)


def _removable(facts: PoolFacts, failed: list[SeenPod], now: float) -> Iterator[SeenPod]:
    """Those that are over, and that nobody wants to look at."""
    for pod in facts.pods:
        is_shown = not is_leaving(facts.document) and pod in failed and not pod.is_deleting
        if _is_over(facts, pod, now) and not is_shown:
            yield pod


def _to_ask(facts: PoolFacts, failed: list[SeenPod], now: float) -> tuple[str, ...]:
    kept = [pod for pod in _removable(facts, failed, now) if _kept_s(facts, pod, now) > 0]
    return tuple(pod.name for pod in sorted(kept, key=lambda pod: pod.ended_at))


def _removal(pod: SeenPod, namespace: str) -> Iterator[Action]:
    if pod.is_fenced:
        yield _release(pod, namespace)
    if not pod.is_deleting:
        yield Delete(POD, Key(namespace, pod.name))


def _is_over(facts: PoolFacts, pod: SeenPod, now: float) -> bool:
    """No database names it, and it has ended; or it was deleted so long ago that nobody can claim
    it any more by older news: what its node does with it then concerns nobody.
    """
    if pod.name in facts.named:
        return False
    return pod.has_ended or (pod.is_deleting and _forgotten_in_s(pod, now) <= 0)


def _forgotten_in_s(pod: SeenPod, now: float) -> float:
    return pod.deleted_at + names.ENDED_POD_KEPT_S - now


def _kept(facts: PoolFacts, failed: list[SeenPod], now: float) -> list[SeenPod]:
    """Ended ones that stay for a while; the latest last."""
    over = [pod for pod in facts.pods if _is_over(facts, pod, now)]
    kept = [pod for pod in over if pod in failed or _kept_s(facts, pod, now) > 0]
    return sorted(kept, key=lambda pod: pod.ended_at)


def _kept_s(facts: PoolFacts, pod: SeenPod, now: float) -> float:
    """For how long it stays: who claims it by older news must find the word that it has ended.

    One that has never run was never ready, and nobody could have claimed it.
    """
    if not pod.ended_at or pod.name in facts.ownerless or pod.name in facts.let_go:
        return 0.0
    return pod.ended_at + names.ENDED_POD_KEPT_S - now


def _release(pod: SeenPod, namespace: str) -> Patch:
    others = [finalizer for finalizer in pod.finalizers if finalizer != names.FENCE_FINALIZER]
    patch = {"metadata": {"resourceVersion": pod.version, "finalizers": others}}
    return Patch(POD, Key(namespace, pod.name), patch)


def _again_in_s(
    facts: PoolFacts,
    alive: list[SeenPod],
    failed: list[SeenPod],
    too_many: list[SeenPod],
    wait_s: float,
    now: float,
) -> float | None:
    pauses = [_pause_s(_failed(facts, now, one), now) for one in _without_own(facts, alive)]
    moments = [pause_s for pause_s in (wait_s, *pauses) if pause_s]
    moments += [_grown_in_s(facts, pod, now) for pod in too_many]
    moments += [FAILED_KEPT_S - (now - (pod.ended_at or pod.created_at)) for pod in failed]
    moments += [
        _kept_s(facts, pod, now)
        for pod in facts.pods
        if pod not in failed and _is_over(facts, pod, now) and _kept_s(facts, pod, now) > 0
    ]
    moments += [
        _forgotten_in_s(pod, now)
        for pod in facts.pods
        if pod.is_deleting and not pod.has_ended and pod.name not in facts.named
    ]
    if not facts.is_claim_bound:
        waited = [_claim_awaited_s(pod, now) for pod in alive if not pod.is_ready]
        moments += [CLAIM_WAIT_S - waited_s for waited_s in waited if waited_s < CLAIM_WAIT_S]
    moments += [
        USED_S_MAX - facts.unnamed_s.get(pod.name, 0.0) for pod in alive if _is_used(facts, pod)
    ]
    return max(1.0, min(moments)) if moments else None
