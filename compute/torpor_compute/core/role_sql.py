"""The SQL that makes roles and databases match a spec. Pure: facts in, statements out.

Idempotent: run again after a crash at any point it ends in the same place. Nothing is ever dropped:
a role or database that the spec no longer names is left alone, because an edit must not lose data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torpor_api.resource import Database, Role
from torpor_compute.core.access_rules import LOGIN_GROUP
from torpor_compute.core.quoting import identifier, literal


def role_statements(
    roles: Sequence[Role],
    verifiers: Mapping[str, str],
    existing: Collection[str],
    admitted_superusers: Collection[str],
) -> list[str]:
    """To be run in one transaction. ``admitted_superusers`` are those of ``torpor_login`` now."""
    statements = [] if LOGIN_GROUP in existing else [f"CREATE ROLE {LOGIN_GROUP}"]
    statements.append(f"ALTER ROLE {LOGIN_GROUP} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
    for role in roles:
        if role.name not in existing:
            statements.append(f"CREATE ROLE {identifier(role.name)}")
        statements.append(_alter(role, verifiers.get(role.name)))
        statements.append(admission(role.name))
    declared = {role.name for role in roles}
    statements += [expulsion(name) for name in sorted(set(admitted_superusers) - declared)]
    return statements


def admission(role: str) -> str:
    """Lets the role log in through the proxy, and gives it nothing else."""
    return f"GRANT {LOGIN_GROUP} TO {identifier(role)} WITH INHERIT FALSE, SET FALSE"


def expulsion(role: str) -> str:
    return f"REVOKE {LOGIN_GROUP} FROM {identifier(role)}"


def database_statements(databases: Sequence[Database], owners: Mapping[str, str]) -> list[str]:
    """Each to be run by itself: CREATE DATABASE allows no transaction.

    ``owners`` are those of the databases that exist.
    """
    statements = []
    for database in databases:
        name, owner = identifier(database.name), identifier(database.owner)
        if database.name not in owners:
            statements.append(f"CREATE DATABASE {name} OWNER {owner}")
        elif owners[database.name] != database.owner:
            statements.append(f"ALTER DATABASE {name} OWNER TO {owner}")
    return statements


def _alter(role: Role, verifier: str | None) -> str:
    def has(attribute: str, wanted: bool) -> str:
        return attribute if wanted else f"NO{attribute}"

    until = literal(role.valid_until) if role.valid_until is not None else "'infinity'"
    words = [
        f"ALTER ROLE {identifier(role.name)} LOGIN",
        has("SUPERUSER", role.superuser),
        has("CREATEDB", role.createdb),
        has("CREATEROLE", role.createrole),
        f"CONNECTION LIMIT {role.connection_limit}",
        f"VALID UNTIL {until}",
    ]
    if verifier is not None:
        words.append(f"PASSWORD {literal(verifier)}")
    return " ".join(words)
