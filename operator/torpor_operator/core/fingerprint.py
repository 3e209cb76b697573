"""Whose an object is, and whether it is as the operator would have made it, in 24 bytes. Pure.

The whole objects are not kept: of a sleeping database that would be most of the memory. What is
compared is the part that the operator owns, so that a label of somebody else is no difference.
"""

from __future__ import annotations

import hashlib
import json

from torpor_kube.documents import annotations_of, labels_of, metadata
from torpor_kube.port import Document
from torpor_operator.core.naming import controller_of

_OUR_PREFIXES = ("torpor.dev/", "app.kubernetes.io/")

_SPEC_FIELDS = ("type", "externalName", "ports")
"""Of a Service; the server adds defaults to the others."""

_BYTES = 16

_OWNER_BYTES = 8
"""In front of them. A bytes object of 24 takes no more room than one of 16."""


def fingerprint(document: Document) -> bytes:
    """Equal for what the operator wants and for what the server has made of it."""
    spec = document.get("spec") or {}
    owned = {
        "labels": _ours(labels_of(document)),
        "annotations": _ours(annotations_of(document)),
        "owners": sorted(owner["uid"] for owner in metadata(document).get("ownerReferences") or ()),
        "type": document.get("type"),
        "data": document.get("data") or {},
        "spec": {field: spec[field] for field in _SPEC_FIELDS if field in spec},
    }
    text = json.dumps(owned, sort_keys=True, separators=(",", ":"))
    content = hashlib.blake2b(text.encode(), digest_size=_BYTES).digest()
    return _owner_mark(controller_of(document).get("uid", "")) + content


def belongs_to(print: bytes, uid: str) -> bool:
    """Whether the object was made for the one with this uid."""
    return print.startswith(_owner_mark(uid))


def _owner_mark(uid: str) -> bytes:
    return hashlib.blake2b(uid.encode(), digest_size=_OWNER_BYTES).digest()


def _ours(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if key.startswith(_OUR_PREFIXES)}
