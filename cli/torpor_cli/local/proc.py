"""What ``/proc`` says about processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def children_of(parent: int) -> list[int]:
    """Process ids whose parent is ``parent``, zombies included."""
    return [pid for pid in _all() if _stat(pid)[1] == parent]


def users_of(data: Path, user_id: int | None) -> list[int]:
    """Living processes that could write to a data directory.

    A Postgres process's working directory is its data directory. Where the database has a user id
    of its own, everything that runs under it counts, save a Postgres that works elsewhere: another
    state folder on this machine may have given out the same id.
    """
    real = os.path.realpath(data)
    return [pid for pid in _all() if pid != os.getpid() and _uses(pid, real, user_id)]


def _uses(pid: int, data: str, user_id: int | None) -> bool:
    try:
        owner = (PROC / str(pid)).stat().st_uid
        if owner not in (user_id, os.geteuid()):
            return False
        name, _, state = _stat(pid)
        directory = os.readlink(PROC / str(pid) / "cwd")
    except OSError:
        return False
    if state in "ZX":
        return False
    if name == "postgres" and (directory == data or directory.startswith(data + "/")):
        return True
    return owner == user_id and not os.path.exists(os.path.join(directory, "PG_VERSION"))


def _stat(pid: int) -> tuple[str, int, str]:
    """Name, parent and state; of a process that has vanished: nameless, no parent, dead."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return "", 0, "X"
    # The name stands in parentheses and may hold anything, parentheses too.
    end = stat.rindex(")")
    fields = stat[end + 2 :].split()
    return stat[stat.index("(") + 1 : end], int(fields[1]), fields[0]


def _all() -> Iterator[int]:
    for entry in os.listdir(PROC):
        if entry.isdigit():
            yield int(entry)
