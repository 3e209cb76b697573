"""The passwords of each database's roles: given in its spec, or made here.

One file per database, 0600, replaced in one step. The verifier is kept beside the password, so
that an unchanged password keeps its salt and what the proxy has cached stays true.

An apply changes the catalog and a file of passwords, and a crash may come between. So the new file
is on disk under another name before the catalog is written and takes its place afterwards;
``settle`` decides at the next start about one that was cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torpor_api.failures import NotFound
from torpor_api.scram import SALT_BYTES, verifier_of
from torpor_volume.disk import flush_folder, full_disk_is_named

if TYPE_CHECKING:  # It takes longer to import than all else that `torpor uri` does.
    from torpor_api.resource import Role

PASSWORD_BYTES = 24
"""Of randomness in a generated password; 32 characters that need no quoting in a URI."""

_PARTIAL = ".json.partial"

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

    @contextlib.contextmanager
    def replaced(self, name: str, entries: Entries) -> Iterator[None]:
        """In force after the block, unless that fails. Raises StorageFull, before the block."""
        if not self.would_change(name, entries):
            yield
            return
        partial = self._partial(name)
        try:
            with full_disk_is_named(partial):
                write_private(partial, json.dumps(entries, indent=2) + "\n")
                flush_folder(self._directory)
            yield
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        self._put_in_force(partial)

    def settle(self, roles: Mapping[str, Iterable[str]]) -> None:
        """At a start: decide about what an apply that was cut off has left; nobody was answered.

        ``roles`` are the catalog's, by database. Where one of them has no password otherwise, the
        catalog was written and the new file belongs to it; else the old one does just as well, and
        the next apply finds the difference.
        """
        for partial in self._directory.glob(f"*{_PARTIAL}"):
            name = partial.name.removesuffix(_PARTIAL)
            if set(roles.get(name, ())) <= self._load(name).keys():
                partial.unlink()
            else:
                self._put_in_force(partial)

    def verifiers(self, name: str) -> dict[str, str]:
        return {role: entry["verifier"] for role, entry in self._load(name).items()}

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _partial(self, name: str) -> Path:
        return self._directory / f"{name}{_PARTIAL}"

    def _put_in_force(self, partial: Path) -> None:
        partial.replace(self._path(partial.name.removesuffix(_PARTIAL)))
        flush_folder(self._directory)

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
        raise NotFound(
            f"no database {name!r}", hint="`torpor list` shows those there are"
        ) from None
    except KeyError:
        raise NotFound(
            f"{name} declares no role {role!r}: it has {', '.join(sorted(entries))}"
        ) from None


def write_private(path: Path, text: str) -> None:
    """Readable by its owner only; on disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _entry(role: Role, known: dict[str, str] | None) -> dict[str, str]:
    if known is not None and role.password in (None, known["password"]):
        return known
    password = role.password or secrets.token_urlsafe(PASSWORD_BYTES)
    verifier = verifier_of(password, secrets.token_bytes(SALT_BYTES))
    return {"password": password, "verifier": str(verifier)}
