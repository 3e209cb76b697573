"""The names and labels of everything that the operator makes. Pure."""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from typing import Any

from torpor_api.identity import endpoint_name
from torpor_kube import names
from torpor_kube.documents import labels_of, metadata, name_of, namespace_of
from torpor_kube.kinds import SERVERLESS_DATABASE, Kind
from torpor_kube.port import Document

MANAGED_BY = "torpor-operator"

CHILDREN_SELECTOR = f"{names.DATABASE_LABEL},{names.MANAGED_BY_LABEL}!={names.AUTOSCALER_MANAGER}"
"""Whatever carries a database's name: what the operator made, and Secrets with a password that
people label so that a change of it is noticed; login facts change often and decide nothing."""

CERTIFICATES_SELECTOR = f"{names.MANAGED_BY_LABEL}={MANAGED_BY},!{names.DATABASE_LABEL}"
"""Of Secrets in the system namespace: what the operator made for nobody's database."""

OFFSET_ANNOTATION = "torpor.dev/generation-offset"
"""On the verifiers: what is added to the resource's generation since these verifiers are in force.
It stands in the same object, so that no crash can part a new verifier from the news of it."""

POOL_FINALIZER = "torpor.dev/pool"
"""On a WarmPool: its pods are deleted with it, which must wait for databases that are awake."""

_OBJECT_NAME_PART = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_HASH_CHARACTERS = 8


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One namespaced object of a kind that goes without saying.

    Namespaces are interned where they come from the API: each has many objects.
    """

    namespace: str
    name: str

    @property
    def endpoint(self) -> str:
        """As everybody but the cluster names a database."""
        return endpoint_name(self.name, self.namespace)


def key_of(document: Document) -> Key:
    return Key(sys.intern(namespace_of(document)), name_of(document))


def credentials_secret(database: str, role: str) -> str:
    """``NAME-ROLE``; a role's name that no object may have is replaced by a hash of it."""
    if _OBJECT_NAME_PART.fullmatch(role):
        return f"{database}-{role}"
    return f"{database}-role-{hashlib.sha256(role.encode()).hexdigest()[:_HASH_CHARACTERS]}"


def volume_claim(pool: str) -> str:
    return f"torpor-pool-{pool}"


_OWN_CLAIM = "torpor-data-"


def own_volume_claim(database: Key) -> str:
    """Of a database whose volume no other one shares; in the system namespace."""
    return f"{_OWN_CLAIM}{database.namespace}.{database.name}"


def database_of_claim(claim: str) -> Key | None:
    """Whose own volume it is; None: that of a pool."""
    namespace, dot, name = claim.removeprefix(_OWN_CLAIM).partition(".")
    is_own = claim.startswith(_OWN_CLAIM) and dot
    return Key(sys.intern(namespace), name) if is_own else None


def labels_of_child(database: Key) -> dict[str, str]:
    return {
        names.NAME_LABEL: "torpor",
        names.MANAGED_BY_LABEL: MANAGED_BY,
        names.DATABASE_LABEL: database.name,
        names.DATABASE_NAMESPACE_LABEL: database.namespace,
    }


def labelled_database(document: Document) -> Key | None:
    """The database that its labels name: to be believed in the system namespace only."""
    labels = labels_of(document)
    name = labels.get(names.DATABASE_LABEL)
    if not name:
        return None
    namespace = labels.get(names.DATABASE_NAMESPACE_LABEL, namespace_of(document))
    return Key(sys.intern(namespace), name)


def database_of(document: Document, system_namespace: str) -> Key | None:
    """Which database it may concern, in its own namespace: whoever writes Secrets in one namespace
    has no say in another. Whether it belongs to that one its owner's uid says, and no label."""
    namespace, owner = namespace_of(document), controller_of(document)
    if owner.get("kind") == SERVERLESS_DATABASE.kind:
        return Key(sys.intern(namespace), str(owner.get("name", "")))
    found = labelled_database(document)
    is_foreign = found is not None and found.namespace != namespace != system_namespace
    return None if is_foreign else found


def controller_of(document: Document) -> dict[str, Any]:
    """The owner that made it; empty: none."""
    owners = metadata(document).get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def owner_reference(owner: Document, kind: Kind) -> dict[str, Any]:
    """Deleted with its owner. It does not hold the owner up: whoever deletes need not wait."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": name_of(owner),
        "uid": metadata(owner).get("uid", ""),
        "controller": True,
        "blockOwnerDeletion": False,
    }
