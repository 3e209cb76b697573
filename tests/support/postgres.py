"""A real Postgres for tests: its binaries, a data directory made once, cheap copies of it.

As root everything lies where other user ids can reach it, and each volume belongs to one of them.
"""

from __future__ import annotations

import functools
import os
import pwd
import subprocess
from pathlib import Path

from support.scratch import new_folder
from torpor_api.messages import StoragePlace
from torpor_cli.local import postgres_binaries
from torpor_cli.local.postgres_binaries import PostgresBinaries
from torpor_cli.local.storage import _INITDB_OPTIONS
from torpor_volume import disk

IS_ROOT = os.geteuid() == 0

USER_ID = 51_000 + os.getpid() % 9_000 if IS_ROOT else None
"""Of the tenants of this test process; as an ordinary user everything runs under one id."""

NOBODY = pwd.getpwnam("nobody")


@functools.cache
def session_folder() -> Path:
    """For what is made once; everybody may pass through. Gone when the tests end."""
    return new_folder()


@functools.cache
def binaries() -> PostgresBinaries:
    """The installed Postgres, where every user id can run it."""
    copies = session_folder() / "postgres"
    copies.mkdir()
    return postgres_binaries.reachable(copies)


@functools.cache
def template() -> Path:
    """A data directory as ``torpor up`` makes it; copy it, never start it."""
    data = session_folder() / "template"
    data.mkdir(mode=0o700)
    user = NOBODY if IS_ROOT else pwd.getpwuid(os.geteuid())
    os.chown(data, user.pw_uid, user.pw_gid)
    subprocess.run(
        [binaries().program("initdb"), *_INITDB_OPTIONS, f"--pgdata={data}"],
        check=True,
        capture_output=True,
        cwd="/",
        user=user.pw_uid if IS_ROOT else None,
        group=user.pw_gid if IS_ROOT else None,
        extra_groups=[] if IS_ROOT else None,
    )
    return data


def make_volume(
    directory: Path, user_id: int | None = USER_ID, agent_user_id: int | None = None
) -> StoragePlace:
    """A new database's volume, as the cluster provisions it.

    ``user_id`` owns the data, ``agent_user_id`` (None: this process's user) all around it.
    """
    directory.mkdir(mode=0o711)
    directory.chmod(0o711)
    (directory / "ownership").mkdir(mode=0o700)
    disk.copy_tree(template(), directory / "data", user_id)
    if agent_user_id is not None:
        for folder in (directory, directory / "ownership"):
            os.chown(folder, agent_user_id, agent_user_id)
    return StoragePlace(directory=str(directory), user_id=user_id)


def processes_on(directory: Path) -> list[int]:
    """Every living process that works in the data directory: Postgres's postmaster and the rest."""
    data = os.path.realpath(directory / "data")
    return [pid for pid in _all() if _works_in(pid, data)]


def postmaster_of(directory: Path) -> int:
    """Its process id, from the file that it wrote."""
    return int((directory / "data" / "postmaster.pid").read_text().split("\n")[0])


def _works_in(pid: int, data: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return stat[stat.rindex(")") + 2] not in "ZX" and os.readlink(f"/proc/{pid}/cwd") == data
    except OSError:
        return False


def _all() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
