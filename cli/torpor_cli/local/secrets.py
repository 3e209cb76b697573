"""The passwords of each database's roles: given in its spec, or made here.

One file per database, 0600, replaced in one step. The verifier is kept beside the password, so
that an unchanged password keeps its salt and what the proxy has cached stays true.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from torpor_api.failures import NotFound
from torpor_api.resource import Role
from torpor_api.scram import SALT_BYTES, verifier_of

PASSWORD_BYTES = 24
"""Of randomness in a generated password; 32 characters that need no quoting in a URI."""

Entries = dict[str, dict[str, str]]
"""By role: ``password`` and ``verifier``."""


class Secrets:
    """The folder of secrets. Files are small and read on every use."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def plan(self, name: str, roles: Iterable[Role]) -> Entries:
        """What to store for these roles: given passwords, else known ones, else new ones."""
        known = self._load(name)
        return {role.name: _entry(role, known.get(role.name)) for role in roles}

    def would_change(self, name: str, entries: Entries) -> bool:
        return entries != self._load(name)

    def store(self, name: str, entries: Entries) -> None:
        write_private(self._path(name), json.dumps(entries, indent=2) + "\n")

    def verifiers(self, name: str) -> dict[str, str]:
        return {role: entry["verifier"] for role, entry in self._load(name).items()}

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _load(self, name: str) -> Entries:
        try:
            entries: Entries = json.loads(self._path(name).read_text())
        except FileNotFoundError:
            return {}
        return entries


def password_of(directory: Path, name: str, role: str) -> str:
    """The password that `torpor uri` and `torpor psql` use. Raises NotFound."""
    try:
        entries: Entries = json.loads((directory / f"{name}.json").read_text())
        return entries[role]["password"]
    except FileNotFoundError:
        raise NotFound(f"no database {name!r}: see `torpor list`") from None
    except KeyError:
        raise NotFound(
            f"{name} declares no role {role!r}: it has {', '.join(sorted(entries))}"
        ) from None


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; readable by its owner only; on disk when this returns."""
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)


def _entry(role: Role, known: dict[str, str] | None) -> dict[str, str]:
    if known is not None and role.password in (None, known["password"]):
        return known
    password = role.password or secrets.token_urlsafe(PASSWORD_BYTES)
    verifier = verifier_of(password, secrets.token_bytes(SALT_BYTES))
    return {"password": password, "verifier": str(verifier)}
