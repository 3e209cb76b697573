"""From rows of ``pg_authid`` to what the proxy may know. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from torpor_api.facts import RoleFacts
from torpor_api.scram import parse_verifier


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


def facts_of(row: RoleRow, superusers: Collection[str]) -> RoleFacts:
    """``superusers`` are those that the spec declares: no other one may come in."""
    has_verifier = row.password is not None and parse_verifier(row.password) is not None
    return RoleFacts(
        name=row.name,
        verifier=row.password if has_verifier else None,
        can_login=row.can_login,
        is_admitted=row.is_member and _may_be_admitted(row, superusers),
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
