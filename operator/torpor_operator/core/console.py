"""The operator console's roles: a Secret with the password of each, and one for the proxies. Pure.

A password is the one that the role's Secret has (a person may have written another one there), else
a new one: whoever deletes the Secret gets another. Proxies are given verifiers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torpor_api.console import ADMIN_ROLE, RIGHTS, SHOW_ROLE, read_roles, roles_text
from torpor_api.failures import InvalidRequest
from torpor_api.identity import CONSOLE_NAME
from torpor_operator.core.binding import PASSWORD, entries
from torpor_operator.core.credentials import RandomBytes, kept_verifier, new_password

ROLE_SECRETS: Mapping[str, str] = {
    ADMIN_ROLE: "torpor-console",
    SHOW_ROLE: "torpor-console-show",
}
"""For people, in the system namespace; by role."""

ROLES_SECRET = "torpor-console-roles"
"""For proxies."""

ROLES_FILE = "roles.json"

Data = dict[str, str]
"""Of a Secret, decoded."""


@dataclass(frozen=True, slots=True)
class ConsoleSecrets:
    """As they shall be."""

    of_roles: dict[str, Data]
    """By role."""
    roles: Data
    """Of :data:`ROLES_SECRET`."""


def console_secrets(
    known: Mapping[str, Data | None],
    known_roles: Data | None,
    host: str,
    random_bytes: RandomBytes,
) -> ConsoleSecrets:
    """``known``: the Secret of each role as it is, by role. ``host``: by which clients reach a
    proxy and mean no database."""
    verifiers = _verifiers(known_roles)
    passwords = {
        role: (known.get(role) or {}).get(PASSWORD) or new_password(random_bytes) for role in RIGHTS
    }
    kept = {
        role: kept_verifier(password, verifiers.get(role), random_bytes)
        for role, password in passwords.items()
    }
    of_roles = {role: entries(role, passwords[role], CONSOLE_NAME, host) for role in RIGHTS}
    return ConsoleSecrets(of_roles, {ROLES_FILE: roles_text(kept)})


def _verifiers(known: Data | None) -> dict[str, str]:
    """None of a Secret that can't be read: it is made anew."""
    try:
        roles = read_roles((known or {}).get(ROLES_FILE, "{}").encode())
    except InvalidRequest:
        return {}
    return {name: role.verifier for name, role in roles.items()}
