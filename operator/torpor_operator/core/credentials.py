"""The passwords of a database's roles, and what the proxy may know of them. Pure.

A password is the one that ``passwordSecret`` names, else the one in the role's own Secret (a person
may have written another there), else a new one. Its verifier keeps its salt while it still fits,
so that an unchanged password changes nothing anywhere.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from torpor_api.resource import ServerlessDatabase
from torpor_api.scram import SALT_BYTES, parse_verifier, verifier_of
from torpor_api.secret_keys import key_of_role
from torpor_kube import names
from torpor_kube.kinds import SECRET
from torpor_kube.port import Document
from torpor_operator.core.naming import (
    OFFSET_ANNOTATION,
    Key,
    credentials_secret,
    labels_of_child,
)
from torpor_operator.core.seen import Child

PASSWORD_BYTES = 24
"""Of randomness in a generated password; 32 characters that need no quoting in a URI."""

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is to be in force."""

    passwords: dict[str, str]
    """By role; one whose ``passwordSecret`` can't be read is missing, and one whose own Secret is
    somebody else's: a new password that is kept nowhere would be another one at every look."""
    verifiers: dict[str, str]
    """By key of the system's Secret. While a role's password can't be read, the last one holds."""
    missing: tuple[str, ...]
    """Why, for each role whose ``passwordSecret`` can't be read."""
    is_changed: bool
    """A role has another verifier than it had, or its first one later than the others: a compute
    that runs must hear of it."""


def decide_credentials(
    resource: ServerlessDatabase,
    given: Mapping[str, str],
    known: Mapping[str, Child],
    known_verifiers: Child | None,
    taken: Collection[str],
    random_bytes: RandomBytes,
    *,
    are_checked: bool = False,
) -> Credentials:
    """``given``: what was found under ``passwordSecret``, by role; ``known``: Secrets by name;
    ``taken``: names of Secrets that can't be made, for whatever reason; ``are_checked``: the
    verifiers are known to fit the passwords in ``known``: checking takes a millisecond for each."""
    passwords: dict[str, str] = {}
    missing: list[str] = []
    for role in resource.spec.roles:
        secret = credentials_secret(resource.metadata.name, role.name)
        if role.password_secret is None:
            child = known.get(secret)
            password = child.secret if child else ""
            if password or secret not in taken:
                passwords[role.name] = password or new_password(random_bytes)
        elif given.get(role.name):
            passwords[role.name] = given[role.name]
        else:
            wanted = role.password_secret
            missing.append(f"role {role.name}: no key {wanted.key!r} in Secret {wanted.name}")
    before: dict[str, str] = json.loads(known_verifiers.secret) if known_verifiers else {}
    verifiers: dict[str, str] = {}
    for name in (role.name for role in resource.spec.roles):
        key = key_of_role(name)
        child = known.get(credentials_secret(resource.metadata.name, name))
        is_as_checked = are_checked and child is not None and child.secret == passwords.get(name)
        if name in passwords and not (is_as_checked and before.get(key)):
            verifiers[key] = kept_verifier(passwords[name], before.get(key), random_bytes)
        elif before.get(key):
            verifiers[key] = before[key]
    is_known = known_verifiers is not None
    is_changed = is_known and any(before.get(key) != now for key, now in verifiers.items())
    return Credentials(passwords, verifiers, tuple(missing), is_changed)


def new_password(random_bytes: RandomBytes) -> str:
    """That nobody guesses."""
    return base64.urlsafe_b64encode(random_bytes(PASSWORD_BYTES)).decode()


def kept_verifier(password: str, known: str | None, random_bytes: RandomBytes) -> str:
    """The known one, where it is of this password; else one with a new salt."""
    if known is not None:
        parsed = parse_verifier(known)
        if parsed and verifier_of(password, parsed.salt, parsed.iterations) == parsed:
            return known
    return str(verifier_of(password, random_bytes(SALT_BYTES)))


def verifiers_secret(
    database: Key, verifiers: Mapping[str, str], offset: int, system_namespace: str
) -> Document:
    """Read by the autoscaler; no password, and no key from which one follows, is in it."""
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": names.verifiers_secret(database.namespace, database.name),
            "namespace": system_namespace,
            "labels": labels_of_child(database),
            "annotations": {OFFSET_ANNOTATION: str(offset)},
        },
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in verifiers.items()},
    }
