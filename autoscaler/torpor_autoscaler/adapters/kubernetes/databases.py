"""The resources: told to the fleet as they change, and their status written by compare-and-swap."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from torpor_api.failures import Failure, NotFound, StaleEpoch, Unavailable
from torpor_api.identity import endpoint_name, is_endpoint_name, split_endpoint_name
from torpor_api.messages import WriteStatus
from torpor_api.phases import Phase
from torpor_api.resource import ServerlessDatabase
from torpor_autoscaler.adapters.kubernetes.documents import (
    Known,
    known_from,
    refusal_document,
    status_document,
)
from torpor_autoscaler.ports import ClusterFacts
from torpor_kube import names
from torpor_kube.documents import is_older, name_of, namespace_of
from torpor_kube.election import first_of
from torpor_kube.kinds import SERVERLESS_DATABASE
from torpor_kube.port import Document, Kube
from torpor_kube.watching import Watch

log = logging.getLogger(__name__)

REFUSED_S_MAX = 10.0
"""How long a list may be refused before its namespace counts as one that is not there: a server
that has just started refuses for a second or so what it has not read the roles for."""

UNSEEN_HINT = "take it out of watchNamespaces; or make it again, and `helm upgrade` brings its Role"

REFUSALS_AT_A_TIME_MAX = 4
"""Writes of conditions on resources that can't be read: nobody's wake stands behind them."""


class Databases:
    """Every ``ServerlessDatabase`` of the cluster, or of some of its namespaces; those that another
    Torpor serves are as good as not provided for."""

    def __init__(self, kube: Kube, system: str, namespaces: Sequence[str] = ()) -> None:
        self._kube = kube
        self._system = system
        self._fleet: ClusterFacts | None = None
        self._known: dict[str, Known] = {}
        self._serveable: set[str] = set()
        self._refusing: set[asyncio.Task[None]] = set()
        self._may_refuse = asyncio.Semaphore(REFUSALS_AT_A_TIME_MAX)
        self._namespaces = frozenset(namespaces or [""])
        self._unlisted = set(self._namespaces)
        """Of these nothing was heard yet."""
        self._given_up = set[str]()
        """Those among them that are not waited for."""
        self._watches = {
            where: Watch(
                kube, SERVERLESS_DATABASE, self._kept, _Heard(self, where), namespace=where
            )
            for where in sorted(self._namespaces)
        }

    def start(self, fleet: ClusterFacts) -> None:
        self._fleet = fleet
        for watch in self._watches.values():
            watch.start()

    async def all_heard(self) -> None:
        """Until the fleet knows all of them, but for those in namespaces that we may not see: whose
        namespace is deleted has no rights there any more. They are told when they can be seen."""
        try:
            async with asyncio.timeout(REFUSED_S_MAX):
                for where in sorted(self._unlisted):
                    await self._watches[where].is_listed.wait()
        except TimeoutError:
            for where in sorted(self._unlisted):
                await self._listed_or_refused(where)
        for where in sorted(self._unlisted):
            log.error("namespace_not_seen", extra={"namespace": where, "hint": UNSEEN_HINT})
        if self._unlisted:
            self._give_up(self._unlisted)

    async def _listed_or_refused(self, namespace: str) -> None:
        """Whichever it is first; of all namespaces at once no refusal is taken."""
        watch = self._watches[namespace]
        await first_of(watch.is_listed, *[watch.is_refused] * bool(namespace))

    def _give_up(self, namespaces: Iterable[str]) -> None:
        assert self._fleet is not None
        self._given_up = set(namespaces)
        self._fleet.namespaces_unheard(self._given_up)
        self._unlisted.clear()
        self._tell_all()

    async def close(self) -> None:
        for watch in self._watches.values():
            await watch.close()
        for task in list(self._refusing):
            task.cancel()
        await asyncio.gather(*self._refusing, return_exceptions=True)

    def _kept(self, document: Document) -> Known:
        name = endpoint_name(name_of(document), namespace_of(document))
        known = known_from(document, self._known.get(name))
        is_ours = known.storage is None or known.storage.namespace in ("", self._system)
        return known if is_ours else replace(known, storage=None)

    # --- from the watches ------------------------------------------------------------------

    def listed(self, namespace: str, all: Iterable[Known]) -> None:
        """The fleet hears of none before all: what one of them holds is nobody else's."""
        there: dict[str, Known] = {one.name: self._newest(one) for one in all}
        gone = [name for name in self._known if name not in there and _is_in(name, namespace)]
        for name in gone:
            del self._known[name]
        self._known |= there
        is_first = namespace in self._unlisted
        self._unlisted.discard(namespace)
        if self._unlisted:
            return
        if namespace in self._given_up:
            self._given_up.discard(namespace)
            assert self._fleet is not None
            self._fleet.namespaces_unheard(self._given_up)
        if is_first or not namespace:
            self._tell_all()
            return
        for name in gone:
            self._withdraw(name)
        for one in there.values():
            self.changed(one)

    def _tell_all(self) -> None:
        assert self._fleet is not None
        serveable = [one for one in self._known.values() if one.is_serveable]
        self._serveable = {one.name for one in serveable}
        self._fleet.resources_listed([one.resource for one in serveable if one.resource])
        for one in self._known.values():
            self._say_if_refused(one)

    def changed(self, one: Known) -> None:
        assert self._fleet is not None
        if self._newest(one) is not one:
            return  # Our own write is newer, and the watch will say it.
        self._known[one.name] = one
        if self._unlisted:
            return
        if one.is_serveable and one.resource is not None:
            self._serveable.add(one.name)
            self._fleet.resource_changed(one.resource)
        else:
            self._withdraw(one.name)
        self._say_if_refused(one)

    def _newest(self, heard: Known) -> Known:
        """What is heard, or what our own write or question has brought since the watch was told."""
        known = self._known.get(heard.name)
        is_behind = known is not None and known.uid == heard.uid and _is_older(heard, known)
        return known if known is not None and is_behind else heard

    def deleted(self, one: Known) -> None:
        self._known.pop(one.name, None)
        self._withdraw(one.name)

    def _withdraw(self, name: str) -> None:
        assert self._fleet is not None
        if name in self._serveable:
            self._serveable.discard(name)
            self._fleet.resource_deleted(name)

    # --- asked -----------------------------------------------------------------------------

    async def get(self, name: str) -> Known:
        """As the server has it now: from now on what is known of it. Raises NotFound."""
        if not is_endpoint_name(name):
            raise _not_found(name)
        own, namespace = split_endpoint_name(name)
        if not self._namespaces & {"", namespace}:
            raise _not_found(name)
        try:
            document = await self._kube.get(SERVERLESS_DATABASE, own, namespace)
        except NotFound:
            raise _not_found(name) from None
        known = self._kept(document)
        self._learn(known)
        return known

    async def find(self, name: str) -> Known:
        """As last heard; asked for where nothing was heard yet. Raises NotFound."""
        return self._known.get(name) or await self.get(name)

    async def write_status(self, asked: WriteStatus) -> ServerlessDatabase:
        """Raises Conflict, StaleEpoch, and NotFound for a claim of what was deleted."""
        known = await self.find(asked.name)
        stored = readable(known)
        if asked.status.epoch < stored.status.epoch:
            raise StaleEpoch(
                f"{asked.name}: epoch {asked.status.epoch} is older than {stored.status.epoch}"
            )
        if known.is_leaving and asked.status.phase is Phase.RESUMING:
            raise NotFound(f"database {asked.name!r} was deleted")
        document = await self._kube.apply(
            SERVERLESS_DATABASE,
            status_document(known, asked.resource_version, asked.status),
            manager=names.AUTOSCALER_MANAGER,
            subresource="status",
        )
        written = self._kept(document)
        self._learn(written)
        return readable(written)

    def _learn(self, read: Known) -> None:
        """What the watch will say later; unless it has said something newer meanwhile."""
        before = self._known.get(read.name)
        if before is not None and before.uid == read.uid and _is_older(before, read):
            self._known[read.name] = read

    # --- what can't be read ----------------------------------------------------------------

    def _say_if_refused(self, one: Known) -> None:
        if one.refusal == one.refusal_told:
            return
        if one.refusal:
            log.warning("resource_refused", extra={"database": one.name, "reason": one.refusal})
        task = asyncio.create_task(self._say_refusal(one))
        self._refusing.add(task)
        task.add_done_callback(self._refusing.discard)

    async def _say_refusal(self, one: Known) -> None:
        document = refusal_document(one, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        async with self._may_refuse:
            try:
                await self._kube.apply(
                    SERVERLESS_DATABASE,
                    document,
                    manager=names.AUTOSCALER_REFUSALS_MANAGER,
                    subresource="status",
                )
            except Failure as failure:
                fields = {"database": one.name, "reason": failure.message}
                log.warning("refusal_not_told", extra=fields)


class _Heard:
    """What one watch says, with the namespace that it is of."""

    def __init__(self, databases: Databases, namespace: str) -> None:
        self._namespace = namespace
        self._databases = databases
        self.changed = databases.changed
        self.deleted = databases.deleted

    def listed(self, all: Iterable[Known]) -> None:
        self._databases.listed(self._namespace, all)


def _is_in(name: str, namespace: str) -> bool:
    """Or namespace is empty, for all of them."""
    return not namespace or split_endpoint_name(name)[1] == namespace


def readable(known: Known) -> ServerlessDatabase:
    """Raises Unavailable where nobody can tell what it says."""
    if known.resource is None:
        raise Unavailable(f"{known.name} can't be read: {known.refusal}")
    return known.resource


def _is_older(one: Known, than: Known) -> bool:
    return is_older(one.version, than.version)


def _not_found(name: str) -> NotFound:
    return NotFound(
        f"no database {name!r}", "kubectl get sdb --all-namespaces shows those there are"
    )
