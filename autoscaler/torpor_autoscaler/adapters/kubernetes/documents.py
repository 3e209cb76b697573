"""A ``ServerlessDatabase`` between the API server and the autoscaler. Pure.

Of a resource's status two write: the autoscaler what it decides, the operator what it makes
(storage, credentials, endpoint). Each sees only its own part, so neither mistakes the other's
words for a change of its own, and server-side apply keeps the parts apart in the store.

A generation in Torpor's words is the resource's own plus an offset that the operator keeps: over
data that was kept it goes on where it ended, and a new password counts as a change. What a status
has observed it has observed by the offset of its time, which therefore stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from torpor_api.failures import InvalidRequest
from torpor_api.identity import DatabaseName, endpoint_name, split_endpoint_name
from torpor_api.manifest import parse_resource
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_autoscaler.lifecycle.status import STORAGE_CONDITION
from torpor_kube import names
from torpor_kube.documents import annotations_of, metadata, name_of, namespace_of, version_of
from torpor_kube.port import Document

OUR_CONDITIONS = frozenset({"Ready", "Sized", "SpecApplied", "LoginFactsStored"})

FOREIGN_FIELDS = frozenset({"storage", "binding"})
"""Of the status: written by the operator."""

REFUSAL_CONDITION = "Accepted"
"""False on a resource that can't be read, for whatever reason it came past the API's own rules."""

GONE_COMPUTE_ANNOTATION = "torpor.dev/gone-compute"
"""A person's word that this compute runs nowhere any more, where no kubelet can say so."""

REFUSAL_CHARACTERS_MAX = 1000
"""Of a refusal, as its condition says it."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the operator says that the data is."""

    directory: str
    user_id: int | None
    is_made: bool
    namespace: str = ""
    """Of the computes that reach it, and of the Torpor that serves it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one database's object."""

    name: DatabaseName
    version: str
    uid: str = ""
    resource: ServerlessDatabase | None = None
    """None: it can't be read; see ``refusal``."""
    refusal: str = ""
    storage: Storage | None = None
    """None: the operator has not provided for it yet."""
    generation_offset: int = 0
    is_leaving: bool = False
    """Somebody has deleted it; the operator holds it until it sleeps."""
    refusal_told: str = ""
    """What its condition says of that now."""
    gone_compute: str = ""

    @property
    def is_serveable(self) -> bool:
        """Whether the autoscaler shall know of it: provided for, and not deleted while asleep. One
        that still names a compute has not released its data, and somebody must see to that."""
        if self.resource is None or self.storage is None:
            return False
        is_released = self.resource.status.compute is None or _is_erased(self.resource)
        return not (self.is_leaving and is_at_rest(self.resource) and is_released)


def is_at_rest(resource: ServerlessDatabase) -> bool:
    return resource.status.phase.value in ("Suspended", "Failed")


def _is_erased(resource: ServerlessDatabase) -> bool:
    return any(one.reason == names.ERASED_REASON for one in resource.status.conditions)


def known_from(document: Document, before: Known | None = None) -> Known:
    """Never raises: a resource that can't be read must not stop the others.

    One that could be read ``before`` goes on with the spec that it had: its compute still has to be
    stopped and fenced by somebody.
    """
    status = _map(document.get("status"))
    storage = _map(status.get("storage"))
    offset = storage.get("generationOffset")
    offset = offset if isinstance(offset, int) else 0
    resource, refusal = _readable(document, offset)
    if resource is None and before is not None and before.resource is not None:
        resource = _with_former_spec(document, offset, before.resource)
    return Known(
        name=endpoint_name(name_of(document), namespace_of(document)),
        version=version_of(document),
        uid=str(metadata(document).get("uid", "")),
        resource=resource,
        refusal=refusal,
        storage=_storage(storage),
        generation_offset=offset,
        is_leaving=_is_leaving(document),
        refusal_told=_refusal_told(status),
        gone_compute=annotations_of(document).get(GONE_COMPUTE_ANNOTATION, ""),
    )


def _storage(found: dict[str, Any]) -> Storage | None:
    directory, user_id = found.get("directory"), found.get("userId")
    if not isinstance(directory, str) or not directory or not isinstance(user_id, int):
        return None
    return Storage(
        directory, user_id, found.get("isMade") is True, str(found.get("namespace") or "")
    )


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _conditions(status: dict[str, Any]) -> list[dict[str, Any]]:
    found = status.get("conditions")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _refusal_told(status: dict[str, Any]) -> str:
    found = [one for one in _conditions(status) if one.get("type") == REFUSAL_CONDITION]
    return str(found[0].get("message", "")) if found else ""


