"""Looks at one database: gathers the facts, asks the core, has its actions carried out."""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torpor_api.failures import InvalidRequest, NotFound, Refused
from torpor_api.resource import ServerlessDatabase
from torpor_kube.answers import reason_of
from torpor_kube.documents import metadata
from torpor_kube.kinds import SECRET, VOLUME_CLAIM
from torpor_kube.port import Document, Kube
from torpor_kube.times import Clock, api_time
from torpor_operator.core.actions import Action, Create, Patch, Repair, Tell, Weight
from torpor_operator.core.cache import Cache, ChildId
from torpor_operator.core.claims import see_claim
from torpor_operator.core.database import DatabaseFacts, House, plan_database, served_elsewhere
from torpor_operator.core.deletion import is_deleting
from torpor_operator.core.naming import Key, key_of
from torpor_operator.core.reading import read_for_its_end, read_resource
from torpor_operator.core.storage import Kept, Volumes, is_dedicated, plan_storage
from torpor_operator.ends import Ends, namespace_uid
from torpor_operator.executor import Executor, NameTaken, Stale

log = logging.getLogger(__name__)

TAKEN_AGAIN_S = 60.0
"""A name that is somebody else's, an object that is refused, a Secret that is not there: nobody
tells when that changes."""

ROUNDS_MAX = 8
"""Plans in one look; each but the last one learnt something."""


@dataclass(slots=True)
class Obstacles:
    """What was in the way of one look."""

    taken: dict[ChildId, str] = field(default_factory=dict)
    refused: dict[ChildId, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.taken or self.refused)


