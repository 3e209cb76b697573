"""The operator console: the name it is reached by, and its roles as a proxy reads them.

There is no database behind the console, so its roles are its own. A proxy is given their verifiers
in a file, and never a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from torpor_api.failures import InvalidRequest
from torpor_api.scram import parse_verifier

ROLES_MAX = 100
"""In one file; each look at it reads them all."""

ROLES_BYTES_MAX = 64 << 10
"""Of one file: a longer one is none of ours."""


class ConsoleRight(StrEnum):
    """What a role may do at the console."""

    SHOW = "show"
    """Every SHOW, and nothing that changes anything."""
    ADMIN = "admin"
    """Everything."""


ADMIN_ROLE = "torpor"
SHOW_ROLE = "viewer"

RIGHTS: Mapping[str, ConsoleRight] = {
    ADMIN_ROLE: ConsoleRight.ADMIN,
    SHOW_ROLE: ConsoleRight.SHOW,
}
"""The roles that every installation has."""


class ConsoleRole(BaseModel):
    """Somebody who may log in to the console."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    right: ConsoleRight
    verifier: Annotated[str, StringConstraints(max_length=512), Field(repr=False)]
    """Of the password, as Postgres stores it (SCRAM-SHA-256)."""


class ConsoleRoles(BaseModel):
    """What is in the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    roles: Annotated[tuple[ConsoleRole, ...], Field(max_length=ROLES_MAX)] = ()


def roles_text(verifiers: Mapping[str, str]) -> str:
    """The file, for roles of :data:`RIGHTS`; ``verifiers`` by role."""
    roles = tuple(
        ConsoleRole(name=name, right=RIGHTS[name], verifier=verifier)
        for name, verifier in sorted(verifiers.items())
    )
    return ConsoleRoles(roles=roles).model_dump_json(indent=2) + "\n"


def read_roles(text: bytes) -> dict[str, ConsoleRole]:
    """By name. Raises InvalidRequest, which says nothing of what is secret in the file."""
    if len(text) > ROLES_BYTES_MAX:
        raise InvalidRequest(f"{len(text)} bytes: at most {ROLES_BYTES_MAX} are read")
    try:
        roles = ConsoleRoles.model_validate_json(text).roles
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidRequest(f"{where}: {first['msg']}") from None
    for role in roles:
        if parse_verifier(role.verifier) is None:
            raise InvalidRequest(f"role {role.name!r}: its verifier is none of SCRAM-SHA-256")
    return {role.name: role for role in roles}
