"""A bare Postgres that logs what its clients do, as one does whose traffic is to be replayed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg

from support.postgres import IS_ROOT, NOBODY, binaries, template
from support.scratch import new_folder
from support.up import WAIT_SECONDS_MAX, until
from torpor_cli.local.storage import BOOTSTRAP_SUPERUSER
from torpor_volume import disk

PORT = 5432
"""Of a Unix socket in a folder of its own: it is nobody else's."""

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "logging_collector": "on",
    "log_destination": "csvlog,jsonlog",
    "log_filename": "log",
    "log_min_duration_statement": "0",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_parameter_max_length_on_error": "-1",
}


class LoggingPostgres:
    """Running; it has the user and the database ``app``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.csv = folder / "log" / "log.csv"
        self.json = folder / "log" / "log.json"

    def parameters(self, user: str = "app", dbname: str = "app") -> dict[str, str]:
        return {"host": str(self._folder), "port": str(PORT), "user": user, "dbname": dbname}

    def connect(self, user: str = "app", dbname: str = "app") -> psycopg.Connection:
        return psycopg.connect(**self.parameters(user, dbname), autocommit=True)  # type: ignore[arg-type]


@contextlib.contextmanager
def logging_postgres(**settings: str) -> Iterator[LoggingPostgres]:
    """Its logs are there behind the block as well, until the tests end."""
    folder = new_folder()
    data, user_id = folder / "data", NOBODY.pw_uid if IS_ROOT else None
    disk.copy_tree(template(), data, user_id)
    (data / "pg_hba.conf").write_text("local all all trust\n")
    if user_id is not None:
        os.chown(folder, user_id, NOBODY.pw_gid)
    given = SETTINGS | {"unix_socket_directories": str(folder), "log_directory": f"{folder}/log"}
    options = [f"-c{name}={value}" for name, value in (given | settings).items()]
    running = subprocess.Popen(
        [binaries().program("postgres"), "-D", data, f"-p{PORT}", *options],
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=user_id,
        group=NOBODY.pw_gid if IS_ROOT else None,
        extra_groups=[] if IS_ROOT else None,
    )
    made = LoggingPostgres(folder)
    try:
        until(lambda: _is_ready(made), "the Postgres that logs is ready", 3 * WAIT_SECONDS_MAX)
        with made.connect(BOOTSTRAP_SUPERUSER, "postgres") as admin:
            admin.execute("create role app login")
            admin.execute("create database app owner app")
        yield made
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(WAIT_SECONDS_MAX)
        shutil.rmtree(data)


def _is_ready(made: LoggingPostgres) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        made.connect(BOOTSTRAP_SUPERUSER, "postgres").close()
        return True
    return False
