"""A real `torpor up` for tests, and what tests ask of it: databases, sleep, reasons, processes.

One is started for many tests (see ``tests/integration/conftest.py``); a database costs a tenth of a
second, so each test has its own. Nothing is left of it, however the tests end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from support.postgres import binaries, processes_on, template
from support.scratch import MARK, new_folder
from torpor_api.failures import Busy, NotFound, Refused, Unavailable
from torpor_cli.client import ask_autoscaler, ask_cluster
from torpor_cli.local.limits import remove_leftovers
from torpor_cli.local.state_folder import StateFolder, listen_address, prepare
from torpor_cli.uri import Connection, connection_to
from torpor_volume import disk

WAIT_SECONDS_MAX = 30.0

START_SECONDS_MAX = 90.0
"""For all processes of `torpor up`, where others have the processor."""

POLL_SECONDS = 0.02

Json = dict[str, Any]


class Up:
    """A running `torpor up`."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.folder = StateFolder(root / "state")
        self._output = root / "output"
        self._mark = (MARK, root.name)
        self._environment = environment
        self._numbers = count(1)
        self._retired: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def host(self) -> str:
        return listen_address(self.folder).rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(listen_address(self.folder).rpartition(":")[2])

    @property
    def ca(self) -> Path:
        """What a client that wants ``sslmode=verify-full`` trusts."""
        return self.folder.tls / "ca.crt"

    def start(self, *options: str) -> None:
        """Until clients can connect. Without a dashboard, which costs a third of a second's
        computing, unless the options want one."""
        argv = [sys.executable, "-m", "torpor_cli.main", "up", "--listen", "127.0.0.1:0"]
        argv += [] if "--dashboard" in options else ["--no-dashboard"]
        with self._output.open("ab") as output:
            before = self.output.count("ready at")
            self._process = subprocess.Popen(
                [*argv, "--state", str(self.folder.root), *options],
                env={**os.environ, **self._environment, self._mark[0]: self._mark[1]},
                stdout=output,
                stderr=output,
            )

        def is_ready() -> bool:
            return self.output.count("ready at") > before or self._has_ended

        until(is_ready, "torpor up is ready", START_SECONDS_MAX)
        assert not self._has_ended, self.output

    def stop(self) -> None:
        """As Ctrl-C does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(WAIT_SECONDS_MAX) == 0, self.output

    def kill(self) -> None:
        """However it is: nothing of it is left afterwards."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(WAIT_SECONDS_MAX)
        until(lambda: not self.processes(), "everything ends with torpor up")

    def database(self, **spec: Any) -> Database:
        """A new one, awake. Sleeps only when it is told to, unless ``spec`` says otherwise."""
        self._erase_the_retired()
        database = Database(self, f"d{next(self._numbers)}", {"idleTimeout": "1h", **spec})
        database.apply()
        until(database.is_known, "the autoscaler knows it")
        database.wake()
        return database

    def retire(self, database: Database) -> None:
        """No test needs it any more: it goes to sleep by itself, and later its 40 MB are erased."""
        database.apply(idleTimeout="1s", keepAwake=False)
        self._retired.append(database.name)

    def _erase_the_retired(self) -> None:
        for name in tuple(self._retired):
            with contextlib.suppress(Busy, Refused, Unavailable):  # It is awake still.
                ask_cluster(
                    self.folder, "DeleteResource", timeout_s=WAIT_SECONDS_MAX, name=name, data=True
                )
                self._retired.remove(name)

    def component(self, name: str) -> int:
        """The process id of ``proxy`` or ``autoscaler``."""
        (pid,) = self.processes(f"torpor_{name}")
        return pid

    def processes(self, word: str = "") -> list[int]:
        """Everything alive that this `torpor up` has started, itself included."""
        return [pid for pid in all_with("=".join(self._mark)) if word in command_line(pid)]

    def log_of(self, component: str) -> str:
        return (self.folder.logs / f"{component}.log").read_text()

    @property
    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None


