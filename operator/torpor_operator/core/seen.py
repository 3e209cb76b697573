"""What the operator keeps of the objects that it sees: little, because there are many. Pure."""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass
from typing import Any

from torpor_api.resource import DEFAULT_POOL
from torpor_kube import names
from torpor_kube.documents import annotations_of, metadata, version_of
from torpor_kube.kinds import SECRET, Kind
from torpor_kube.port import Document
from torpor_operator.core.binding import PASSWORD
from torpor_operator.core.fingerprint import belongs_to, fingerprint
from torpor_operator.core.naming import OFFSET_ANNOTATION, Key, key_of
from torpor_operator.core.packing import packed, unpacked

_PASSED_OVER = ("lastResume", "lastSwitchover", "whyAwake", "decisions", "endpoint")
"""Parts of ``status`` that change often and decide nothing here."""

_OFFSET_MAX = 2**31 - 1
"""Of the schema's; whatever is no number from 0 to that counts as 0."""

_METADATA_KEPT = ("name", "namespace", "uid", "generation", "deletionTimestamp", "finalizers")


@dataclass(frozen=True, slots=True)
class SeenDatabase:
    """A ServerlessDatabase: what other objects ask about it, and its own JSON."""

    key: Key
    body: bytes
    """What decides something, packed: 0.2 KiB where a dict of it takes 6."""
    version: str
    pool: str
    user_id: int | None
    compute: str | None
    awaits_compute: bool = False
    """One has to be made for it, with its own volume."""

    @property
    def is_held(self) -> bool:
        """The operator has not let it go: it does that to what is being deleted, and to nothing
        else."""
        whole = metadata(self.document())
        has_finalizer = names.STORAGE_FINALIZER in (whole.get("finalizers") or ())
        return has_finalizer or "deletionTimestamp" not in whole

    def document(self) -> Document:
        """With the resourceVersion that it had."""
        document = unpacked(self.body)
        document["metadata"]["resourceVersion"] = self.version
        return document


def see_database(document: Document) -> SeenDatabase:
    status: dict[str, Any] = document.get("status") or {}
    spec: dict[str, Any] = document.get("spec") or {}
    whole = metadata(document)
    kept = {
        "apiVersion": document.get("apiVersion"),
        "kind": document.get("kind"),
        "metadata": {field: whole[field] for field in _METADATA_KEPT if field in whole},
        "spec": spec,
        "status": {field: value for field, value in status.items() if field not in _PASSED_OVER},
    }
    return SeenDatabase(
        key=key_of(document),
        body=packed(kept),
        version=version_of(document),
        pool=sys.intern(str(spec.get("pool") or DEFAULT_POOL)),
        user_id=(status.get("storage") or {}).get("userId"),
        compute=status.get("compute"),
        awaits_compute=status.get("awaitsCompute") is True,
    )


@dataclass(frozen=True, slots=True)
class Child:
    """An object that belongs to a database."""

    fingerprint: bytes
    secret: str = ""
    """Of a role's Secret its password; of the verifiers their JSON, by key; else nothing."""
    offset: int = 0
    """Of the verifiers: see :data:`~torpor_operator.core.naming.OFFSET_ANNOTATION`."""

    def belongs_to(self, uid: str) -> bool:
        """Whether it was made for the resource with this uid, and not for another of its name."""
        return belongs_to(self.fingerprint, uid)


def see_child(kind: Kind, document: Document, *, is_verifiers: bool = False) -> Child:
    """Whatever somebody has written into it: what can't be read is as if it were not there."""
    secret = ""
    data: dict[str, str] = document.get("data") or {}
    if kind == SECRET and not is_verifiers:
        secret = _decoded(data.get(PASSWORD, ""))
    elif kind == SECRET:
        secret = json.dumps({key: _decoded(value) for key, value in sorted(data.items())})
    offset = annotations_of(document).get(OFFSET_ANNOTATION, "")
    return Child(fingerprint(document), secret, _offset(offset))


def _offset(text: str) -> int:
    try:
        return min(max(0, int(text)), _OFFSET_MAX)
    except ValueError:
        return 0


def _decoded(text: str) -> str:
    """Bytes that are no text are no password of ours: as if there were none."""
    try:
        return base64.b64decode(text).decode()
    except ValueError:
        return ""
