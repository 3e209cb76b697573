"""A real `torpor up` whose proxy, autoscaler and agents are stand-ins.

These are small programs of the same names that are found first. What is left to test is the
supervisor with real processes, real signals and a real template, which has been made before unless
the test is about a first start. There is no nursery among them: agents are started without one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from support.scratch import MARK, new_folder
from support.up import (
    START_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    all_with,
    command_line,
    give_template,
    until,
)
from support.verbs import torpor
from torpor_cli.local.state_folder import StateFolder

LISTENS_ON_A_PATH = """
import asyncio, subprocess, sys
path = sys.argv[sys.argv.index("--listen") + 1]
async def main():
    server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), path)
    await server.serve_forever()
"""
AGENT = (
    LISTENS_ON_A_PATH
    + """
# What an agent leaves behind when it is killed: a child, and a child's child that ignores SIGTERM.
subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 999 & wait"], start_new_session=True)
asyncio.run(main())
"""
)
AUTOSCALER = LISTENS_ON_A_PATH + "asyncio.run(main())"
PROXY = """
import asyncio, sys
host, port = sys.argv[sys.argv.index("--listen") + 1].rsplit(":", 1)
async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), host, int(port))
    await server.serve_forever()
asyncio.run(main())
"""

MANIFEST = """
apiVersion: torpor.dev/v1alpha1
kind: ServerlessDatabase
metadata: {name: shop}
spec: {roles: [{name: app, password: "s3 cret/"}]}
"""


PYTHON_OF_OTHERS = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin")
"""root's own Python may lie where no other user can reach it."""


class Up:
    """One `torpor up` and the verbs that act on it; as a context manager it ends what it began."""

    def __init__(self, root: Path, user: int | None = None) -> None:
        self.state = root / "state"
        self._root = root
        self._user = user
        self._process: subprocess.Popen[str] | None = None
        self._output = root / f"output-{os.urandom(4).hex()}"
        self.mark = f"{MARK}={root.name}"

    def __enter__(self) -> Up:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(WAIT_SECONDS_MAX)

    def start(self, *options: str, under: Sequence[str] = ()) -> None:
        with self._output.open("a") as output:
            self._process = subprocess.Popen(
                [*under, *self._argv("up", "--listen", "127.0.0.1:0", *options)],
                env=self._environment(),
                stdout=output,
                stderr=output,
                text=True,
                **self._as_user(),
            )

    def ready(self) -> None:
        until(
            lambda: "ready at" in self.output or self.status is not None, "ready", START_SECONDS_MAX
        )
        assert "ready at" in self.output, self.output

    def run(
        self, *arguments: str, stdin: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[str]:
        """Those that start nothing and ask nobody, in this process."""
        if stdin == subprocess.DEVNULL and self._user is None and arguments[0] != "up":
            return torpor(*arguments, "--state", self.state)
        return subprocess.run(
            self._argv(*arguments),
            env=self._environment(),
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS_MAX,
            **self._as_user(),
        )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ended(self) -> int:
        assert self._process is not None
        return self._process.wait(WAIT_SECONDS_MAX)

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def status(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def processes(self, word: str = "") -> list[int]:
        """Everything alive that this test has started, found by a mark in its environment."""
        return [pid for pid in all_with(self.mark) if word in command_line(pid)]

    def _argv(self, *arguments: str) -> list[str]:
        python = sys.executable if self._user is None else PYTHON_OF_OTHERS
        return [str(python), "-m", "torpor_cli.main", *arguments, "--state", str(self.state)]

    def _environment(self) -> dict[str, str]:
        key, value = self.mark.split("=")
        own = (path for path in sys.path if path and not path.startswith(sys.base_prefix))
        paths = [str(self._root / "stand_ins"), *own]
        home = {"HOME": str(self._root)}
        return {**os.environ, **home, key: value, "PYTHONPATH": os.pathsep.join(paths)}

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": self._user, "extra_groups": []}


@contextlib.contextmanager
def started_before(root: Path) -> Iterator[Up]:
    """Its state folder has all that a first start makes."""
    give_template(StateFolder(root / "state"))
    with Up(root) as up:
        yield up


@contextlib.contextmanager
def folder_with_stand_ins(parent: Path | None = None) -> Iterator[Path]:
    """A folder that other user ids can reach, which pytest's own is not for root."""
    made = new_folder(parent)
    made.chmod(0o777)
    for name, program in {"compute": AGENT, "autoscaler": AUTOSCALER, "proxy": PROXY}.items():
        package = made / "stand_ins" / f"torpor_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(program)
    (made / "shop.yaml").write_text(MANIFEST)
    try:
        yield made
    finally:
        for pid in all_with(f"{MARK}={made.name}"):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(made)
