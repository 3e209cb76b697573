"""Postgres without Torpor: started by an exec, on a copy of a database, with the same settings.

The settings are those with which the compute ran: Postgres notes them in ``postmaster.opts``.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rig.client import Client, ServerRefused, Target
from rig.torpor import user_of

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0

ASK_AGAIN_SECONDS = 0.0002
"""Between two attempts to connect to a Postgres that is starting: shorter than what it adds."""


class BarePostgres:
    """A data directory and how to start it. Nothing stands between a client and it."""

    def __init__(self, folder: Path, argv: list[str], target: Target, user: int | None) -> None:
        self.data = folder / "data"
        self.target = target
        self._folder = folder
        self._argv = argv
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """The moment just before the exec, of ``time.perf_counter``."""
        with (self._folder / "log").open("ab") as log:
            began = time.perf_counter()
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user
            )
        return began

    def up(self) -> float:
        """Start it and wait until it lets somebody in; the moment just before the exec."""
        began = self.start()
        self.client().close()
        return began

    def first_answer_s(self, sql: str) -> float:
        """Start it; seconds from the exec to the first row of the first answered query."""
        began = self.start()
        client = self.client()
        client.first_row_s(sql)
        seconds = time.perf_counter() - began
        client.close()
        return seconds

    def client(self) -> Client:
        """The first connection that it accepts."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                return Client(self.target)
            except (OSError, ServerRefused) as error:
                if time.monotonic() > deadline or self._has_ended():
                    raise RuntimeError(f"postgres did not start, see {self._folder}/log") from error
                time.sleep(ASK_AGAIN_SECONDS)

    def stop(self) -> None:
        """Cleanly: its next start has nothing to recover."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As a machine would that loses power; waits until nothing of it is left."""
        self._end(signal.SIGKILL)
        wait_until_gone(self.data)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_SECONDS_MAX)
            self._process = None

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None


@contextlib.contextmanager
def copy_of(
    data: Path,
    *,
    tcp: bool = False,
    password: str = "",
    parent: str = "/tmp",
    settings: Mapping[str, str] | None = None,
) -> Iterator[BarePostgres]:
    """A bare Postgres on a copy of a sleeping database, in a new folder below ``parent``.

    ``password``: that of the role, which is asked for over TCP where it is given. ``settings``: in
    place of the compute's.
    """
    user = user_of(data)
    folder = Path(tempfile.mkdtemp(prefix="postgres-bench-", dir=parent))
    folder.chmod(0o711)
    subprocess.run(["cp", "-a", str(data), str(folder / "data")], check=True)
    (folder / "socket").mkdir()
    method = "scram-sha-256" if password else "trust"
    rules = f"local all all trust\nhost all all 127.0.0.1/32 {method}\n"
    (folder / "hba.conf").write_text(rules)
    if user is not None:
        os.chown(folder / "socket", user, user)
    port = _free_port() if tcp else 5432
    target = Target("127.0.0.1" if tcp else str(folder / "socket"), port, "app", "app", password)
    argv = _argv(folder, port, tcp=tcp)
    for name, value in (settings or {}).items():
        argv += ["-c", f"{name}={value}"]  # Of two the last one counts.
    postgres = BarePostgres(folder, argv, target, user)
    try:
        yield postgres
    finally:
        postgres.stop()
        shutil.rmtree(folder)


def _argv(folder: Path, port: int, *, tcp: bool) -> list[str]:
    ours = {
        "unix_socket_directories": str(folder / "socket"),
        # The compute's own has gone with it: it sets what the planner expects, and includes this.
        "config_file": str(folder / "data" / "postgresql.conf"),
        "hba_file": str(folder / "hba.conf"),
        "ident_file": "/dev/null",
        "ssl": "off",  # On a cluster a compute has TLS with the proxy, by files of its own.
        "unix_socket_permissions": "0777",  # PgBouncer may be another user's.
        "listen_addresses": "127.0.0.1" if tcp else "",
        "port": str(port),
    }
    argv = shlex.split((folder / "data" / "postmaster.opts").read_text())
    argv[argv.index("-D") + 1] = str(folder / "data")
    for place, argument in enumerate(argv):
        name, _, _ = argument.partition("=")
        if name in ours:
            argv[place] = f"{name}={ours[name]}"
    return argv


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def postmaster_pid(data: Path) -> int:
    """The Postgres that runs on a data directory."""
    return int((data / "postmaster.pid").read_text().split()[0])


def wait_until_gone(data: Path) -> None:
    """Until no process works in a data directory; a killed postmaster's children end by themselves.

    Those that begin anew there meanwhile are others: they don't count.
    """
    dying = working_in(data)
    while dying & working_in(data):
        time.sleep(0.001)


def working_in(data: Path) -> set[int]:
    """The processes of all Postgres on a data directory."""
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == data:
                found.add(int(entry.name))
    return found
