"""From rows of ``pg_authid`` to what the proxy may know. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from torpor_api.facts import FACTS_BYTES_MAX, LoginFacts, RoleFacts
from torpor_api.scram import parse_verifier

DATABASES_BYTES_MAX = FACTS_BYTES_MAX // 4
"""Of these, for the names of databases: ten thousand, unless they are long."""

ROLES_MAX = 10_000
"""How many are looked at: more than there is room for, whatever they are called."""

_FRAME_BYTES = 100
"""Around both lists."""


@dataclass(frozen=True, slots=True)
class RoleRow:
    """One role as Postgres has it."""

    name: str
    password: str | None
    can_login: bool
    is_superuser: bool
    is_member: bool
    """A direct member of ``torpor_login``."""
    valid_until_s: float | None
    connection_limit: int


def exported(
    rows: Iterable[RoleRow], databases: Sequence[str], superusers: Collection[str]
) -> LoginFacts:
    """Within the bound; ``rows`` are those who may log in, oldest first, and then the others.

    So a new role never takes the place of one that was known. Who may not log in and has no room
    is not missed: he is refused all the same, as somebody who does not exist.
    """
    names, size = list[str](), 0
    for name in databases:
        size += len(json.dumps(name, ensure_ascii=False).encode()) + 1
        if size > DATABASES_BYTES_MAX:
            break
        names.append(name)
    is_whole, size = len(names) == len(databases), min(size, DATABASES_BYTES_MAX) + _FRAME_BYTES
    roles = list[RoleFacts]()
    for row in rows:
        role = facts_of(row, superusers)
        size += len(role.model_dump_json().encode()) + 1
        if size > FACTS_BYTES_MAX:
            is_whole = is_whole and not row.can_login
            break
        roles.append(role)
    return LoginFacts(roles=tuple(roles), databases=tuple(names), is_whole=is_whole)


def facts_of(row: RoleRow, superusers: Collection[str]) -> RoleFacts:
    """``superusers`` are those that the spec declares: no other one may come in."""
    has_verifier = row.password is not None and parse_verifier(row.password) is not None
    return RoleFacts(
        name=row.name,
        verifier=row.password if has_verifier else None,
        can_login=row.can_login,
        is_admitted=row.is_member and _may_be_admitted(row, superusers),
        needs_admission=needs_admission(row, superusers),
        valid_until_s=_seconds(row.valid_until_s),
        connection_limit=row.connection_limit,
    )


def needs_admission(row: RoleRow, superusers: Collection[str]) -> bool:
    """A role that may log in and that nobody has admitted yet."""
    return row.can_login and not row.is_member and _may_be_admitted(row, superusers)


def _may_be_admitted(row: RoleRow, superusers: Collection[str]) -> bool:
    return not row.is_superuser or row.name in superusers


def _seconds(value: float | None) -> float | None:
    """``infinity`` is no end; ``-infinity`` has been over for ever."""
    if value is None or value == math.inf:
        return None
    return max(value, 0.0)