class Database:
    """One database of a running `torpor up`."""

    def __init__(self, up: Up, name: str, spec: Json) -> None:
        self.up = up
        self.name = name
        self._spec = spec

    # --- how clients reach it ---------------------------------------------------------

    def connection(self, role: str | None = None) -> Connection:
        return connection_to(self.up.folder, self.name, role)

    def uri(self, role: str | None = None, **parameters: str) -> str:
        more = "".join(f"&{name}={value}" for name, value in parameters.items())
        return self.connection(role).uri + more

    @property
    def password(self) -> str:
        return self.connection().password or ""

    # --- what it is and does ----------------------------------------------------------

    def session_of(self, process_id: int) -> Json:
        """As `torpor sessions` has it; the id as its client knows it."""
        told = ask_autoscaler(self.up.folder, "Sessions", name=self.name)
        return next((s for s in told["sessions"] if s["process_id"] == process_id), {})

    def captured(self, process_id: int) -> None:
        """Until the proxy knows all that this idle session has."""
        until(
            lambda: bool(self.session_of(process_id).get("is_captured")),
            "the session is captured",
        )

    @property
    def status(self) -> Json:
        resource = ask_cluster(self.up.folder, "GetResource", name=self.name)["resource"]
        status: Json = resource["status"]
        return status

    @property
    def epoch(self) -> int:
        """Grows by one with each resume."""
        epoch: int = self.status["epoch"]
        return epoch

    def is_known(self) -> bool:
        """Whether its resource has come to the autoscaler, some milliseconds after the apply."""
        try:
            return self.why is not None
        except (NotFound, Unavailable):
            return False

    @property
    def is_asleep(self) -> bool:
        return bool(self.status["phase"] == "Suspended") and not self.postgres

    @property
    def why(self) -> str:
        """Why it is awake, one reason a line."""
        return "\n".join(ask_autoscaler(self.up.folder, "Why", name=self.name)["reasons"])

    @property
    def postgres(self) -> list[int]:
        """The processes of its Postgres."""
        return processes_on(self.folder)

    @property
    def folder(self) -> Path:
        return self.up.folder.databases / self.name

    @property
    def postmaster(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split("\n")[0])

    @property
    def is_stopping(self) -> bool:
        """Whether Postgres has been told to stop and has not ended yet."""
        file = self.folder / "data" / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError):
            return file.read_text().split()[-1] == "stopping"
        return False

    @property
    def agent(self) -> int:
        """The process id of the agent that holds it."""
        (pid,) = self.up.processes(f"--compute {self.status['compute']}")
        return pid

    # --- what is done to it -----------------------------------------------------------

    def wake(self) -> None:
        ask_autoscaler(self.up.folder, "Wake", name=self.name, cause="a test")

    def suspend(self) -> None:
        """Once. Raises Busy, with the reason, where a session forbids it."""
        ask_autoscaler(self.up.folder, "Suspend", name=self.name)

    def fall_asleep(self) -> None:
        """As soon as nothing forbids it; a session may just have been used."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            try:
                self.suspend()
                break
            except Busy as busy:
                assert time.monotonic() < deadline, f"{self.name} stays awake: {busy}"
                time.sleep(POLL_SECONDS)
        assert self.is_asleep, f"{self.status}, {self.postgres}"

    def refuses_to_sleep(self, words: str) -> None:
        """Until the refusal says so: the reports that it rests on may be a second old."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            try:
                self.suspend()
            except Busy as busy:
                if words in str(busy):
                    return
                assert time.monotonic() < deadline, f"{words!r} is not in: {busy}"
            else:
                raise AssertionError(f"{self.name} has fallen asleep in spite of: {words}")
            time.sleep(POLL_SECONDS)

    def apply(self, **spec: Any) -> None:
        """With these changes of its spec."""
        self._spec |= spec
        resource = {
            "apiVersion": "torpor.dev/v1alpha1",
            "kind": "ServerlessDatabase",
            "metadata": {"name": self.name},
            "spec": self._spec,
        }
        ask_cluster(self.up.folder, "ApplyResource", timeout_s=WAIT_SECONDS_MAX, resource=resource)


@contextlib.contextmanager
def running_up(*options: str, parent: Path | str | None = None, **environment: str) -> Iterator[Up]:
    """A `torpor up` in a folder that the user ids of its databases can reach."""
    root = new_folder(parent)
    up = Up(root, **environment)
    try:
        give_template(up.folder)
        up.start(*options)
        yield up
        up.stop()
    finally:
        up.kill()
        remove_leftovers(up.folder)
        shutil.rmtree(root)


def give_template(folder: StateFolder) -> None:
    """As if it had been started before: to make one takes longer than all else of a start."""
    prepare(folder)
    disk.copy_tree(template(), folder.templates / binaries().major, owner=None)


@contextlib.contextmanager
def a_database(up: Up, **spec: Any) -> Iterator[Database]:
    """For the length of a test."""
    database = up.database(**spec)
    yield database
    up.retire(database)


def until(holds: Callable[[], bool], reason: str, seconds_max: float = WAIT_SECONDS_MAX) -> None:
    """Poll, with a deadline."""
    deadline = time.monotonic() + seconds_max
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {reason}"
        time.sleep(POLL_SECONDS)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def all_with(mark: str) -> list[int]:
    """Everything alive with ``NAME=value`` in its environment."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if entry.isdigit() and mark.encode() in _environment_of(entry):
                found.append(int(entry))
    return found


def _environment_of(pid: str) -> list[bytes]:
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
