"""Roles as keys of a Kubernetes Secret, which allows fewer characters than Postgres. Pure."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[-._a-zA-Z0-9]{1,200}")

_HEX = "hex."


def key_of_role(role: str) -> str:
    """The role itself where it can be a key; else its UTF-8 in hexadecimal."""
    if _PLAIN.fullmatch(role) and not role.startswith((_HEX, "..")) and role != ".":
        return role
    return _HEX + role.encode().hex()


def role_of_key(key: str) -> str:
    """What :func:`key_of_role` was asked with. Raises ValueError where nobody asked so."""
    return bytes.fromhex(key.removeprefix(_HEX)).decode() if key.startswith(_HEX) else key
