"""Documents in little room: as JSON, deflated by what most of them have in common. Pure."""

from __future__ import annotations

import json
import zlib
from typing import Any

from torpor_api.resource import DatabaseSpec
from torpor_kube import names
from torpor_kube.kinds import SERVERLESS_DATABASE
from torpor_kube.port import Document

_CONDITION = {
    "lastTransitionTime": "2027-01-01T00:00:00Z",
    "message": "",
    "observedGeneration": 1,
    "status": "True",
}

_READY_MESSAGE = "asleep; the first query wakes it"

_USUAL: dict[str, Any] = {
    "apiVersion": SERVERLESS_DATABASE.api_version,
    "kind": SERVERLESS_DATABASE.kind,
    "metadata": {
        "name": "app",
        "namespace": "default",
        "uid": "",
        "generation": 1,
        "finalizers": [names.STORAGE_FINALIZER],
    },
    "spec": DatabaseSpec().model_dump(mode="json", by_alias=True, exclude_none=True),
    "status": {
        "binding": {"name": "-app"},
        "conditions": [
            *(
                {**_CONDITION, "reason": reason, "type": type}
                for reason, type in (
                    ("Assigned", "StorageReady"),
                    ("Stored", "CredentialsReady"),
                    ("ServiceMade", "EndpointReady"),
                )
            ),
            {**_CONDITION, "message": _READY_MESSAGE, "reason": "Suspended", "type": "Ready"},
        ],
        "epoch": 0,
        "observedGeneration": 0,
        "observedOffset": 0,
        "phase": "Suspended",
        "sessions": 0,
        "storage": {
            "claim": "torpor-pool-default",
            "directory": "/volumes/default.",
            "generationOffset": 0,
            "isMade": False,
            "namespace": "torpor-system",
            "userId": 100000,
        },
    },
}


def _text(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


_DICTIONARY = _text(_USUAL)
"""A database as it is at first: what is like it takes a few bytes."""

_RAW = -13
"""Without a header and a checksum: nothing of it leaves the process. A window of 8 KiB, and so a
packer of 48 KiB: with zlib's own 32 and 256 KiB it takes twice the time, and a database is 2 KiB.
"""

_MEMORY_LEVEL = 5


def packed(document: Document) -> bytes:
    """Equal for equal documents whose fields are in the same order."""
    deflate = zlib.compressobj(
        zlib.Z_BEST_COMPRESSION, wbits=_RAW, memLevel=_MEMORY_LEVEL, zdict=_DICTIONARY
    )
    return deflate.compress(_text(document)) + deflate.flush()


def unpacked(body: bytes) -> Document:
    inflate = zlib.decompressobj(_RAW, zdict=_DICTIONARY)
    document: Document = json.loads(inflate.decompress(body))
    return document
