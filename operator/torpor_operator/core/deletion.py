"""The end of a database: asleep first, then its data is kept or erased, then it is let go. Pure.

The finalizer goes with the very resourceVersion that said asleep: where a claim came in between,
it stays, and all of this is decided again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from torpor_api.phases import Phase
from torpor_api.resource import DeletionPolicy, ServerlessDatabase
from torpor_kube import names
from torpor_kube.documents import metadata, version_of
from torpor_kube.kinds import CONFIG_MAP, SECRET, SERVERLESS_DATABASE, VOLUME_CLAIM
from torpor_kube.port import Document
from torpor_operator.core.actions import Action, Apply, Delete, Erase, Patch, Suspend, Tell, Weight
from torpor_operator.core.cache import ChildId, verifiers_of
from torpor_operator.core.conditions import Finding, as_conditions
from torpor_operator.core.naming import Key, key_of
from torpor_operator.core.retained import Retained, as_config_map
from torpor_operator.core.storage import (
    STORAGE_CONDITION,
    Kept,
    is_dedicated,
    why_not_adopted,
)


def is_deleting(document: Document) -> bool:
    return "deletionTimestamp" in metadata(document)


def plan_deletion(
    document: Document,
    resource: ServerlessDatabase,
    children: Collection[ChildId],
    retained: Retained | None,
    namespace_uid: str,
    system_namespace: str,
    now: str,
) -> Iterator[Action]:
    """In order; a later step is taken only when the earlier ones have succeeded.

    What it had goes with it, and not a while later by the garbage collector: the next one of this
    name would find a password in force that is about to be deleted.
    """
    key = key_of(document)
    finalizers = metadata(document).get("finalizers") or []
    if names.STORAGE_FINALIZER not in finalizers:
        return
    if not _is_asleep(resource):
        yield Suspend(key)
        return  # The status will say that it sleeps, and this is decided again.
    if not _is_erased(document, resource):
        yield from _data(document, resource, retained, namespace_uid, system_namespace)
        if resource.spec.deletion_policy is DeletionPolicy.DELETE and _kept(resource, ""):
            # The record says so before it goes: who leads by then has no other way to know that
            # nothing is left behind. Then this is decided again.
            yield Patch(SERVERLESS_DATABASE, key, _as_erased(document, resource, now), "status")
            return
    verifiers = verifiers_of(key, system_namespace)
    yield Delete(SECRET, verifiers.key)
    for child in children:
        if child != verifiers:
            yield Delete(child.kind, child.key, owner=metadata(document)["uid"])
    others = [finalizer for finalizer in finalizers if finalizer != names.STORAGE_FINALIZER]
    patch = {"metadata": {"resourceVersion": version_of(document), "finalizers": others}}
    yield Patch(SERVERLESS_DATABASE, key, patch)


def _data(
    document: Document,
    resource: ServerlessDatabase,
    retained: Retained | None,
    namespace_uid: str,
    system_namespace: str,
) -> Iterator[Action]:
    """Its own, or what was kept under its name and it has not taken over yet."""
    key = key_of(document)
    kept = _kept(resource, namespace_uid)
    if resource.status.storage is None and retained is not None:
        # What was to be erased is nobody's to take over, and anybody's of that place to erase.
        there = replace(retained, is_to_erase=False)
        why_not = why_not_adopted(resource, Kept(there, namespace_uid))
        if why_not:
            yield Tell(document, Weight.NORMAL, "Retained", f"nothing is erased: {why_not}")
            return
        kept = retained
    if kept is not None and resource.spec.deletion_policy is DeletionPolicy.RETAIN:
        yield Apply(CONFIG_MAP, as_config_map(key, kept, system_namespace))
        note = f"the data stays in {kept.directory} of {kept.claim} for the next one of this name"
        yield Tell(document, Weight.NORMAL, "Retained", note)
        return
    own_claim = kept.claim if kept and kept.has_own_claim else _own_claim(resource)
    if own_claim:
        # Nothing writes to it any more: its compute is gone, and no other one may mount it.
        yield Delete(VOLUME_CLAIM, Key(system_namespace, own_claim))
        yield Tell(document, Weight.NORMAL, "Erased", f"the volume {own_claim} is deleted")
    elif kept is not None:
        uid, epoch = metadata(document)["uid"], kept.epoch + 1
        yield Erase(key, uid, kept.pool, epoch, kept.directory, kept.user_id, kept.fenced)
        note = f"the data in {kept.directory} of {kept.claim} is erased"
        yield Tell(document, Weight.NORMAL, "Erased", note)
    if retained is not None:
        name = names.retained_config_map(key.namespace, key.name)
        yield Delete(CONFIG_MAP, Key(system_namespace, name))
    facts = names.login_facts_secret(key.namespace, key.name)
    yield Delete(SECRET, Key(system_namespace, facts))


def left_behind(
    document: Document, resource: ServerlessDatabase, namespace_uid: str
) -> Retained | None:
    """What is there of a database that went without its finalizer; None: nothing."""
    kept = None if _is_erased(document, resource) else _kept(resource, namespace_uid)
    was_to_go = is_deleting(document) and resource.spec.deletion_policy is DeletionPolicy.DELETE
    return replace(kept, is_to_erase=True) if kept and was_to_go else kept


def _is_erased(document: Document, resource: ServerlessDatabase) -> bool:
    """Whether its record says so, of all that it ever wrote."""
    wanted = _erased(resource)
    return any(
        (one["type"], one["reason"], one["message"]) == (wanted.type, wanted.reason, wanted.message)
        for one in _conditions(document)
    )


def _as_erased(document: Document, resource: ServerlessDatabase, now: str) -> dict[str, Any]:
    """A patch of that very version: where somebody has claimed it meanwhile, there is more to
    erase. Its place stays in the record: by it other Torpors leave it alone."""
    observed, generation = _conditions(document), metadata(document).get("generation", 0)
    (said,) = as_conditions([_erased(resource)], observed, generation, now)
    others = [one for one in observed if one["type"] != said["type"]]
    head = {"resourceVersion": version_of(document)}
    return {"metadata": head, "status": {"conditions": [*others, said]}}


def _erased(resource: ServerlessDatabase) -> Finding:
    words = f"what was written up to epoch {resource.status.epoch} is erased"
    return Finding(STORAGE_CONDITION, False, names.ERASED_REASON, words)


def _conditions(document: Document) -> list[dict[str, Any]]:
    return list((document.get("status") or {}).get("conditions") or ())


def _is_asleep(resource: ServerlessDatabase) -> bool:
    """Nobody may write. One that sleeps may name the compute that it lost: that one is gone. One
    that has failed may not: nobody knows what became of it."""
    status = resource.status
    has_failed = status.phase is Phase.FAILED and status.compute is None
    return status.phase is Phase.SUSPENDED or has_failed


def _own_claim(resource: ServerlessDatabase) -> str:
    """Of a volume that no other database has data on; empty: it has none."""
    storage = resource.status.storage
    return storage.claim if storage is not None and is_dedicated(resource) else ""


def _kept(resource: ServerlessDatabase, namespace_uid: str) -> Retained | None:
    """What there is to keep or to erase; None for one that was never claimed."""
    status = resource.status
    if status.storage is None or status.epoch == 0:
        return None
    return Retained(
        pool=resource.spec.pool,
        directory=status.storage.directory,
        user_id=status.storage.user_id,
        claim=status.storage.claim,
        epoch=status.epoch,
        compute=status.compute or "",
        fenced=status.fenced,
        generation=resource.metadata.generation + status.storage.generation_offset,
        namespace_uid=namespace_uid,
    )
