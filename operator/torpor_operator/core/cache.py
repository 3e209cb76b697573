"""Everything that was seen, in as little room as possible; and whom news concern. Pure.

Each method that brings news returns the targets that must be looked at because of it; news that
change nothing that is kept concern nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torpor_kube import names
from torpor_kube.documents import is_older, labels_of, metadata, name_of, version_of
from torpor_kube.kinds import CONFIG_MAP, SECRET, VOLUME_CLAIM, Kind
from torpor_kube.port import Document
from torpor_operator.core import targets
from torpor_operator.core.claims import SeenClaim, why_no_volume
from torpor_operator.core.endings import Endings
from torpor_operator.core.erasing import ERASERS_MAX, Erasers
from torpor_operator.core.naming import (
    MANAGED_BY,
    Key,
    database_of,
    database_of_claim,
    key_of,
    volume_claim,
)
from torpor_operator.core.retained import Retained
from torpor_operator.core.seen import Child, SeenDatabase, see_child
from torpor_operator.core.seen_pods import SeenPod
from torpor_operator.core.targets import Sort, Target
from torpor_operator.core.user_ids import UserIds


@dataclass(frozen=True, slots=True)
class ChildId:
    """Where an object of a database is."""

    kind: Kind
    key: Key


@dataclass(frozen=True, slots=True)
class ChildNews:
    """What is kept of an object with a database's label."""

    database: Key
    id: ChildId
    child: Child | None
    """None: it is not the operator's, but a change of it may matter."""


def verifiers_of(database: Key, system_namespace: str) -> ChildId:
    """The one child that is not in the database's own namespace."""
    name = names.verifiers_secret(database.namespace, database.name)
    return ChildId(SECRET, Key(system_namespace, name))


def see_child_of(kind: Kind, document: Document, system_namespace: str) -> ChildNews:
    """Of an object that carries a database's label; one that names a database of another namespace
    is nobody's."""
    database = database_of(document, system_namespace) or Key("", "")
    key = key_of(document)
    # A Service has its database's name: one object for both.
    id = ChildId(kind, database if key == database else key)
    is_managed = labels_of(document).get(names.MANAGED_BY_LABEL) == MANAGED_BY
    is_near = key.namespace == database.namespace
    is_verifiers = id == verifiers_of(database, system_namespace)
    is_child = is_managed and (is_near or is_verifiers)
    child = see_child(kind, document, is_verifiers=is_verifiers) if is_child else None
    return ChildNews(database, id, child)