def _readable(document: Document, offset: int) -> tuple[ServerlessDatabase | None, str]:
    try:
        # Fields that this release does not know may be a newer one's: no reason to refuse it.
        resource = _with_offset(parse_resource(_our_part(document), knows_all=False), offset)
        return _kept_awake_no_more(resource) if _is_leaving(document) else resource, ""
    except InvalidRequest as refused:
        return None, refused.message[:REFUSAL_CHARACTERS_MAX]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        return None, f"not the shape of a resource: {error}"[:REFUSAL_CHARACTERS_MAX]


def _is_leaving(document: Document) -> bool:
    return "deletionTimestamp" in metadata(document)


def _kept_awake_no_more(resource: ServerlessDatabase) -> ServerlessDatabase:
    """Whoever deletes it wants it asleep, and need not change its spec first."""
    asleep = {"keep_awake": False, "min_cu": Decimal(0), "schedules": ()}
    spec = resource.spec.model_copy(update=asleep)
    return resource.model_copy(update={"spec": spec})


def _with_former_spec(
    document: Document, offset: int, former: ServerlessDatabase
) -> ServerlessDatabase | None:
    resource, _ = _readable({**document, "spec": former.spec}, offset)
    if resource is None:
        return None
    metadata = resource.metadata.model_copy(update={"generation": former.metadata.generation})
    return resource.model_copy(update={"metadata": metadata})


def _our_part(document: Document) -> Document:
    status = _map(document.get("status"))
    ours = {key: value for key, value in status.items() if key not in FOREIGN_FIELDS}
    found = _conditions(status)
    # The operator's word comes last, where also a status has it that is to be written.
    ours["conditions"] = [
        *(one for one in found if one.get("type") in OUR_CONDITIONS),
        *(one for one in found if _says_that_no_volume_is_there(one)),
    ]
    parts = ("apiVersion", "kind", "metadata", "spec")
    return {part: document[part] for part in parts if part in document} | {"status": ours}


def _says_that_no_volume_is_there(condition: dict[str, Any]) -> bool:
    """All that the autoscaler has to know of the operator's conditions."""
    return (condition.get("type"), condition.get("status")) == (STORAGE_CONDITION, "False")


def _with_offset(resource: ServerlessDatabase, offset: int) -> ServerlessDatabase:
    generation = resource.metadata.generation + offset
    named = resource.metadata.model_copy(update={"generation": generation})
    told_by = resource.status.observed_offset
    status = shifted(resource.status, offset if told_by is None else told_by)
    return resource.model_copy(update={"metadata": named, "status": status})


def shifted(status: DatabaseStatus, offset: int) -> DatabaseStatus:
    """With every generation in it as Torpor reckons; back again with :func:`unshifted`."""
    return _with_generations(status, lambda own: own and own + offset + (own < 0))


def unshifted(status: DatabaseStatus, offset: int) -> DatabaseStatus:
    """As its resource says it: 0 for "never", and below 0 what is older than its first generation
    (a password has changed since), so that no two are told alike."""

    def own(generation: int) -> int:
        found = generation - offset
        return found if found > 0 else found - 1

    return _with_generations(status, lambda generation: generation and own(generation))


def _with_generations(status: DatabaseStatus, moved: Callable[[int], int]) -> DatabaseStatus:
    conditions = tuple(
        one.model_copy(update={"observed_generation": moved(one.observed_generation)})
        for one in status.conditions
    )
    moved_status = {
        "conditions": conditions,
        "observed_generation": moved(status.observed_generation),
        "observed_offset": None,
    }
    return status.model_copy(update=moved_status)


def status_document(known: Known, version: str, status: DatabaseStatus) -> Document:
    """For server-side apply to the status: the autoscaler's part, at this version only."""
    name, namespace = split_endpoint_name(known.name)
    own = unshifted(status, known.generation_offset).model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude=set(FOREIGN_FIELDS)
    )
    own["observedOffset"] = known.generation_offset
    own["conditions"] = [one for one in own["conditions"] if one["type"] in OUR_CONDITIONS]
    head = {"name": name, "namespace": namespace, "resourceVersion": version, "uid": known.uid}
    return {"metadata": {key: value for key, value in head.items() if value}, "status": own}


def refusal_document(known: Known, at: str) -> Document:
    """The condition that says why it is left alone; or its withdrawal, where it can be read."""
    name, namespace = split_endpoint_name(known.name)
    condition = {
        "type": REFUSAL_CONDITION,
        "status": "False",
        "reason": "InvalidRequest",
        "message": known.refusal,
        "lastTransitionTime": at,
    }
    conditions = [condition] if known.refusal else []
    return {
        "metadata": {"name": name, "namespace": namespace},
        "status": {"conditions": conditions},
    }
