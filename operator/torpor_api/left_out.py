"""Roles and databases of a spec follow from each other, where one of them is left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from torpor_api.postgres_names import DATABASE_NAMES_RESERVED, role_name


def with_what_follows(written: Mapping[str, object]) -> dict[str, object]:
    """The spec as written, with the owners as roles, or a database named after the first role.

    Raises ValueError where no database can have that role's name.
    """
    spec = dict(written)
    if "roles" not in spec:
        if owners := _role_names(spec.get("databases"), "owner"):
            spec["roles"] = [{"name": owner} for owner in dict.fromkeys(owners)]
    elif "databases" not in spec and (names := _role_names(spec["roles"], "name")):
        first = names[0]
        if first in DATABASE_NAMES_RESERVED:
            raise ValueError(
                f"databases: none can be named after the first role {first!r}: write "
                f"databases: [{{name: NAME, owner: {first}}}]"
            )
        spec["databases"] = [{"name": first, "owner": first}]
    return spec


def _role_names(written: object, field: str) -> list[str]:
    """That field of each element; nothing where one is no role's name, which is said there."""
    if not isinstance(written, list | tuple):
        return []
    found = [
        each.get(field) if isinstance(each, dict) else getattr(each, field, None)
        for each in written
    ]
    try:
        return [role_name(name) for name in found if isinstance(name, str)]
    except ValueError:
        return []
