"""Which process serves a session at this moment, for a server that was told another's id.

A thread writes what the proxy says into a file, many times a second; a function in the database
reads it. An answer that is a moment old can only make "is it blocked?" be denied once too often:
the driver asks again every few milliseconds until the step ends or is found to be blocked.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.up import Database
from torpor_cli.client import ask_autoscaler

PERIOD_SECONDS = 0.02
"""Each step that waits is found to wait this much later, at most."""

ORIGINAL = "pg_isolation_test_session_is_blocked"
RENAMED = "pg_isolation_test_process_is_blocked"


def wrapper(file: Path) -> tuple[str, str]:
    """SQL that puts the translation before the original. A parked session blocks nobody."""
    return (
        f"ALTER FUNCTION pg_catalog.{ORIGINAL}(integer, integer[]) RENAME TO {RENAMED}",
        f"""
        CREATE FUNCTION pg_catalog.{ORIGINAL}(told integer, others integer[]) RETURNS boolean
        LANGUAGE sql VOLATILE AS $$
            SELECT coalesce(
                pg_catalog.{RENAMED}(
                    (present ->> told::text)::integer,
                    ARRAY(
                        SELECT (present ->> other::text)::integer
                        FROM unnest(others) AS other
                        WHERE present ? other::text
                    )
                ),
                false
            )
            FROM (SELECT pg_catalog.pg_read_file('{file}')::jsonb AS present) AS file
        $$
        """,
    )


def as_json(sessions: list[dict[str, Any]]) -> str:
    """The present process id by the one that the client was told, of all that have one."""
    return json.dumps(
        {
            str(session["process_id"]): session["backend_process_id"]
            for session in sessions
            if session["process_id"] and session["backend_process_id"]
        }
    )


@contextlib.contextmanager
def kept(database: Database, file: Path) -> Iterator[None]:
    """The file is there and kept up to date."""
    ending = threading.Event()
    faults: list[Exception] = []

    def keep() -> None:
        try:
            while not ending.wait(PERIOD_SECONDS):
                _write(database, file)
        except Exception as error:
            faults.append(error)

    _write(database, file)
    thread = threading.Thread(target=keep, name="present ids")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
    if faults:
        raise faults[0]


def _write(database: Database, file: Path) -> None:
    answer = ask_autoscaler(database.up.folder, "Sessions", name=database.name)
    partial = file.with_suffix(".partial")
    partial.write_text(as_json(answer["sessions"]))
    partial.chmod(0o644)
    partial.rename(file)
