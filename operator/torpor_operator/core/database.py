"""What a database is to have in the cluster, from what is there. Pure.

Level-triggered: the same facts give the same plan, whatever has happened before; where everything
is as it should be, nothing is to be done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torpor_api.resource import ServerlessDatabase
from torpor_kube import names
from torpor_kube.documents import metadata, name_of, version_of
from torpor_kube.kinds import (
    CONFIG_MAP,
    SECRET,
    SERVERLESS_DATABASE,
    SERVICE,
    VOLUME_CLAIM,
    Kind,
)
from torpor_kube.port import Document
from torpor_operator.core.actions import (
    Action,
    Apply,
    Create,
    Delete,
    Patch,
    Repair,
    Tell,
    Weight,
)
from torpor_operator.core.binding import address_of, binding_secret, inner_database
from torpor_operator.core.cache import ChildId, verifiers_of
from torpor_operator.core.claims import VOLUME_SIZED
from torpor_operator.core.conditions import Finding, are_known, as_conditions
from torpor_operator.core.credentials import (
    Credentials,
    RandomBytes,
    decide_credentials,
    verifiers_secret,
)
from torpor_operator.core.endpoint import database_service
from torpor_operator.core.fingerprint import fingerprint
from torpor_operator.core.naming import Key, credentials_secret, key_of
from torpor_operator.core.seen import Child
from torpor_operator.core.storage import Kept, StoragePlan, may_adopt

_UP_TO_DATE = "UpToDate"
"""False while its compute is not as its pool would make one now."""

_USER_ID_UNIQUE = "UserIdUnique"
"""False where two operators that led at once have given one id twice, and both were started."""

_ONLY_WHERE_FALSE = (_UP_TO_DATE, VOLUME_SIZED, _USER_ID_UNIQUE)
"""Conditions that are there only while something is not as it should be."""


@dataclass(frozen=True, slots=True)
class House:
    """Where Torpor itself is; the same for all databases."""

    system_namespace: str
    proxy_host: str
    """Of the proxy's Service, with the cluster's domain."""
    cluster_domain: str = "cluster.local"
    ca_certificate: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """Everything that a plan for one database follows from."""

    document: Document
    resource: ServerlessDatabase
    storage: StoragePlan
    children: Mapping[ChildId, Child] = field(default_factory=dict)
    are_checked: bool = False
    """They are those that were found to be as they should be."""
    given: Mapping[str, str] = field(default_factory=dict)
    """What was found under ``passwordSecret``, by role."""
    kept: Kept | None = None
    """Data of an earlier database of this name."""
    claims: Collection[str] = ()
    """PersistentVolumeClaims that are there."""
    is_outdated: bool | None = False
    """Its compute is of another template than its pool's now; None: nobody can say yet."""
    taken: Mapping[ChildId, str] = field(default_factory=dict)
    """Names that belong to somebody else, and to whom."""
    refused: Mapping[ChildId, str] = field(default_factory=dict)
    """What the API server has just refused to make, and why."""

    @property
    def adopts(self) -> bool:
        """Data was kept under this name, on the volume that the spec names."""
        return self.kept is not None and may_adopt(self.resource, self.kept)


def plan_database(
    facts: DatabaseFacts, house: House, now: str, random_bytes: RandomBytes
) -> tuple[Action, ...]:
    """For one that is to stay."""
    first = tuple(_before_anything(facts, house))
    if first:
        return first  # Each step is a compare-and-swap, on what the one before it leaves.
    credentials = decide_credentials(
        facts.resource,
        facts.given,
        {child.key.name: seen for child, seen in facts.children.items() if child.kind == SECRET},
        facts.children.get(_verifiers_id(facts, house)),
        # A new password that is kept nowhere would be another one at every look.
        {child.key.name for child in (*facts.taken, *facts.refused) if child.kind == SECRET},
        random_bytes,
        are_checked=facts.are_checked,
    )
    offset = _offset(facts, house, credentials)
    wanted = dict(_wanted(facts, house, credentials, offset))
    return (
        *_own_volume(facts),
        *_children(facts, wanted),
        *_status(facts, house, credentials, offset, wanted, now),
    )


def _before_anything(facts: DatabaseFacts, house: House) -> Iterator[Action]:
    """The finalizer, then what was kept of an earlier one of this name: its data is adopted.

    The note of it goes when the resource says where the data is, and not before.
    """
    key, version = key_of(facts.document), version_of(facts.document)
    status = facts.resource.status
    finalizers = metadata(facts.document).get("finalizers") or []
    if names.STORAGE_FINALIZER not in finalizers:
        mine = {"resourceVersion": version, "finalizers": [*finalizers, names.STORAGE_FINALIZER]}
        yield Patch(SERVERLESS_DATABASE, key, {"metadata": mine})
    elif facts.adopts and facts.kept is not None:
        retained = facts.kept.retained
        if status.storage is not None:
            name = names.retained_config_map(key.namespace, key.name)
            yield Delete(CONFIG_MAP, Key(house.system_namespace, name))
        elif status.epoch < retained.epoch:
            kept = retained.as_status()
            patch = {"metadata": {"resourceVersion": version}, "status": kept}
            yield Patch(SERVERLESS_DATABASE, key, patch, "status")
            note = f"takes over the data in {retained.directory}, kept since its deletion"
            yield Tell(facts.document, Weight.NORMAL, "Adopted", note)