class Cache:
    """Filled by watches, read by whoever plans."""

    def __init__(self, system_namespace: str) -> None:
        self.system_namespace = system_namespace
        self.databases: dict[Key, SeenDatabase] = {}
        self.endings = Endings()
        self.retained: dict[Key, Retained] = {}
        self.pools: dict[str, Document] = {}
        self.pods: dict[str, SeenPod] = {}
        self.claims: dict[str, SeenClaim] = {}
        """PersistentVolumeClaims that are not on their way out."""
        self.templates: dict[str, str] = {}
        """By pool: that of the computes which would be made now."""
        self.user_ids = UserIds()
        self.erasers = Erasers()
        self._namespaces: Counter[str] = Counter()
        """Those with databases, and with how many."""
        self._unseen: set[str] = set()
        self._children: dict[Key, dict[ChildId, Child]] = {}
        self._unchecked: set[Key] = set()
        """Databases of whose objects one has changed since all were found as they should be: few,
        where that they are would be something to keep of each."""

    def pool(self, name: str) -> Target:
        return Target(Sort.POOL, Key(self.system_namespace, name))

    # --- databases ---------------------------------------------------------------------------

    def database_seen(self, seen: SeenDatabase) -> set[Target]:
        key = seen.key
        before = self.databases.get(key)
        self.databases[key] = seen
        self.user_ids.note(key, seen.pool, seen.user_id)
        if before is None:
            self._namespaces[key.namespace] += 1
            is_first = self._namespaces[key.namespace] == 1
            of_clients = {targets.CERTIFICATES} if is_first else set[Target]()
            return {targets.database(key), self.pool(seen.pool), *of_clients}
        concerned = {targets.database(key)} if before.body != seen.body else set()
        if before.compute != seen.compute or before.awaits_compute != seen.awaits_compute:
            concerned.add(self.pool(seen.pool))
        return concerned

    def noted(self, key: Key) -> None:
        """What it has left behind without its finalizer is on record, if there is anything."""
        self.endings.noted(key)
        if key not in self.retained and key not in self.databases:
            self.user_ids.forget(key)

    def database_gone(self, key: Key, version: str = "") -> set[Target]:
        """``version``: in which it went. One that is newer is the next of its name, of which the
        watch has told already: it tells that only once."""
        known = self.databases.get(key)
        if known is not None and is_older(version, known.version):
            return set()
        gone = self.databases.pop(key, None)
        if gone is not None:
            self.endings.gone(gone)
            self._namespaces -= Counter([key.namespace])  # None is left at 0.
        if key not in self.retained and key not in self.endings.stripped:
            self.user_ids.forget(key)
        self.erasers.wait_no_more(key)
        concerned = {targets.database(key)}  # It may have left something behind.
        return concerned | ({self.pool(gone.pool)} if gone else set())

    def databases_listed(self, namespace: str, all: Iterable[SeenDatabase]) -> set[Target]:
        """All there are in the namespace, or in all of them: others are gone."""
        there = {seen.key: seen for seen in all}
        concerned: set[Target] = set()
        for key in [key for key in self.databases if namespace in ("", key.namespace)]:
            if key not in there:
                concerned |= self.database_gone(key)
        for seen in there.values():
            concerned |= self.database_seen(seen)
        return concerned

    def named_computes(self) -> set[str]:
        """Those that hold a database, or held it when they were lost; of one that was deleted, too,
        where its data is kept: whoever takes it over has that compute fenced."""
        of_databases = {seen.compute for seen in self.databases.values() if seen.compute}
        of_kept = {kept.compute for kept in self.retained.values() if kept.compute}
        return of_databases | of_kept | self._of_unseen()

    def _of_unseen(self) -> set[str]:
        """Computes that may hold a database which can't be seen, by their labels."""
        labelled = [pod for pod in self.pods.values() if pod.database] if self._unseen else []
        return {pod.name for pod in labelled if pod.database and self.is_unseen(pod.database)}

    def is_ownerless(self, pod: SeenPod) -> bool:
        """It was made for a database that is deleted."""
        owner = pod.database if pod.is_dedicated else None
        return owner is not None and owner not in self.databases and not self.is_unseen(owner)

    def awaiting_compute(self, pool: str) -> set[Key]:
        """Databases of the pool with a volume of their own that somebody wants awake."""
        found = self.databases.values()
        return {seen.key for seen in found if seen.awaits_compute and seen.pool == pool}

    def namespaces(self) -> list[str]:
        return sorted({*self._namespaces, *self._unseen})

    # --- namespaces in which we have no rights -----------------------------------------------

    def unseen(self, namespace: str) -> None:
        """What databases there are can't be seen. Where there surely are some, nobody gets a user
        id that one of them may have."""
        self._unseen.add(namespace)
        if any(database.namespace == namespace for database in self._children):
            self.user_ids.unknown_of.add(namespace)

    def seen_again(self, namespace: str) -> set[Target]:
        self._unseen.discard(namespace)
        self.user_ids.unknown_of.discard(namespace)
        return {targets.database(key) for key in self.databases} | {targets.CERTIFICATES}

    def is_unseen(self, database: Key) -> bool:
        """Whether nobody can say what becomes of it, nor whether it is there."""
        return database.namespace in self._unseen

    # --- their objects -----------------------------------------------------------------------

    def children_of(self, database: Key, uid: str) -> Mapping[ChildId, Child]:
        """Those of the resource with this uid. One with another owner, or with none, may have a
        label that says otherwise: it is somebody else's."""
        verifiers = verifiers_of(database, self.system_namespace)
        family = self._children.get(database, {})
        return {id: one for id, one in family.items() if id == verifiers or one.belongs_to(uid)}

    def are_checked(self, database: Key) -> bool:
        """Whether its objects are those that were found to be as they should be."""
        return database not in self._unchecked

    def checked(self, database: Key) -> None:
        """All of them are as they should be."""
        self._unchecked.discard(database)
        if not self._unchecked:
            self._unchecked = set()  # One that was large stays so.

    def child_seen(self, news: ChildNews) -> set[Target]:
        if news.child is None:  # It may have been the operator's until somebody took its label.
            return self.child_gone(news.database, news.id)
        family = self._children.setdefault(self._known(news.database), {})
        if family.get(news.id) == news.child:
            return set()
        family[news.id] = news.child
        self._unchecked.add(self._known(news.database))
        return {targets.database(news.database)}

    def _known(self, database: Key) -> Key:
        """An equal key that is kept already, where there is one."""
        seen = self.databases.get(database)
        return database if seen is None else seen.key

    def child_gone(self, database: Key, child: ChildId) -> set[Target]:
        family = self._children.get(database, {})
        family.pop(child, None)
        if family:
            self._unchecked.add(self._known(database))
        else:
            self._children.pop(database, None)
            self.checked(database)
        return {targets.database(database)}

    def object_deleted(self, database: Key, kind: Kind, key: Key) -> None:
        """By the operator itself, for this database; the watch says it again."""
        if kind == CONFIG_MAP:
            self.retained_gone(database)
        elif kind == VOLUME_CLAIM:
            self.claim_seen(key.name, None)
        else:
            self.child_gone(database, ChildId(kind, key))

    def children_listed(self, kind: Kind, namespace: str, all: Iterable[ChildNews]) -> set[Target]:
        """All there are of the kind in the namespace, or in all of them: others are gone."""
        news = list(all)
        there = {one.id for one in news if one.child is not None}
        lost = [
            (database, child)
            for database, family in self._children.items()
            for child in family
            if child.kind == kind and namespace in ("", child.key.namespace)
            if child not in there
        ]
        concerned: set[Target] = set()
        for database, child in lost:
            concerned |= self.child_gone(database, child)
        for one in news:
            concerned |= self.child_seen(one)
        return concerned

    def retained_seen(self, database: Key, kept: Retained | None) -> set[Target]:
        """None: somebody has edited it into something that can't be read; the data is there."""
        if kept is None:
            return set()
        self.retained[database] = kept
        self.user_ids.note(database, kept.pool, kept.user_id)
        return {targets.database(database)}

    def retained_gone(self, database: Key) -> set[Target]:
        self.retained.pop(database, None)
        if database not in self.databases:
            self.user_ids.forget(database)
        return {targets.database(database)}

    # --- their volumes -----------------------------------------------------------------------

    def claim_seen(self, name: str, claim: SeenClaim | None) -> set[Target]:
        """None: it is gone, or on its way out."""
        if self.claims.get(name) == claim:
            return set()
        if claim is None:
            del self.claims[name]
        else:
            self.claims[name] = claim
        database = database_of_claim(name)
        if database is None:
            return {self.pool(pool) for pool in self.pools if volume_claim(pool) == name}
        return {targets.database(database)}

    def claims_listed(self, all: Mapping[str, SeenClaim | None]) -> set[Target]:
        """All there are: others are gone."""
        gone = [name for name in self.claims if name not in all]
        news = [*((name, None) for name in gone), *all.items()]
        return set[Target]().union(*(self.claim_seen(name, claim) for name, claim in news))

    # --- pools -------------------------------------------------------------------------------

    def pool_seen(self, document: Document) -> set[Target]:
        name = name_of(document)
        before = self.pools.get(name)
        self.pools[name] = document
        concerns_all = before is None or why_no_volume(before) != why_no_volume(document)
        return {self.pool(name)} | (self._databases_of(name) if concerns_all else set())

    def pool_gone(self, name: str, version: str = "") -> set[Target]:
        """``version``: as for a database."""
        known = self.pools.get(name)
        if known is not None and is_older(version, version_of(known)):
            return set()
        self.pools.pop(name, None)
        return {self.pool(name)} | self._databases_of(name)

    def template_known(self, pool: str, template: str) -> set[Target]:
        """Databases that are awake may run on another one."""
        if self.templates.get(pool) == template:
            return set()
        self.templates[pool] = template
        found = self.databases.values()
        return {targets.database(seen.key) for seen in found if seen.pool == pool and seen.compute}

    def is_outdated(self, compute: str | None) -> bool | None:
        """Whether it was made of another template than its pool's; None: nobody can say yet."""
        pod = self.pods.get(compute or "")
        if pod is None or pod.has_ended:
            return False
        template = self.templates.get(pod.pool)
        return None if template is None else pod.template != template

    def pod_seen(self, pod: SeenPod) -> set[Target]:
        before = self.pods.get(pod.name)
        self.pods[pod.name] = pod
        if before == pod:
            return set()
        # Of what they wait for, one may be there now.
        return {self.pool(pod.pool)} | self._to_erase(pod)

    def _to_erase(self, pod: SeenPod) -> set[Target]:
        """Databases whose data is to be erased, which this pod may concern: those that have waited
        for longest, of whom some may be busy with another one."""
        concerned = set(self.erasers.first(pod.pool, ERASERS_MAX) if pod.is_ready else ())
        if pod.has_ended and pod.database is not None and self.is_ending(pod.database):
            concerned.add(pod.database)
        return {targets.database(key) for key in concerned}

    def pod_gone(self, pod: SeenPod) -> set[Target]:
        self.pods.pop(pod.name, None)
        self.erasers.gone(pod.name)
        return {self.pool(pod.pool)}

    def pods_listed(self, all: Iterable[SeenPod]) -> set[Target]:
        there = {pod.name: pod for pod in all}
        concerned: set[Target] = set()
        for pod in [pod for name, pod in self.pods.items() if name not in there]:
            concerned |= self.pod_gone(pod)
        for pod in there.values():
            concerned |= self.pod_seen(pod)
        return concerned

    def eraser_wanted(self, database: Key, pool: str, since: float) -> set[Target]:
        """Its data is to be erased and no agent is free: the pool starts one for it."""
        self.erasers.wait(database, pool, since)
        return {self.pool(pool)}

    def eraser_free(self, pool: str) -> set[Target]:
        """Those who have waited for longest may have whoever is free."""
        free = self.erasers.free_of(self.pods_of(pool))
        return {targets.database(key) for key in self.erasers.first(pool, len(free))}

    def is_ending(self, database: Key) -> bool:
        """It is being deleted, and not gone yet."""
        seen = self.databases.get(database)
        return seen is not None and "deletionTimestamp" in metadata(seen.document())

    def erasing(self, pool: str) -> set[str]:
        """Computes that were asked to erase what is not erased yet: whoever goes on after them has
        to find what became of them."""
        named = self.named_computes()  # Of these, which are many, the document is not asked.
        found = [pod for pod in self.pods_of(pool) if pod.name not in named]
        labelled = [(pod.name, pod.database) for pod in found if not pod.is_dedicated]
        return {name for name, database in labelled if database and self.is_ending(database)}

    def pods_of(self, pool: str) -> list[SeenPod]:
        return [pod for pod in self.pods.values() if pod.pool == pool]

    def _databases_of(self, pool: str) -> set[Target]:
        return {targets.database(key) for key, seen in self.databases.items() if seen.pool == pool}
