"""Who may log in to a database that sleeps. Pure.

Postgres's own facts, as last exported, are the truth about what was. What the spec declares and no
compute has carried out yet stands over them: a new password counts from the moment it is applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.resource import Role, ServerlessDatabase


def facts_of(
    resource: ServerlessDatabase, exported: LoginFacts | None, verifiers: Mapping[str, str]
) -> LoginFacts:
    """The exported facts, and over them the declared ones where those are newer."""
    is_carried_out = resource.metadata.generation <= resource.status.observed_generation
    if exported is not None and is_carried_out:
        return exported
    before = exported or LoginFacts()
    roles = {role.name: role for role in before.roles}
    roles |= {role.name: _declared(role, verifiers) for role in resource.spec.roles}
    databases = {*before.databases, *(database.name for database in resource.spec.databases)}
    return LoginFacts(
        roles=tuple(roles.values()), databases=tuple(sorted(databases)), is_whole=before.is_whole
    )


def _declared(role: Role, verifiers: Mapping[str, str]) -> RoleFacts:
    until = role.valid_until
    return RoleFacts(
        name=role.name,
        verifier=verifiers.get(role.name),
        valid_until_s=None if until is None else datetime.fromisoformat(until).timestamp(),
        connection_limit=role.connection_limit,
    )
