"""What is kept of a database whose resource was deleted and whose data was not. Pure.

Without the epoch the next resource of that name would be refused by the volume's own record, and
without the generation its spec would seem older than what was applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torpor_kube import names
from torpor_kube.documents import labels_of
from torpor_kube.kinds import CONFIG_MAP
from torpor_kube.port import Document
from torpor_operator.core.naming import (
    Key,
    labelled_database,
    labels_of_child,
    volume_claim,
)

RETAINED = "retained"
"""Its value of the component label."""

NAMESPACE_UID = "namespaceUid"
"""The key of the namespace's uid: whoever takes it out lets any namespace of that name have the
data. It is missing where the data was kept by a release that did not know it."""

UNKNOWN_NAMESPACE = "unknown"
"""Of a namespace that was gone already; no other one has this uid."""


@dataclass(frozen=True, slots=True)
class Retained:
    """One kept directory, and where its counters ended."""

    pool: str
    directory: str
    user_id: int
    claim: str
    epoch: int
    generation: int
    compute: str = ""
    """Which was lost with the volume in its hands: whoever wakes the next one has it fenced."""
    fenced: tuple[str, ...] = ()
    """Those that were lost before it, and are confirmed gone."""
    namespace_uid: str = ""
    """Of the namespace that it was in; empty: whichever has the name."""
    is_to_erase: bool = False
    """Its deletion was to erase it, and nobody knows how far that came: some of it may be there."""

    @property
    def has_own_claim(self) -> bool:
        """It is on a volume that no other database has data on."""
        return self.claim != volume_claim(self.pool)

    def as_status(self) -> dict[str, Any]:
        """Of a resource that takes it over, before it is provided for: what a claim goes on from.

        Where the data is comes last (``status.storage``): from then on it is served.
        """
        lost = {"compute": self.compute, "fenced": list(self.fenced)}
        return {"epoch": self.epoch, **{word: found for word, found in lost.items() if found}}


def as_config_map(database: Key, kept: Retained, system_namespace: str) -> Document:
    """For the system namespace; readable by people who wonder what is on the volume."""
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {
            "name": names.retained_config_map(database.namespace, database.name),
            "namespace": system_namespace,
            "labels": labels_of_child(database) | {names.COMPONENT_LABEL: RETAINED},
        },
        "data": {
            "pool": kept.pool,
            "directory": kept.directory,
            "userId": str(kept.user_id),
            "claim": kept.claim,
            "epoch": str(kept.epoch),
            "generation": str(kept.generation),
            **({"compute": kept.compute} if kept.compute else {}),
            **({"fenced": ",".join(kept.fenced)} if kept.fenced else {}),
            **({NAMESPACE_UID: kept.namespace_uid} if kept.namespace_uid else {}),
            **({"toErase": "true"} if kept.is_to_erase else {}),
        },
    }


def is_retained(document: Document) -> bool:
    return labels_of(document).get(names.COMPONENT_LABEL) == RETAINED


def see_retained(document: Document) -> tuple[Key, Retained | None]:
    """Of which database, and what; None where somebody has edited it into something else."""
    data = document.get("data") or {}
    try:
        kept = Retained(
            pool=data["pool"],
            directory=data["directory"],
            user_id=int(data["userId"]),
            claim=data["claim"],
            epoch=int(data["epoch"]),
            generation=int(data["generation"]),
            compute=data.get("compute", ""),
            fenced=tuple(filter(None, data.get("fenced", "").split(","))),
            namespace_uid=data.get(NAMESPACE_UID, ""),
            is_to_erase=data.get("toErase") == "true",
        )
    except (KeyError, ValueError):
        kept = None
    return labelled_database(document) or Key("", ""), kept
