"""The statements of a log on disk, by session: a log may be larger than memory, and long statements
are told long after they began.

Each session reads its own statements, one at a time, when it is ready for the next. So nobody hands
statements out, and no session that waits for a lock can hold up the one that would release it.

What is on disk are people's data: the file has no name from the beginning, and is gone with this
process, however that ends.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final, Self

from torpor_api.failures import StorageFull
from torpor_cli.replay.statement import Session, Statement

BATCH: Final = 500
"""Statements that are written at once."""

CACHE_KIB: Final = 32 * 1024

_TABLES: Final = """
CREATE TABLE session (
    number INTEGER PRIMARY KEY, user TEXT, database TEXT, application TEXT, begin_s REAL, end_s REAL
);
CREATE TABLE statement (
    session INTEGER, begin_s REAL, place TEXT, text BLOB, is_simple INTEGER, name TEXT,
    parameters TEXT, took_ms REAL, sqlstate TEXT
);
"""

_ENCODING: Final = ("utf-8", "surrogateescape")
"""As the log was read: bytes that are no UTF-8 come out as they went in."""


class Spool:
    """Filled once, then read."""

    def __init__(self) -> None:
        # No name: SQLite makes a file in the folder for temporary ones, and unlinks it at once.
        self._database = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def fill(self, statements: Iterable[Statement]) -> None:
        """In the order of each session. Raises StorageFull."""
        batch: list[tuple[object, ...]] = []
        try:
            self._database.execute("BEGIN")
            for statement in statements:
                batch.append(_row(statement))
                if len(batch) == BATCH:
                    self._write(batch)
                    batch.clear()
            self._write(batch)
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise _full(error) from None

    def seal(self, sessions: Iterable[Session]) -> None:
        """Behind the last statement. Raises StorageFull."""
        rows = (
            (
                one.number,
                *map(_bytes, (one.user, one.database, one.application)),
                *(one.begin_s, one.end_s),
            )
            for one in sessions
        )
        try:
            self._database.executemany("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._database.execute("CREATE INDEX of_session ON statement (session)")
        except sqlite3.OperationalError as error:
            raise _full(error) from None

    def sessions(self) -> Iterator[Session]:
        """In the order in which they begin."""
        found = self._database.execute(
            "SELECT number, user, database, application, begin_s, end_s FROM session "
            "ORDER BY begin_s, number"
        )
        for number, user, database, application, begin_s, end_s in found:
            names = (_text(user), _text(database), _text(application))
            yield Session(number, *names, begin_s, end_s)

    def statements(self, session: int) -> Iterator[Statement]:
        """Of one session, in its order; read from disk one by one."""
        found = self._database.execute(
            "SELECT begin_s, place, text, is_simple, name, parameters, took_ms, sqlstate "
            "FROM statement WHERE session = ? ORDER BY session, rowid",
            (session,),
        )
        for begin_s, place, text, is_simple, name, parameters, took_ms, sqlstate in found:
            yield Statement(
                session,
                begin_s,
                _text(place),
                _text(text),
                bool(is_simple),
                _text(name),
                tuple(json.loads(parameters)),
                took_ms,
                sqlstate,
            )

    def _write(self, batch: list[tuple[object, ...]]) -> None:
        self._database.executemany(
            "INSERT INTO statement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", batch
        )


def _row(one: Statement) -> tuple[object, ...]:
    words = (one.session, one.begin_s, _bytes(one.where), _bytes(one.text), int(one.is_simple))
    return (*words, _bytes(one.name), json.dumps(one.parameters), one.took_ms, one.sqlstate)


def _bytes(text: str) -> bytes:
    return text.encode(*_ENCODING)


def _text(content: bytes) -> str:
    return content.decode(*_ENCODING)


def _full(error: sqlite3.OperationalError) -> StorageFull:
    return StorageFull(
        f"the log does not fit into the folder for temporary files: {error}",
        hint="name one with more room: TMPDIR=/folder in the environment",
    )
