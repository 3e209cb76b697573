"""Login facts and verifiers as Secrets of the system namespace. Pure."""

from __future__ import annotations

import base64
import binascii

from pydantic import ValidationError

from torpor_api.facts import LoginFacts
from torpor_api.failures import DataDamaged
from torpor_api.identity import split_endpoint_name
from torpor_api.secret_keys import role_of_key
from torpor_kube import names
from torpor_kube.documents import name_of
from torpor_kube.port import Document

FACTS_KEY, EPOCH_KEY = "facts.json", "epoch"


def facts_document(database: str, system: str, epoch: int, facts: LoginFacts) -> Document:
    name, namespace = split_endpoint_name(database)
    return {
        "metadata": {
            "name": names.login_facts_secret(namespace, name),
            "namespace": system,
            "labels": {
                names.NAME_LABEL: "torpor",
                names.MANAGED_BY_LABEL: names.AUTOSCALER_MANAGER,
                names.DATABASE_LABEL: name,
                names.DATABASE_NAMESPACE_LABEL: namespace,
            },
        },
        "type": "Opaque",
        "data": {
            FACTS_KEY: _encoded(facts.model_dump_json(exclude_defaults=True)),
            EPOCH_KEY: _encoded(str(epoch)),
        },
    }


def facts_of(secret: Document) -> tuple[int, LoginFacts]:
    """The epoch that exported them, and they. Raises DataDamaged for what nobody of us wrote."""
    try:
        epoch = int(_decoded(secret, EPOCH_KEY))
        body = _decoded(secret, FACTS_KEY)
        # A newer release than this, which was rolled back, may have said more.
        return epoch, LoginFacts.model_validate_json(body, extra="ignore")
    except (KeyError, ValueError, ValidationError, TypeError):
        raise DataDamaged(
            f"Secret {name_of(secret)} holds no login facts",
            "its database's next start exports them anew",
        ) from None


def epoch_of(secret: Document) -> int:
    """That exported what is in it; 0 where nobody can read that any more: anything is newer."""
    try:
        return facts_of(secret)[0]
    except DataDamaged:
        return 0


def verifiers_of(secret: Document) -> dict[str, str]:
    """By role. What is no role's key is passed over."""
    found: dict[str, str] = {}
    for key in secret.get("data") or {}:
        try:
            found[role_of_key(key)] = _decoded(secret, key)
        except ValueError:
            continue
    return found


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(secret: Document, key: str) -> str:
    try:
        return base64.b64decode(secret["data"][key], validate=True).decode()
    except binascii.Error as error:
        raise ValueError(str(error)) from None