class Databases:
    """Looks at them one at a time."""

    def __init__(
        self,
        kube: Kube,
        cache: Cache,
        executor: Executor,
        clock: Clock,
        house: Callable[[], House],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._executor = executor
        self._ends = Ends(kube, cache, executor, house, self._now)
        self._clock = clock
        self._house = house
        self._random_bytes = random_bytes

    def _now(self) -> str:
        return api_time(self._clock.wall_s())

    async def look(self, key: Key) -> float | None:
        """Seconds after which to look again though nothing has changed; None: no need."""
        if self._cache.is_unseen(key):
            return None
        if key in self._cache.endings.stripped:
            await self._ends.keep_left_behind(key)
        seen = self._cache.databases.get(key)
        if seen is None:
            await self._ends.clear(key)
            return None
        document = seen.document()
        if (elsewhere := served_elsewhere(document, self._house())) is not None:
            await self._executor.carry_out(elsewhere)
            return None
        try:
            resource = read_resource(document)
        except InvalidRequest as invalid:
            # Somebody got around the schema. The others go on.
            note = Tell(document, Weight.WARNING, "Invalid", invalid.message)
            await self._executor.carry_out(note)
            if not is_deleting(document):
                return None
            resource = read_for_its_end(document)
        if is_deleting(document):
            return await self._ends.end(document, resource)
        return await self._provide(key)

    async def _provide(self, key: Key) -> float | None:
        """Until nothing is left to do: what we write ourselves is no news that would come back."""
        obstacles = Obstacles()
        before: tuple[Action, ...] = ()
        for _ in range(ROUNDS_MAX):
            seen = self._cache.databases.get(key)
            if seen is None:
                return None
            document = seen.document()
            if is_deleting(document) or served_elsewhere(document, self._house()):
                return None  # Since the last round; the watch says so, too.
            facts = await self._facts(key, document, obstacles)
            actions = plan_database(facts, self._house(), self._now(), self._random_bytes)
            if not actions:
                if not obstacles:
                    self._cache.checked(key)
                waits = bool(obstacles) or _is_password_missing(facts)
                return TAKEN_AGAIN_S if waits else None
            if actions == before:
                log.warning("nothing_comes_of_it", extra={"database": key.endpoint})
                return TAKEN_AGAIN_S  # Somebody keeps a part of it as it is.
            before = actions
            try:
                await self._carry_out_all(key, actions, obstacles)
            except Stale as stale:
                fields = {"database": key.endpoint, "reason": stale.message}
                log.debug("planned_anew", extra=fields)
        raise Stale(f"{key.name} is not as it shall be after {ROUNDS_MAX} attempts")

    async def _carry_out_all(
        self, key: Key, actions: Iterable[Action], obstacles: Obstacles
    ) -> None:
        """From the first obstacle on only what else is made in the database's own namespace: so all
        of them are known at once, and the rest follows from that."""
        is_hindered = False
        for action in actions:
            object_of = _object_of(action)
            if is_hindered and (object_of is None or object_of.key.namespace != key.namespace):
                continue
            try:
                await self._executor.carry_out_for(key, action)
            except NameTaken as conflict:
                obstacles.taken[conflict.child] = conflict.owner
                is_hindered = True
            except (Refused, InvalidRequest) as refusal:
                if object_of is None:
                    raise
                obstacles.refused[object_of] = reason_of(refusal)
                is_hindered = True

    async def _facts(self, key: Key, document: Document, obstacles: Obstacles) -> DatabaseFacts:
        resource = read_resource(document)
        # First what is asked for: what was seen is not to grow old meanwhile.
        given = await self._given(resource)
        is_unlabelled = await self._is_unlabelled(resource)
        is_kept = key in self._cache.retained
        namespace = await namespace_uid(self._kube, key.namespace) if is_kept else ""
        retained = self._cache.retained.get(key)
        volumes = Volumes(
            self._cache.pools.get(resource.spec.pool),
            self._cache.claims,
            self._house().system_namespace,
            is_unlabelled,
        )
        kept = Kept(retained, namespace) if retained else None
        return DatabaseFacts(
            document=document,
            resource=resource,
            storage=plan_storage(resource, volumes, kept, self._cache.user_ids),
            children=self._cache.children_of(key, metadata(document)["uid"]),
            are_checked=self._cache.are_checked(key),
            given=given,
            kept=kept,
            taken=dict(obstacles.taken),
            refused=dict(obstacles.refused),
            claims=self._cache.claims,
            is_outdated=self._cache.is_outdated(resource.status.compute),
        )

    async def _is_unlabelled(self, resource: ServerlessDatabase) -> bool:
        """Asked before a volume is called lost: a claim that was restored may lack its label."""
        storage = resource.status.storage
        if storage is None or not is_dedicated(resource) or storage.claim in self._cache.claims:
            return False
        try:
            system = self._house().system_namespace
            return see_claim(await self._kube.get(VOLUME_CLAIM, storage.claim, system)) is not None
        except NotFound:
            return False

    async def _given(self, resource: ServerlessDatabase) -> dict[str, str]:
        """Passwords that people keep in Secrets of their own; read whenever they are needed."""
        found: dict[str, str] = {}
        for role in resource.spec.roles:
            if role.password_secret is None:
                continue
            place = role.password_secret
            try:
                secret = await self._kube.get(SECRET, place.name, resource.metadata.namespace)
                found[role.name] = base64.b64decode(secret["data"][place.key]).decode()
            except (NotFound, KeyError, TypeError, ValueError) as error:
                fields = {"database": resource.name, "role": role.name, "reason": str(error)}
                log.warning("password_not_found", extra=fields)
        return found


def _object_of(action: Action) -> ChildId | None:
    """What is to be made, or to grow, by it."""
    if isinstance(action, Create | Repair):
        return ChildId(action.kind, key_of(action.document))
    if isinstance(action, Patch) and action.kind == VOLUME_CLAIM:
        return ChildId(action.kind, action.key)
    return None


def _is_password_missing(facts: DatabaseFacts) -> bool:
    wanted = [role.name for role in facts.resource.spec.roles if role.password_secret]
    return any(not facts.given.get(name) for name in wanted)