def _own_volume(facts: DatabaseFacts) -> Iterator[Action]:
    """Its claim, before anybody is told where the data is to be; or a larger one."""
    growth = facts.storage.growth
    if growth is not None and ChildId(VOLUME_CLAIM, growth.key) not in facts.refused:
        yield growth
    claim = facts.storage.claim
    if claim is None or name_of(claim) in facts.claims:
        return
    if ChildId(VOLUME_CLAIM, key_of(claim)) not in facts.refused:
        yield Create(VOLUME_CLAIM, claim)


def _verifiers_id(facts: DatabaseFacts, house: House) -> ChildId:
    return verifiers_of(key_of(facts.document), house.system_namespace)


def _offset(facts: DatabaseFacts, house: House, credentials: Credentials) -> int:
    """Grows with each changed password, once it is in force: a compute that runs applies what is
    newer only."""
    storage, verifiers = facts.resource.status.storage, _verifiers_id(facts, house)
    known = facts.children.get(verifiers)
    kept = facts.kept.retained if facts.kept and facts.adopts else None
    stated = (
        storage.generation_offset if storage else 0,
        known.offset if known else 0,
        kept.generation if kept and storage is None else 0,
    )
    return max(stated) + (credentials.is_changed and verifiers not in facts.refused)


def _wanted(
    facts: DatabaseFacts, house: House, credentials: Credentials, offset: int
) -> Iterator[tuple[ChildId, Document]]:
    key = key_of(facts.document)
    address = address_of(key, house.cluster_domain, house.ca_certificate)
    for role, password in credentials.passwords.items():
        inner = inner_database(facts.resource.spec, role)
        secret = binding_secret(facts.document, key, role, password, inner, address)
        yield ChildId(SECRET, key_of(secret)), secret
    verifiers = verifiers_secret(key, credentials.verifiers, offset, house.system_namespace)
    yield _verifiers_id(facts, house), verifiers
    service = database_service(facts.document, key, house.proxy_host)
    yield ChildId(SERVICE, key_of(service)), service


def _children(facts: DatabaseFacts, wanted: Mapping[ChildId, Document]) -> Iterator[Action]:
    for child, document in wanted.items():
        if child in facts.refused:
            continue
        seen = facts.children.get(child)
        if seen is None and child not in facts.taken:
            yield Create(child.kind, document)
        elif seen is not None and seen.fingerprint != fingerprint(document):
            yield Repair(child.kind, document, seen)
    name, roles = key_of(facts.document).name, facts.resource.spec.roles
    kept = {credentials_secret(name, role.name) for role in roles}
    for child in facts.children:
        # A role whose password can't be read now keeps its Secret.
        if child not in wanted and child.key.name not in kept:
            yield Delete(child.kind, child.key, owner=metadata(facts.document)["uid"])


def _status(
    facts: DatabaseFacts,
    house: House,
    credentials: Credentials,
    offset: int,
    wanted: Mapping[ChildId, Document],
    now: str,
) -> Iterator[Action]:
    findings = (
        (None if facts.storage.growth else _refusal(facts, VOLUME_CLAIM, "StorageReady"))
        or facts.storage.finding,
        _credentials_finding(facts, credentials),
        _endpoint_finding(facts),
        *_outdated(facts),
        *_sized(facts),
        *_shared(facts),
    )
    observed: dict[str, Any] = facts.document.get("status") or {}
    generation = metadata(facts.document).get("generation", 0)
    conditions = as_conditions(findings, observed.get("conditions") or (), generation, now)
    first_role = facts.resource.spec.roles[0].name
    status: dict[str, Any] = {
        "binding": {"name": credentials_secret(key_of(facts.document).name, first_role)},
        "conditions": conditions,
    }
    if facts.storage.storage is not None and not _is_claim_refused(facts):
        status["storage"] = {
            **facts.storage.storage,
            "namespace": house.system_namespace,
            "generationOffset": offset,
        }
    yield from _news(facts, findings, status)
    is_as_observed = all(
        observed.get(part) == status[part] for part in ("binding", "storage") if part in status
    )
    found = {one.type for one in findings}
    is_over = any(_says(facts, type) and type not in found for type in _ONLY_WHERE_FALSE)
    are_said = are_known(conditions, observed.get("conditions") or ()) and not is_over
    if not (is_as_observed and are_said):
        yield Apply(SERVERLESS_DATABASE, status_document(facts.document, status), "status")


