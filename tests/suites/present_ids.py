"""Keeps a file that tells which process serves each session at this moment, by what it was told.

A thread writes what `torpor sessions` says, many times a second; SQL of :mod:`suites.told_ids`
reads it in the database.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from suites import told_ids
from suites.suite import Run
from support.up import Database
from torpor_cli.client import ask_autoscaler

PERIOD_SECONDS = 0.02
"""What waits for an id waits this much longer, at most."""


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
def kept(run: Run, dbname: str, translations: Sequence[str]) -> Iterator[None]:
    """With these translations in a database of a side that parks. Raises what went wrong."""
    database, file = run.side.database, run.workshop.folder / "present_ids.json"
    assert database is not None, "only sessions of Torpor get other process ids"
    ending = threading.Event()
    faults: list[Exception] = []

    def keep() -> None:
        try:
            while not ending.wait(PERIOD_SECONDS):
                _write(database, file)
        except Exception as error:
            faults.append(error)

    _write(database, file)
    run.side.run_sql(
        *told_ids.schema(dbname), told_ids.ids(str(file)), *translations, dbname=dbname
    )
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
