"""The resource store: SQLite, with every resource also in memory.

Only the running `torpor up` has it open (the state folder's lock sees to that). Every write is on
disk before it is answered (``synchronous=FULL``): a claim that was answered is never forgotten.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from torpor_api.facts import LoginFacts
from torpor_api.failures import DataDamaged, NotFound, StaleEpoch, StorageFull
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_cli.local import rules
from torpor_cli.local.rules import Birth, Kept

_SCHEMA = """
CREATE TABLE IF NOT EXISTS revision (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
INSERT OR IGNORE INTO revision VALUES (1, 0);
CREATE TABLE IF NOT EXISTS resources (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS volumes (
    name TEXT PRIMARY KEY,
    user_id INTEGER UNIQUE,
    is_provisioned INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS login_facts (
    name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, body TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Volume:
    """What is known of a database's data; it outlives the resource where the data is kept."""

    user_id: int | None
    is_provisioned: bool
    kept: Kept


class Store:
    """One open catalog. Not for use from several threads."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._resources = {
                name: ServerlessDatabase.model_validate_json(body)
                for name, body in self._db.execute("SELECT name, body FROM resources ORDER BY name")
            }
            self._revision: int = self._db.execute("SELECT value FROM revision").fetchone()[0]
        except (sqlite3.DatabaseError, ValueError) as error:
            raise DataDamaged(f"catalog {path} can't be read: {error}") from None

    def close(self) -> None:
        self._db.close()

    def all(self) -> tuple[ServerlessDatabase, ...]:
        return tuple(self._resources[name] for name in sorted(self._resources))

    def get(self, name: str) -> ServerlessDatabase:
        found = self._resources.get(name)
        if found is None:
            raise NotFound(f"no database {name!r}", hint="`torpor list` shows those there are")
        return found

    def apply(
        self, wanted: ServerlessDatabase, birth: Birth, *, new_passwords: bool
    ) -> tuple[ServerlessDatabase, bool]:
        """The resource as stored now, and whether that is a change."""
        stored = self._resources.get(wanted.name)
        version = self._revision + 1
        if stored is None:
            kept = self.volume(wanted.name).kept
            return self._write(rules.created(wanted, kept, birth, version)), True
        after = rules.changed(stored, wanted, new_passwords=new_passwords, version=version)
        return (stored, False) if after is None else (self._write(after), True)

    def write_status(
        self, name: str, expected_version: str, status: DatabaseStatus
    ) -> ServerlessDatabase:
        after = rules.with_status(self.get(name), expected_version, status, self._revision + 1)
        return self._write(after)

    def delete(self, name: str) -> None:
        """Forget the resource; its volume is remembered with the epoch and generation it had."""
        last = self.get(name)
        with self._writing():
            self._db.execute("DELETE FROM resources WHERE name = ?", (name,))
            self._db.execute(
                "UPDATE volumes SET epoch = ?, generation = ? WHERE name = ?",
                (last.status.epoch, last.metadata.generation, name),
            )
        del self._resources[name]

    def volume(self, name: str) -> Volume:
        row = self._db.execute(
            "SELECT user_id, is_provisioned, epoch, generation FROM volumes WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            return Volume(None, False, Kept())
        return Volume(row[0], bool(row[1]), Kept(row[2], row[3]))

    def user_ids(self) -> list[int]:
        rows = self._db.execute("SELECT user_id FROM volumes WHERE user_id IS NOT NULL")
        return [row[0] for row in rows]

    def add_volume(self, name: str, user_id: int | None) -> None:
        """Remember the user id before anything is made under it."""
        with self._writing():
            self._db.execute("INSERT INTO volumes (name, user_id) VALUES (?, ?)", (name, user_id))

    def set_provisioned(self, name: str) -> None:
        with self._writing():
            self._db.execute("UPDATE volumes SET is_provisioned = 1 WHERE name = ?", (name,))

    def forget_volume(self, name: str) -> None:
        with self._writing():
            self._db.execute("DELETE FROM volumes WHERE name = ?", (name,))
            self._db.execute("DELETE FROM login_facts WHERE name = ?", (name,))

    def has_volume(self, name: str) -> bool:
        query = "SELECT 1 FROM volumes WHERE name = ?"
        return self._db.execute(query, (name,)).fetchone() is not None

    def store_facts(self, name: str, epoch: int, facts: LoginFacts) -> None:
        """Raises StaleEpoch where facts of a later epoch are stored."""
        row = self._db.execute("SELECT epoch FROM login_facts WHERE name = ?", (name,)).fetchone()
        if row is not None and row[0] > epoch:
            raise StaleEpoch(f"{name}: login facts of epoch {epoch} after those of {row[0]}")
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO login_facts VALUES (?, ?, ?)",
                (name, epoch, facts.model_dump_json()),
            )

    def facts(self, name: str) -> LoginFacts | None:
        """Raises DataDamaged for what nobody of us wrote."""
        query = "SELECT body FROM login_facts WHERE name = ?"
        row = self._db.execute(query, (name,)).fetchone()
        if row is None:
            return None
        try:
            # A newer release than this, which was rolled back, may have said more.
            return LoginFacts.model_validate_json(row[0], extra="ignore")
        except ValidationError:
            hint = "its database's next start exports them anew"
            raise DataDamaged(f"{name}: the catalog holds no login facts", hint) from None

    def _write(self, resource: ServerlessDatabase) -> ServerlessDatabase:
        version = int(resource.metadata.resource_version)
        body = resource.model_dump_json(by_alias=True)
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO resources VALUES (?, ?)", (resource.name, body)
            )
            self._db.execute("UPDATE revision SET value = ?", (version,))
        self._revision = version
        self._resources[resource.name] = resource
        return resource

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction. Raises StorageFull; what was stored before still is."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.OperationalError as error:
            raise StorageFull(f"the catalog can't be written: {error}") from None
