"""A `torpor up` in a state folder of its own, used through its command line as a person would."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from rig.client import Target
from torpor_api.failures import Busy
from torpor_cli.client import ask_autoscaler
from torpor_cli.local.state_folder import StateFolder

READY_SECONDS_MAX = 120.0
"""The first start makes the template of all databases."""

VERB_SECONDS_MAX = 120.0
END_SECONDS_MAX = 30.0
POLL_SECONDS = 0.02

MANIFEST = """\
apiVersion: torpor.dev/v1alpha1
kind: ServerlessDatabase
metadata: {name: %s}
spec: %s
"""

SPEC = "{idleTimeout: 1h}"
"""A database sleeps when the benchmark says so, and not in the middle of something else."""


class Torpor:
    """The running command, whose process is ``pid``."""

    def __init__(self, state: Path, pid: int, warm: int) -> None:
        self.state = state
        self.pid = pid
        self._warm = warm

    def run(self, *arguments: str) -> str:
        """A verb's output. Raises RuntimeError with what it complained about."""
        done = subprocess.run(
            [*_command(), *arguments, "--state", str(self.state)],
            capture_output=True,
            text=True,
            timeout=VERB_SECONDS_MAX,
        )
        if done.returncode != 0:
            raise RuntimeError(f"torpor {shlex.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def status(self, name: str) -> dict[str, Any]:
        document = cast(dict[str, Any], json.loads(self.run("status", name, "-o", "json")))
        return cast(dict[str, Any], document["status"])

    def target(self, name: str, *, tls: bool = False) -> Target:
        """What `torpor uri` says."""
        parts = urlsplit(self.run("uri", name).strip())
        assert parts.hostname and parts.port and parts.username
        return Target(
            host=parts.hostname,
            port=parts.port,
            user=unquote(parts.username),
            database=unquote(parts.path[1:]),
            password=unquote(parts.password or ""),
            options=parse_qs(parts.query)["options"][0],
            tls=tls,
        )

    def suspend(self, name: str) -> None:
        """To sleep, and then until the machine is quiet again: every agent of the pool is ready."""
        self.suspend_s(name)
        self.wait_for_agents()

    def suspend_s(self, name: str) -> float:
        """The same, without the wait; seconds that the attempt took that was not refused."""
        deadline = time.monotonic() + VERB_SECONDS_MAX
        while True:
            began = time.perf_counter()
            try:
                ask_autoscaler(StateFolder(self.state), "Suspend", name=name)
                return time.perf_counter() - began
            except Busy:
                # A session is being looked at in this very moment; it says so itself.
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    def wait_for_agents(self) -> None:
        """Until as many agents listen as the pool shall have: a start in the background would be
        measured along with whatever comes next."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while len(list((self.state / "run" / "agents").glob("*.sock"))) < self._warm:
            assert time.monotonic() < deadline, "the warm pool does not fill"
            time.sleep(POLL_SECONDS)

    def proxy_pid(self) -> int:
        """The process that holds the sessions."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in map(int, children):
            if b"torpor_proxy" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise RuntimeError("torpor up has no proxy")


@contextlib.contextmanager
def torpor_up(
    *names: str,
    warm: int = 2,
    spec: str = SPEC,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Torpor]:
    """Torpor with these databases; nothing is left of it but, after an error, its logs."""
    root = Path(tempfile.mkdtemp(prefix="torpor-bench-", dir="/tmp"))
    root.chmod(0o711)  # databases run under user ids of their own
    (root / "all.yaml").write_text("---\n".join(MANIFEST % (name, spec) for name in names))
    state = root / "state"
    with (root / "output").open("w") as output:
        up = subprocess.Popen(
            [
                *(*_command(), "up", "-f", str(root / "all.yaml"), "--state", str(state)),
                # As a bare Postgres beside it, which has the whole machine.
                *("--listen", "127.0.0.1:0", "--warm", str(warm), "--no-limits", *options),
            ],
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=output,
        )
    try:
        _ready(up, root / "output")
        yield Torpor(state, up.pid, warm)
    except BaseException:
        _end(up)
        shutil.rmtree(state / "databases", ignore_errors=True)
        print(f"the logs are kept in {state}/logs", file=sys.stderr)
        raise
    _end(up)
    shutil.rmtree(root)


def _ready(up: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while "\nready at " not in output.read_text():
        if up.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"torpor up did not come up:\n{output.read_text()}")
        time.sleep(POLL_SECONDS)


def _end(up: subprocess.Popen[bytes]) -> None:
    up.send_signal(signal.SIGTERM)
    try:
        up.wait(END_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        up.kill()
        up.wait()


def _command() -> list[str]:
    return [sys.executable, "-m", "torpor_cli.main"]


def user_of(path: Path) -> int | None:
    """As whom a Postgres on this data must run; None: as we are."""
    return path.stat().st_uid if os.geteuid() == 0 else None
