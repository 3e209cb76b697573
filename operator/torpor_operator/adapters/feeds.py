"""The watches on databases and on what belongs to them and to pools: each change goes to the cache,
and whatever it concerns is looked at.

They are the port's own and not kopf's: kopf keeps 0.8 KiB of every object that it watches, and
does not hear of what was deleted while a watch was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from torpor_kube import names
from torpor_kube.documents import name_of
from torpor_kube.kinds import (
    CONFIG_MAP,
    POD,
    SECRET,
    SERVERLESS_DATABASE,
    SERVICE,
    VOLUME_CLAIM,
    Kind,
)
from torpor_kube.port import Document, Kube
from torpor_kube.watching import Watch
from torpor_operator.core.cache import Cache, ChildNews, see_child_of
from torpor_operator.core.certificates import GIVEN_SECRET
from torpor_operator.core.claims import SeenClaim, see_claim
from torpor_operator.core.console import ROLE_SECRETS, ROLES_SECRET
from torpor_operator.core.naming import CERTIFICATES_SELECTOR, CHILDREN_SELECTOR, Key
from torpor_operator.core.retained import RETAINED, Retained, see_retained
from torpor_operator.core.seen import SeenDatabase, see_database
from torpor_operator.core.seen_pods import SeenPod, see_pod
from torpor_operator.core.server_certificates import SERVER_SECRET
from torpor_operator.core.targets import CERTIFICATES, CONSOLE, Target

Report = Callable[[Iterable[Target]], None]

KeptT = TypeVar("KeptT")


class Feed(Generic[KeptT]):
    """A sink made of three methods of the cache."""

    def __init__(
        self,
        report: Report,
        listed: Callable[[Iterable[KeptT]], set[Target]],
        changed: Callable[[KeptT], set[Target]],
        deleted: Callable[[KeptT], set[Target]],
    ) -> None:
        self._report = report
        self._listed = listed
        self._changed = changed
        self._deleted = deleted

    def listed(self, all: Iterable[KeptT]) -> None:
        self._report(self._listed(all))

    def changed(self, one: KeptT) -> None:
        self._report(self._changed(one))

    def deleted(self, one: KeptT) -> None:
        self._report(self._deleted(one))


def watches(
    kube: Kube, cache: Cache, system: str, watched: Sequence[str], report: Report
) -> list[Watch[Any]]:
    """All of them, not started; ``watched``: the databases' namespaces, none for all."""
    return [
        *_of_databases(kube, cache, system, watched, report),
        *_of_torpor(kube, cache, system, report),
    ]


def _of_databases(
    kube: Kube, cache: Cache, system: str, watched: Sequence[str], report: Report
) -> Iterator[Watch[Any]]:
    """They, their Secrets and their Services; verifiers are in Torpor's own namespace."""
    for namespace in sorted(set(watched)) or [""]:
        resources = _resources(cache, namespace, report)
        yield Watch(kube, SERVERLESS_DATABASE, see_database, resources, namespace=namespace)
    for namespace in sorted({*watched, system}) if watched else [""]:
        for kind in (SECRET, SERVICE):
            sink = _children(cache, kind, namespace, report)
            where = {"namespace": namespace, "labels": CHILDREN_SELECTOR}
            yield Watch(kube, kind, _child(kind, system), sink, **where)


def _of_torpor(kube: Kube, cache: Cache, system: str, report: Report) -> list[Watch[Any]]:
    pool = {"namespace": system, "labels": names.POOL_LABEL}
    kept = {"namespace": system, "labels": f"{names.COMPONENT_LABEL}={RETAINED}"}
    tls = {"namespace": system, "labels": CERTIFICATES_SELECTOR}
    return [
        Watch(kube, POD, see_pod, _pods(cache, report), **pool),
        Watch(kube, VOLUME_CLAIM, _claim, _claims(cache, report), **pool),
        Watch(kube, CONFIG_MAP, see_retained, _kept(cache, report), **kept),
        Watch(kube, SECRET, name_of, _anything(CERTIFICATES, report), **tls),
        *(
            Watch(kube, SECRET, name_of, _anything(target, report), namespace=system, name=name)
            for target, names_of_it in (
                (CERTIFICATES, (GIVEN_SECRET, SERVER_SECRET)),  # Maybe of somebody else's making.
                (CONSOLE, (*ROLE_SECRETS.values(), ROLES_SECRET)),
            )
            for name in names_of_it
        ),
    ]


def _resources(cache: Cache, namespace: str, report: Report) -> Feed[SeenDatabase]:
    return Feed(
        report,
        lambda there: cache.databases_listed(namespace, there),
        cache.database_seen,
        lambda seen: cache.database_gone(seen.key, seen.version),
    )


def _child(kind: Kind, system: str) -> Callable[[Document], ChildNews]:
    return lambda document: see_child_of(kind, document, system)


def _children(cache: Cache, kind: Kind, namespace: str, report: Report) -> Feed[ChildNews]:
    return Feed(
        report,
        lambda there: cache.children_listed(kind, namespace, there),
        cache.child_seen,
        lambda news: cache.child_gone(news.database, news.id),
    )


def _pods(cache: Cache, report: Report) -> Feed[SeenPod]:
    return Feed(report, cache.pods_listed, cache.pod_seen, cache.pod_gone)


Claim = tuple[str, SeenClaim | None]
"""Its name, and what is kept of it."""


def _claim(document: Document) -> Claim:
    return name_of(document), see_claim(document)


def _claims(cache: Cache, report: Report) -> Feed[Claim]:
    return Feed(
        report,
        lambda there: cache.claims_listed(dict(there)),
        lambda one: cache.claim_seen(*one),
        lambda one: cache.claim_seen(one[0], None),
    )


Kept = tuple[Key, Retained | None]


def _kept(cache: Cache, report: Report) -> Feed[Kept]:
    def changed(one: Kept) -> set[Target]:
        return cache.retained_seen(*one)

    def deleted(one: Kept) -> set[Target]:
        return cache.retained_gone(one[0])

    def listed(all: Iterable[Kept]) -> set[Target]:
        there = list(all)
        lost = set(cache.retained) - {key for key, _ in there}
        concerned = [cache.retained_gone(key) for key in lost] + [changed(one) for one in there]
        return set[Target]().union(*concerned)

    return Feed(report, listed, changed, deleted)


def _anything(target: Target, report: Report) -> Feed[str]:
    """Whatever is told concerns this one."""

    def anything(_: object) -> set[Target]:
        return {target}

    return Feed(report, anything, anything, anything)
