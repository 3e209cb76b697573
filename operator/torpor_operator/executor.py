"""Carries actions out, and tells the cache at once what came of them.

So the next plan never starts from an older state than our own last write: a second look that knew
less would make a second password.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from torpor_api.failures import Conflict, NotFound
from torpor_kube import names
from torpor_kube.documents import is_older, labels_of, metadata, name_of, version_of
from torpor_kube.kinds import (
    CONFIG_MAP,
    POD,
    SECRET,
    SERVERLESS_DATABASE,
    SERVICE,
    VOLUME_CLAIM,
    WARM_POOL,
    Kind,
)
from torpor_kube.port import NOT_THERE, Document, Kube
from torpor_operator.core.actions import (
    Action,
    Apply,
    Create,
    Delete,
    Erase,
    Patch,
    Repair,
    Suspend,
    Tell,
)
from torpor_operator.core.cache import Cache, ChildId, see_child_of
from torpor_operator.core.claims import see_claim
from torpor_operator.core.naming import (
    MANAGED_BY,
    Key,
    controller_of,
    database_of,
    key_of,
)
from torpor_operator.core.retained import is_retained, see_retained
from torpor_operator.core.seen import see_database
from torpor_operator.core.seen_pods import see_pod
from torpor_operator.core.targets import Target
from torpor_operator.erasing import Eraser
from torpor_operator.notes import Notes
from torpor_operator.ports import Agents, Autoscaler

log = logging.getLogger(__name__)


class NameTaken(Conflict):
    """An object of that name is there, and it is somebody else's."""

    def __init__(self, child: ChildId, owner: str) -> None:
        super().__init__(f"{child.kind.kind} {child.key.name} belongs to {owner}")
        self.child = child
        self.owner = owner


class Stale(Conflict):
    """What was planned from is not how it is; by now it is known how it is."""


