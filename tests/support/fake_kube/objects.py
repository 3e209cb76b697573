"""Objects and what has happened to them, as etcd and the API server keep them together. Pure."""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from support.fake_kube.errors import already_there, conflict, expired, invalid, not_found
from support.fake_kube.merging import (
    Leaves,
    copied,
    leaves,
    merge_patch,
    with_leaf,
    without_leaf,
)
from torpor_kube import kinds
from torpor_kube.kinds import Kind
from torpor_kube.port import ChangeType, Document

KINDS = {
    (kind.group, kind.version, kind.plural): kind
    for kind in vars(kinds).values()
    if isinstance(kind, Kind)
}

WITH_STATUS = frozenset({kinds.POD, kinds.NODE, kinds.SERVERLESS_DATABASE, kinds.WARM_POOL})
"""Their status is written through the subresource only."""

SECRET_BYTES_MAX = 1 << 20
"""Of all values of one together, decoded."""

Key = tuple[Kind, str, str]
"""Kind, namespace, name."""


@dataclass(slots=True)
class Stored:
    document: Document
    owned: dict[tuple[str, str], set[Any]] = field(default_factory=dict)
    """The paths that each manager has applied, by manager and subresource."""
    told: Document | None = None
    """As it was at its latest version."""


@dataclass(frozen=True, slots=True)
class Happened:
    version: int
    type: ChangeType
    key: Key
    document: Document
    before: Document | None


class Objects:
    """Every change has a version of its own, and is told to whoever listens."""

    def __init__(self) -> None:
        self.stored: dict[Key, Stored] = {}
        self.history: list[Happened] = []
        self.forgotten = 0
        """What happened up to this version is no longer known."""
        self.listeners: set[Callable[[], None]] = set()
        self._versions = itertools.count(1)
        self.version = 0
        for name in ("default", "kube-system"):
            self.create(kinds.NAMESPACE, {"metadata": {"name": name}})
        self.compact()

    # --- reading ---------------------------------------------------------------------------

    def get(self, key: Key) -> Document:
        return copied(self._find(key).document)

    def all(self, kind: Kind, namespace: str) -> Iterator[Document]:
        for (of, where, _), stored in sorted(self.stored.items(), key=lambda one: one[0][1:]):
            if of is kind and namespace in ("", where):
                yield copied(stored.document)

    def as_of(self, version: int, kind: Kind, namespace: str) -> list[Document]:
        """All as they were at that version. Raises Expired for one that is no longer known."""
        then = {key: stored.document for key, stored in self.stored.items()}
        for one in reversed(self.since(version)):
            if one.before is None:
                del then[one.key]
            else:
                then[one.key] = one.before
        keys = [key for key in then if key[0] is kind and namespace in ("", key[1])]
        return [copied(then[key]) for key in sorted(keys, key=lambda key: key[1:])]

    def since(self, version: int) -> list[Happened]:
        if version < self.forgotten:
            raise expired()
        return [one for one in self.history if one.version > version]

    def compact(self) -> None:
        """As etcd does after some minutes: whoever asks for what was before must list again."""
        self.forgotten = self.version
        self.history.clear()

    # --- writing ---------------------------------------------------------------------------

    def create(self, kind: Kind, document: Document) -> Document:
        metadata = document.get("metadata") or {}
        key = (kind, metadata.get("namespace", ""), metadata.get("name", ""))
        if key in self.stored:
            raise already_there(_called(key))
        _refuse_too_long(key, document)
        if kind.is_namespaced and (kinds.NAMESPACE, "", key[1]) not in self.stored:
            raise not_found(f"namespaces {key[1]!r}")
        new = copied(document) | {"apiVersion": kind.api_version, "kind": kind.kind}
        if kind in WITH_STATUS:
            new.pop("status", None)
        new["metadata"] = {**metadata, "uid": str(uuid.uuid4()), "creationTimestamp": _now()}
        if kind in WITH_STATUS:
            new["metadata"]["generation"] = 1
        self.stored[key] = Stored(new)
        return self._happened(ChangeType.ADDED, key)

    def patch(self, key: Key, patch: Document, subresource: str) -> Document:
        before = self._find(key).document
        self._refuse_other(key, patch)
        return self._replace(key, merge_patch(before, patch), subresource)

    def merge(self, key: Key, patch: Document, subresource: str) -> Document:
        """A strategic merge patch that sets fields. ``resize`` changes the spec only."""
        after = copied(self._find(key).document)
        for path, value in _appliable(patch).items():
            with_leaf(after, path, value)
        return self._replace(key, after, "" if subresource == "resize" else subresource)

    def apply(self, key: Key, document: Document, manager: str, subresource: str) -> Document:
        wanted = _appliable(document)
        if key not in self.stored:
            if subresource:
                raise not_found(_called(key))
            return self._create_applied(key, document, wanted, (manager, subresource))
        self._refuse_other(key, document)
        stored = self._find(key)
        ours = stored.owned.get((manager, subresource), set())
        merged = _applied(stored, wanted, ours, (manager, subresource))
        stored.owned[(manager, subresource)] = set(wanted)
        return self._replace(key, merged, subresource)

    def _create_applied(
        self, key: Key, document: Document, wanted: Leaves, manager: tuple[str, str]
    ) -> Document:
        new = _skeleton(document)
        for path, value in wanted.items():
            with_leaf(new, path, value)
        created = self.create(key[0], new)
        self.stored[key].owned[manager] = set(wanted)
        return created

    def delete(self, key: Key, conditions: Document, grace_s: int | None) -> Document:
        stored = self._find(key)
        self._refuse_other(key, {"metadata": conditions})
        metadata = stored.document["metadata"]
        is_running = key[0] is kinds.POD and stored.document.get("spec", {}).get("nodeName")
        waits = bool(is_running) and grace_s != 0 and "deletionTimestamp" not in metadata
        if grace_s == 0:
            metadata["deletionGracePeriodSeconds"] = 0
        if "deletionTimestamp" not in metadata and (waits or metadata.get("finalizers")):
            metadata["deletionTimestamp"] = _now()
            metadata["deletionGracePeriodSeconds"] = grace_s or (30 if is_running else 0)
            return self._happened(ChangeType.MODIFIED, key)
        return self._remove_if_free(key) or copied(stored.document)

    # --- inside ----------------------------------------------------------------------------

    def _replace(self, key: Key, after: Document, subresource: str) -> Document:
        """The object as it is now, where this is a change. No part but the one that was asked."""
        stored = self._find(key)
        before = stored.document
        if key[0] in WITH_STATUS:
            metadata = before["metadata"] if subresource else after["metadata"]
            kept, other = (before, after) if subresource else (after, before)
            after = {**kept, "metadata": metadata}
            after.pop("status", None)
            if "status" in other:
                after["status"] = other["status"]
        _refuse_too_long(key, after)
        if key[0] is kinds.SECRET and "type" in before and after.get("type") != before["type"]:
            raise invalid(f"{_called(key)}: type: Invalid value: field is immutable")
        after["metadata"] = after["metadata"] | _unchangeable(before["metadata"])
        if after == before:
            return copied(before)
        if key[0] in WITH_STATUS and after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"]["generation"] + 1
        stored.document = after
        is_leaving = "deletionTimestamp" in after["metadata"]
        gone = self._remove_if_free(key) if is_leaving else None
        return gone or self._happened(ChangeType.MODIFIED, key)

    def _remove_if_free(self, key: Key) -> Document | None:
        metadata = self._find(key).document["metadata"]
        if metadata.get("finalizers"):
            return None
        if key[0] is kinds.POD and metadata.get("deletionGracePeriodSeconds"):
            return None  # Its kubelet says when it has ended.
        gone = self._happened(ChangeType.DELETED, key)
        del self.stored[key]
        self._collect(metadata["uid"])
        return gone

    def _collect(self, owner: str) -> None:
        """The garbage collector, without its delay."""
        for key, stored in list(self.stored.items()):
            owners = stored.document["metadata"].get("ownerReferences") or []
            if owners and all(one["uid"] == owner for one in owners):
                self.delete(key, {}, None)

    def _find(self, key: Key) -> Stored:
        if key not in self.stored:
            raise not_found(_called(key))
        return self.stored[key]

    def _refuse_other(self, key: Key, document: Document) -> None:
        found = self._find(key).document["metadata"]
        wanted = document.get("metadata") or {}
        for field_ in ("uid", "resourceVersion"):
            if wanted.get(field_) and wanted[field_] != found[field_]:
                raise conflict(_called(key), f"its {field_} is another")
        if wanted.get("name", key[2]) != key[2]:
            raise invalid(f"{_called(key)}: the name of the object is another")

    def _happened(self, type: ChangeType, key: Key) -> Document:
        self.version = next(self._versions)
        stored = self.stored[key]
        stored.document["metadata"]["resourceVersion"] = str(self.version)
        before, told = stored.told, copied(stored.document)
        stored.told = told
        self.history.append(Happened(self.version, type, key, told, before))
        for listener in list(self.listeners):
            listener()
        return copied(told)


