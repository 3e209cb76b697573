"""The folder of a compute's socket: open to its Postgres for the start, shut to it afterwards.

Agent and proxy log in by who they are (``peer``), without a password. A tenant's superuser that
could put a link to another database's socket in the place of its own would be led in there by them.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from torpor_api.failures import StartFailed
from torpor_compute.adapters import guarded
from torpor_compute.core.postgres_options import PORT

_SOCKET = f".s.PGSQL.{PORT}"

_OPEN = 0o1771
"""Postgres, by its group, may make its socket there; what is ours it can't replace (sticky)."""

_SHUT = 0o711


def let_in(directory: Path, user_id: int) -> None:
    """Before a start of the Postgres that runs as ``user_id``."""
    with guarded.folder(directory) as descriptor:
        os.fchown(descriptor, -1, user_id)
        os.fchmod(descriptor, _OPEN)


def shut(directory: Path, user_id: int) -> None:
    """When it is ready, before anybody is told. Raises StartFailed if the socket is not its own.

    At its end Postgres passes over that it can't remove its socket; its next start does it.
    """
    with guarded.folder(directory) as descriptor:
        os.fchmod(descriptor, _SHUT)
        try:
            found = os.stat(_SOCKET, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            raise StartFailed(f"Postgres has made no socket in {directory}") from None
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != user_id:
        raise StartFailed(
            f"{directory / _SOCKET} is not the socket of this database's Postgres",
            hint="look for code that runs inside the database's Postgres and replaces it",
        )
