"""PgBouncer as Debian packages it, before a bare Postgres."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rig.client import Target
from rig.progress import Progress

START_SECONDS_MAX = 10.0

CONFIGURATION = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
max_client_conn = {clients}
default_pool_size = {connections}
ignore_startup_parameters = extra_float_digits,options
logfile = {folder}/log
"""


def program(progress: Progress) -> str | None:
    """Its path, installed where that is possible; None, with the reason said, where it isn't."""
    if found := _found():
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        progress.step("PgBouncer is missing (apt-get install pgbouncer): its column is left out")
        return None
    progress.step("installing PgBouncer with apt-get")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    policy = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    subprocess.run(["apt-get", "update"], **quiet)  # type: ignore[call-overload]
    install = ["apt-get", "install", "-y", "--no-install-recommends", "pgbouncer"]
    subprocess.run(install, env=policy, **quiet)  # type: ignore[call-overload]
    if not _found():
        progress.step("PgBouncer could not be installed: its column is left out")
    return _found()


def _found() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextlib.contextmanager
def bouncing(
    program: str,
    postgres: Target,
    *,
    mode: str = "session",
    clients: int = 1000,
    connections: int = 100,
) -> Iterator[Target]:
    """A PgBouncer before this Postgres, which it reaches as Torpor's proxy reaches a compute."""
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-bench-", dir="/tmp"))
    folder.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    (folder / "users").write_text(f'"{postgres.user}" ""\n')
    (folder / "pgbouncer.ini").write_text(
        CONFIGURATION.format(
            host=postgres.host,
            port=postgres.port,
            listen_port=port,
            folder=folder,
            mode=mode,
            clients=clients,
            connections=connections,
        )
    )
    process = subprocess.Popen(
        [program, "-q", str(folder / "pgbouncer.ini")],
        user="nobody" if os.geteuid() == 0 else None,  # it refuses to run as root
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_listens(process, port)
        yield replace(postgres, host="127.0.0.1", port=port)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            assert process.poll() is None, f"pgbouncer ended with {process.returncode}"
            assert time.monotonic() < deadline, "pgbouncer does not listen"
            time.sleep(0.01)