def _applied(stored: Stored, wanted: Leaves, ours: set[Any], manager: tuple[str, str]) -> Document:
    after = copied(stored.document)
    others = set().union(*(paths for who, paths in stored.owned.items() if who != manager), set())
    for path in ours - set(wanted) - others:
        without_leaf(after, path)
    before = leaves(stored.document)
    for path, value in wanted.items():
        with_leaf(after, path, value)
        if before.get(path) != value:
            for who, paths in stored.owned.items():
                if who != manager:
                    paths.discard(path)
    return after


def _appliable(document: Document) -> Leaves:
    """What becomes the manager's own: not the identity of the object."""
    wanted = copied(document)
    metadata = wanted.get("metadata") or {}
    for head in ("name", "namespace", "uid", "resourceVersion"):
        metadata.pop(head, None)
    for head in ("apiVersion", "kind", *([] if metadata else ["metadata"])):
        wanted.pop(head, None)
    return leaves(wanted) if wanted else {}


def _skeleton(document: Document) -> Document:
    metadata = document.get("metadata") or {}
    head = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    return {"metadata": head}


def _unchangeable(metadata: Document) -> Document:
    words = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion")
    return {word: metadata[word] for word in words if word in metadata}


def _refuse_too_long(key: Key, document: Document) -> None:
    values = (document.get("data") or {}).values() if key[0] is kinds.SECRET else ()
    if sum(len(base64.b64decode(value)) for value in values) > SECRET_BYTES_MAX:
        raise invalid(f"{_called(key)}: data: Too long: may not be more than {SECRET_BYTES_MAX}")


def _called(key: Key) -> str:
    return f"{key[0].plural}.{key[0].group} {key[2]!r}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
