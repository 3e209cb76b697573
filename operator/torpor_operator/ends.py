"""Looks at a database that is to go, or that is gone: what becomes of what it had."""

from __future__ import annotations

import logging
from collections.abc import Callable

from torpor_api.brief import in_one_line
from torpor_api.failures import Conflict, Failure, InvalidRequest, NotFound, Refused
from torpor_api.resource import ServerlessDatabase
from torpor_kube.documents import metadata
from torpor_kube.kinds import CONFIG_MAP, NAMESPACE
from torpor_kube.port import Document, Kube
from torpor_operator.core.actions import Apply, Delete, Patch, Tell, Weight
from torpor_operator.core.cache import Cache, verifiers_of
from torpor_operator.core.database import House, served_elsewhere
from torpor_operator.core.deletion import left_behind, plan_deletion
from torpor_operator.core.erasing import ERASER_AGAIN_S
from torpor_operator.core.naming import Key, key_of
from torpor_operator.core.reading import read_for_its_end, read_resource
from torpor_operator.core.retained import UNKNOWN_NAMESPACE, as_config_map
from torpor_operator.erasing import NoEraser
from torpor_operator.executor import Executor

log = logging.getLogger(__name__)

AT_ONCE_S = 0.0
"""Before the next step of an end: each starts from what is there after the one before it."""


async def namespace_uid(kube: Kube, namespace: str) -> str:
    """Of the namespace that is there now: one made anew under its name is another."""
    try:
        return str(metadata(await kube.get(NAMESPACE, namespace))["uid"])
    except (NotFound, Refused):  # One that is being deleted has lost its Roles already.
        return UNKNOWN_NAMESPACE


class Ends:
    """Looks at them one at a time."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        executor: Executor,
        house: Callable[[], House],
        now: Callable[[], str],
    ) -> None:
        """``now``: a time of the API."""
        self._kube = kube
        self._cache = cache
        self._executor = executor
        self._house = house
        self._now = now

    async def end(self, document: Document, resource: ServerlessDatabase) -> float | None:
        """Seconds after which to look again, where more is to be done or it waits for a compute.
        Raises whatever else holds it up, and tells it."""
        key = key_of(document)
        children = tuple(self._cache.children_of(key, metadata(document)["uid"]))
        retained, system = self._cache.retained.get(key), self._house().system_namespace
        try:
            uid = await namespace_uid(self._kube, key.namespace)
            for action in plan_deletion(
                document, resource, children, retained, uid, system, self._now()
            ):
                if isinstance(action, Patch) and not action.subresource:
                    self._cache.endings.let_go(key)
                await self._executor.carry_out_for(key, action)
                if isinstance(action, Patch) and action.subresource:
                    return AT_ONCE_S  # It is in another version now.
        except (Conflict, NotFound):
            self._cache.endings.held(key)
            raise  # It has changed meanwhile, or fallen asleep, and is looked at again.
        except NoEraser as failure:
            if failure.is_late:
                await self._say_what_it_waits_for(document, failure)
            return ERASER_AGAIN_S
        except Failure as failure:
            await self._say_what_it_waits_for(document, failure)
            raise
        return None

    async def _say_what_it_waits_for(self, document: Document, failure: Failure) -> None:
        note = f"can't be deleted yet: {in_one_line(failure.message)}"
        note += f" ({in_one_line(failure.hint)})" if failure.hint else ""
        await self._executor.carry_out(Tell(document, Weight.WARNING, "DeletionWaits", note))

    async def clear(self, key: Key) -> None:
        """Of one whose finalizer somebody took away: what no owner deletes."""
        verifiers = verifiers_of(key, self._house().system_namespace)
        if verifiers in self._cache.children_of(key, uid=""):
            await self._executor.carry_out_for(key, Delete(verifiers.kind, verifiers.key))

    async def keep_left_behind(self, key: Key) -> None:
        """Of one whose finalizer somebody took away: its user id is given to nobody while its data
        is there, and whoever takes that over has its compute fenced first."""
        document = self._cache.endings.stripped[key].document()
        if key not in self._cache.retained and not served_elsewhere(document, self._house()):
            namespace = await namespace_uid(self._kube, key.namespace)
            kept = left_behind(document, _read(document), namespace)
            if kept is not None:
                log.warning("finalizer_taken_away", extra={"database": key.endpoint})
                note = as_config_map(key, kept, self._house().system_namespace)
                await self._executor.carry_out(Apply(CONFIG_MAP, note))
        self._cache.noted(key)


def _read(document: Document) -> ServerlessDatabase:
    try:
        return read_resource(document)
    except InvalidRequest:
        return read_for_its_end(document)