class Executor:
    """One per process."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        autoscaler: Autoscaler,
        agents: Agents,
        notes: Notes,
        report: Callable[[Iterable[Target]], None],
    ) -> None:
        """``report``: whatever it is told of is looked at."""
        self._kube = kube
        self._cache = cache
        self._autoscaler = autoscaler
        self._eraser = Eraser(kube, cache, agents, report, self.carry_out)
        self._notes = notes
        self._report = report

    async def carry_out(self, action: Action) -> None:
        """Raises the failure that came of it; what was done before it stays done."""
        match action:
            case Create():
                await self._create(action)
            case Repair():
                await self._repair(action)
            case Apply(kind, document, subresource):
                await self._apply(kind, document, subresource)
            case Patch(kind, key, patch, subresource):
                await self._patch(kind, key, patch, subresource)
            case Delete():
                await self._delete(action)
            case Suspend(database):
                await self._autoscaler.suspend(database)
            case Erase():
                await self._eraser.erase(action)
            case Tell():
                await self._notes.tell(action)

    async def carry_out_for(self, database: Key, action: Action) -> None:
        """What is deleted of it is known to be gone at once; the watch says it again."""
        await self.carry_out(action)
        if isinstance(action, Delete):
            self._cache.object_deleted(database, action.kind, action.key)

    def look_at(self, concerned: Iterable[Target]) -> None:
        """Something that was found out concerns them."""
        self._report(concerned)

    async def _apply(self, kind: Kind, document: Document, subresource: str = "") -> None:
        manager = names.OPERATOR_MANAGER
        made = await self._kube.apply(kind, document, manager=manager, subresource=subresource)
        self.learn(kind, made)

    async def _create(self, action: Create) -> None:
        """By an apply, so that what a later one leaves out goes; and never over another's, also
        where both are made in the same moment."""
        child = ChildId(action.kind, key_of(action.document))
        try:
            await self._apply(action.kind, _in_version(action.document, NOT_THERE))
        except Conflict:
            there = await self._there(child, action.document)
            if labels_of(there).get(names.MANAGED_BY_LABEL) != MANAGED_BY:
                raise NameTaken(child, "somebody else") from None
            owner = controller_of(there)
            if owner.get("uid") != controller_of(action.document).get("uid"):
                whose = f"{owner['kind']} {owner['name']}" if owner else "nobody"
                raise NameTaken(child, whose) from None
            self.learn(action.kind, there)
            raise Stale(f"{action.kind.kind} {child.key.name} is there already") from None

    async def _repair(self, action: Repair) -> None:
        child = ChildId(action.kind, key_of(action.document))
        there = await self._there(child, action.document)
        news = see_child_of(action.kind, there, self._cache.system_namespace)
        if news.child != action.seen:
            self._cache.child_seen(news)
            raise Stale(f"{action.kind.kind} {child.key.name} has been changed meanwhile")
        await self._apply(action.kind, _in_version(action.document, version_of(there)))

    async def _there(self, child: ChildId, planned: Document) -> Document:
        try:
            return await self._kube.get(child.kind, child.key.name, child.key.namespace)
        except NotFound:
            database = database_of(planned, self._cache.system_namespace)
            if database is not None:
                self._cache.child_gone(database, child)  # The watch has yet to tell its end.
            raise Stale(f"{child.kind.kind} {child.key.name} has gone meanwhile") from None

    async def _patch(self, kind: Kind, key: Key, patch: Document, subresource: str) -> None:
        try:
            made = await self._kube.patch(
                kind, key.name, key.namespace, patch, subresource=subresource
            )
        except NotFound:
            log.debug("gone_already", extra={"kind": kind.kind, "object": str(key)})
            return
        if kind == POD and key.name not in self._cache.pods:
            return  # It was when this was planned: the watch has told its end since.
        if "deletionTimestamp" not in metadata(made) or metadata(made).get("finalizers"):
            self.learn(kind, made)
        elif kind == SERVERLESS_DATABASE:
            self._report(self._cache.database_gone(key, version_of(made)))
        elif kind == WARM_POOL:
            self._report(self._cache.pool_gone(key.name, version_of(made)))

    async def _delete(self, action: Delete) -> None:
        kind, name, namespace = action.kind, action.key.name, action.key.namespace
        version, uid = action.resource_version, ""
        try:
            if action.owner is not None:
                there = await self._kube.get(kind, name, namespace)
                if controller_of(there).get("uid", "") != action.owner:
                    return  # Somebody has made another one in its place.
                uid = metadata(there)["uid"]
            await self._kube.delete(kind, name, namespace, uid=uid, resource_version=version)
        except NotFound:
            return

    def learn(self, kind: Kind, document: Document) -> None:
        """What we have just written or read is news like any other; the watch says it again."""
        if self._is_behind(kind, document):
            return
        if kind == SERVERLESS_DATABASE:
            self._cache.database_seen(see_database(document))
        elif kind == WARM_POOL:
            concerned = self._cache.pool_seen(document)
            self._report(concerned - {self._cache.pool(name_of(document))})
        elif kind == POD:
            self._cache.pod_seen(see_pod(document))
        elif kind == VOLUME_CLAIM:
            self._report(self._cache.claim_seen(name_of(document), see_claim(document)))
        elif kind == CONFIG_MAP and is_retained(document):
            self._cache.retained_seen(*see_retained(document))
        elif kind in (SECRET, SERVICE) and names.DATABASE_LABEL in labels_of(document):
            self._cache.child_seen(see_child_of(kind, document, self._cache.system_namespace))

    def _is_behind(self, kind: Kind, answer: Document) -> bool:
        """The watch has told what came after it already, and tells that only once.

        Neither databases nor pools are made by us: one that is not known has gone since.
        """
        version = version_of(answer)
        if kind == SERVERLESS_DATABASE:
            seen = self._cache.databases.get(key_of(answer))
            return seen is None or is_older(version, seen.version)
        if kind == WARM_POOL:
            pool = self._cache.pools.get(name_of(answer))
            return pool is None or is_older(version, version_of(pool))
        pod = self._cache.pods.get(name_of(answer)) if kind == POD else None
        return pod is not None and is_older(version, pod.version)


def _in_version(document: Document, version: str) -> Document:
    return {**document, "metadata": {**document["metadata"], "resourceVersion": version}}