def status_document(document: Document, status: dict[str, Any]) -> Document:
    """To be applied to that very object, not to another one of its name.

    Whoever says first where the data is serves the database: that is a compare-and-swap; and so is
    another user id, which is for data that nobody has made yet.
    """
    whole = metadata(document)
    known = (document.get("status") or {}).get("storage") or {}
    is_new = "storage" in status and status["storage"]["userId"] != known.get("userId")
    kept = ("name", "namespace", "uid", *(("resourceVersion",) if is_new else ()))
    return {
        "apiVersion": SERVERLESS_DATABASE.api_version,
        "kind": document.get("kind"),
        "metadata": {field: whole[field] for field in kept},
        "status": status,
    }


def served_elsewhere(document: Document, house: House) -> Tell | None:
    """Two Torpors on one cluster: the other one was there first, and this one does nothing."""
    storage: dict[str, Any] = (document.get("status") or {}).get("storage") or {}
    owner = storage.get("namespace")
    if owner in (None, "", house.system_namespace):
        return None
    note = (
        f"the Torpor in namespace {owner} serves it, the one in {house.system_namespace} leaves it "
        "alone: give each its own namespaces (watchNamespaces in the chart's values)"
    )
    return Tell(document, Weight.WARNING, "ServedElsewhere", note)


def _refusal(facts: DatabaseFacts, kind: Kind, type: str) -> Finding | None:
    for child, why in facts.refused.items():
        if child.kind == kind:
            return Finding(type, False, "Refused", f"{kind.kind} {child.key.name}: {why}")
    return None


def _is_claim_refused(facts: DatabaseFacts) -> bool:
    """Then nobody is told of a place on it, who has not been told yet."""
    is_refused = any(child.kind == VOLUME_CLAIM for child in facts.refused)
    return is_refused and facts.resource.status.storage is None


def _credentials_finding(facts: DatabaseFacts, credentials: Credentials) -> Finding:
    refusal = _refusal(facts, SECRET, "CredentialsReady")
    if refusal:
        return refusal
    if credentials.missing:
        message = "; ".join(credentials.missing)
        return Finding("CredentialsReady", False, "PasswordSecretMissing", message)
    for child, owner in facts.taken.items():
        if child.kind == SECRET:
            message = f"Secret {child.key.name} belongs to {owner}: rename it or the role"
            return Finding("CredentialsReady", False, "NameTaken", message)
    return Finding("CredentialsReady", True, "Stored")


def _endpoint_finding(facts: DatabaseFacts) -> Finding:
    refusal = _refusal(facts, SERVICE, "EndpointReady")
    if refusal:
        return refusal
    for child, owner in facts.taken.items():
        if child.kind == SERVICE:
            message = f"Service {child.key.name} belongs to {owner}: rename it"
            return Finding("EndpointReady", False, "NameTaken", message)
    return Finding("EndpointReady", True, "ServiceMade")


def _says(facts: DatabaseFacts, type: str) -> bool:
    observed: dict[str, Any] = facts.document.get("status") or {}
    return any(one["type"] == type for one in observed.get("conditions") or ())


def _shared(facts: DatabaseFacts) -> Iterator[Finding]:
    """Only where it is so."""
    storage = facts.resource.status.storage
    if facts.storage.is_user_id_shared and storage is not None:
        message = (
            f"another database of the pool has the user id {storage.user_id} too, and could read "
            "this one's files: copy it into a new one, then delete it"
        )
        yield Finding(_USER_ID_UNIQUE, False, "UserIdShared", message)


def _sized(facts: DatabaseFacts) -> Iterator[Finding]:
    """Only where it is not."""
    refusal = _refusal(facts, VOLUME_CLAIM, VOLUME_SIZED) if facts.storage.growth else None
    if refusal:
        yield refusal


def _outdated(facts: DatabaseFacts) -> Iterator[Finding]:
    """Only where it is so: most wakes bring a compute of the present template."""
    is_outdated = _says(facts, _UP_TO_DATE) if facts.is_outdated is None else facts.is_outdated
    if is_outdated:
        message = (
            f"compute {facts.resource.status.compute} is of an older image or pool spec: its next "
            "sleep ends that, its pool's updateStrategy, or torpor switchover"
        )
        yield Finding(_UP_TO_DATE, False, "OlderTemplate", message)


def _news(
    facts: DatabaseFacts, findings: tuple[Finding, ...], status: Mapping[str, Any]
) -> Iterator[Action]:
    """What was not so before, once."""
    observed: dict[str, Any] = facts.document.get("status") or {}
    known = {c["type"]: (c["status"], c["reason"]) for c in observed.get("conditions") or ()}
    for finding in findings:
        if not finding.is_true and known.get(finding.type) != ("False", finding.reason):
            yield Tell(facts.document, Weight.WARNING, finding.reason, finding.message)
    if "binding" not in observed and all(finding.is_true for finding in findings):
        note = f"credentials are in Secret {status['binding']['name']}; asleep until somebody asks"
        yield Tell(facts.document, Weight.NORMAL, "Provisioned", note)
