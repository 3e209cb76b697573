"""Names inside a Postgres: what it would refuse, or take for something else, is refused here.

A name that passed and that Postgres refuses would leave a database that never wakes.
"""

from __future__ import annotations

from torpor_api.brief import brief

POSTGRES_NAME_BYTES_MAX = 63
"""NAMEDATALEN - 1: Postgres cuts longer names."""

ROLE_NAMES_RESERVED = frozenset({"public", "none", "current_user", "session_user", "current_role"})
"""Postgres refuses the first two in every spelling, the others wherever they stand unquoted."""

DATABASE_NAMES_RESERVED = frozenset({"postgres", "template0", "template1"})
"""Every Postgres has them already, and they belong to Torpor."""


def role_name(value: str) -> str:
    """A role's name, or ValueError."""
    return _unreserved(_possible(value), ROLE_NAMES_RESERVED, "role")


def inner_database_name(value: str) -> str:
    """The name of a database inside a Postgres cluster, or ValueError."""
    return _unreserved(_possible(value), DATABASE_NAMES_RESERVED, "database")


def _possible(value: str) -> str:
    if not 0 < len(value.encode()) <= POSTGRES_NAME_BYTES_MAX or "\0" in value:
        raise ValueError(
            f"{brief(value)} is not a name for Postgres: 1 to {POSTGRES_NAME_BYTES_MAX} bytes"
        )
    if value.startswith(("pg_", "torpor_")):
        raise ValueError(f"{value!r} is reserved: names starting with pg_ or torpor_ can't be used")
    return value


def _unreserved(value: str, reserved: frozenset[str], what: str) -> str:
    if value in reserved:
        raise ValueError(
            f"{value!r} is reserved: a {what} can't be called {', '.join(sorted(reserved))}"
        )
    return value
