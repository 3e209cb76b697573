"""`torpor up` as a supervisor: what it starts, refuses, keeps running, and leaves behind: nothing.

Proxy, autoscaler and agents are stand-ins here, small programs of the same names that are found
first; what is tested is real processes, real signals and a real template.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.up import WAIT_SECONDS_MAX, all_with, command_line, until

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
        self.mark = f"TORPOR_TEST={root.name}"

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
        until(lambda: "ready at" in self.output or self.status is not None, "ready")
        assert "ready at" in self.output, self.output

    def run(
        self, *arguments: str, stdin: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[str]:
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


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that other user ids can reach, which pytest's own is not for root."""
    made = Path(tempfile.mkdtemp(prefix="torpor-test-", dir="/tmp"))
    made.chmod(0o777)
    for name, program in {"compute": AGENT, "autoscaler": AUTOSCALER, "proxy": PROXY}.items():
        package = made / "stand_ins" / f"torpor_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(program)
    (made / "shop.yaml").write_text(MANIFEST)
    yield made
    for pid in all_with(f"TORPOR_TEST={made.name}"):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(made)


@pytest.fixture
def up(root: Path) -> Iterator[Up]:
    with Up(root) as started:
        yield started


def test_it_starts_declares_shows_and_ends_with_nothing_left(up: Up, root: Path) -> None:
    up.start("-f", str(root / "shop.yaml"))
    up.ready()
    assert "s3 cret" not in up.output and "?options=endpoint%3Dshop" in up.output
    assert len(up.processes("torpor_compute")) == 2
    assert up.run("list").stdout.splitlines()[1].split()[:2] == ["shop", "Suspended"]
    assert ":s3%20cret%2F@127.0.0.1:" in up.run("uri", "shop").stdout
    shown = json.loads(up.run("status", "shop", "-o", "json").stdout)
    assert shown["status"]["phase"] == "Suspended"
    assert "cret" not in json.dumps(shown)
    up.signal(signal.SIGINT)
    assert up.ended() == 0, up.output
    assert up.processes() == []
    assert not (up.state / "run").exists()


def test_after_kill_9_nothing_is_left_and_the_next_one_takes_over(up: Up, root: Path) -> None:
    up.start("-f", str(root / "shop.yaml"))
    up.ready()
    up.signal(signal.SIGKILL)
    up.ended()
    until(lambda: up.processes("torpor_") == [], "every component ends with it")
    with Up(root) as again:
        again.start()
        again.ready()
        assert "shop" in again.run("list").stdout
        again.signal(signal.SIGTERM)
        assert again.ended() == 0


def test_passwords_of_an_apply_that_was_cut_off_are_there_at_the_next_start(
    up: Up, root: Path
) -> None:
    up.start("--warm", "0", "-f", str(root / "shop.yaml"))
    up.ready()
    up.signal(signal.SIGKILL)
    up.ended()
    until(lambda: up.processes("torpor_") == [], "every component ends with it")
    passwords = up.state / "secrets" / "shop.json"
    passwords.rename(passwords.with_name("shop.json.partial"))
    with Up(root) as again:
        again.start("--warm", "0")
        again.ready()
        assert ":s3%20cret%2F@127.0.0.1:" in again.run("uri", "shop").stdout


def test_a_second_one_is_refused_and_told_who_holds_the_folder(up: Up) -> None:
    up.start()
    up.ready()
    refused = up.run("up")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"process id {up.pid}" in refused.stderr and "--state DIR" in refused.stderr
    assert up.run("list").returncode == 0


def test_a_port_in_use_is_named_before_anything_is_started(up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = up.run("up", "--listen", address)
    assert refused.returncode == 1
    assert address in refused.stderr and "--listen HOST:PORT" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (up.state / "templates" / "18").exists()


def test_faults_in_a_file_are_one_line_each_and_nothing_is_started(up: Up, root: Path) -> None:
    (root / "bad.yaml").write_text(MANIFEST.replace("spec: {", "spec: {idleTimeout: soon, x: 1, "))
    refused = up.run("up", "-f", str(root / "shop.yaml"), "-f", str(root / "bad.yaml"))
    assert refused.returncode == 2
    assert refused.stdout == "" and refused.stderr.count("\n") == 2
    assert "shop: spec.idleTimeout: 'soon' is not a duration" in refused.stderr
    assert not up.state.exists()


def test_a_dead_component_is_started_again_and_it_is_said(up: Up) -> None:
    up.start()
    up.ready()
    for component in ("proxy", "autoscaler"):
        (before,) = up.processes(f"torpor_{component}")
        os.kill(before, signal.SIGKILL)
        until(
            lambda name=component, old=before: up.processes(f"torpor_{name}") not in ([], [old]),  # type: ignore[misc]
            f"another {component}",
        )
        assert f"the {component} ended by itself (signal 9)" in up.output


def test_a_dead_agent_is_replaced_and_its_orphans_are_killed(up: Up) -> None:
    up.start("--warm", "1")
    up.ready()
    (agent,) = up.processes("torpor_compute")
    until(lambda: len(up.processes("sleep 999")) == 2, "the agent's children")
    before = set(up.processes("sleep 999"))
    os.kill(agent, signal.SIGKILL)
    until(lambda: up.processes("torpor_compute") not in ([], [agent]), "another agent")
    until(lambda: not before & set(up.processes("sleep 999")), "orphans are killed")


def test_a_component_that_cannot_start_is_named_with_its_last_words(up: Up, root: Path) -> None:
    (root / "stand_ins" / "torpor_proxy" / "__main__.py").write_text("raise SystemExit('no luck')")
    up.start()
    assert up.ended() == 1
    assert "torpor: the proxy does not start" in up.output and "no luck" in up.output
    assert up.processes() == []


def test_a_log_is_bounded_while_its_component_runs(up: Up, root: Path) -> None:
    talks = "import os\nfor _ in range(17): os.write(2, b'x' * (1 << 20))\n"
    (root / "stand_ins" / "torpor_proxy" / "__main__.py").write_text(talks + PROXY)
    up.start("--warm", "0")
    up.ready()
    log = up.state / "logs" / "proxy.log"
    until(lambda: log.stat().st_size == 0, "it is emptied")
    assert log.with_name("proxy.log.1").stat().st_size == 16 << 20
    assert len(up.processes("torpor_proxy")) == 1


def test_verbs_without_a_running_one_say_what_to_run(up: Up) -> None:
    for arguments in (["list"], ["status", "shop"], ["uri", "shop"], ["why", "shop"]):
        refused = up.run(*arguments)
        assert refused.returncode == 1
        assert "no `torpor up` is running" in refused.stderr and "`torpor up`" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_apply_and_delete_and_take_up_again(up: Up, root: Path) -> None:
    up.start()
    up.ready()
    manifest = str(root / "shop.yaml")
    assert up.run("apply", "-f", manifest).stdout == "shop created\n"
    assert up.run("apply", "-f", manifest).stdout == "shop unchanged\n"
    (root / "shop.yaml").write_text(MANIFEST.replace("s3 cret/", "another"))
    assert up.run("apply", "-f", manifest).stdout == "shop changed\n"
    volume = up.state / "databases" / "shop"
    deleted = up.run("delete", "shop")
    assert deleted.stdout.splitlines() == [
        f"shop is deleted; its data is kept in {volume}",
        f"apply it again to bring it back, or remove the data too: torpor delete shop --data "
        f"--state {up.state}",
    ]
    assert (volume / "data" / "PG_VERSION").exists()
    assert up.run("apply", "-f", manifest).stdout == "shop created\n"
    assert up.run("delete", "shop", "--data").stdout == "shop is deleted, and all its data\n"
    assert not volume.exists()
    missing = up.run("delete", "shop")
    assert missing.returncode == 1 and "no database 'shop'" in missing.stderr


@pytest.mark.parametrize(("answer", "is_deleted"), [(b"n\n", False), (b"y\n", True)])
def test_delete_asks_a_person(up: Up, root: Path, answer: bytes, is_deleted: bool) -> None:
    up.start("-f", str(root / "shop.yaml"))
    up.ready()
    person, terminal = os.openpty()
    try:
        os.write(person, answer)
        asked = up.run("delete", "shop", stdin=terminal)
    finally:
        os.close(person)
        os.close(terminal)
    assert "Delete shop and keep its data? [y/N]" in asked.stdout
    assert asked.returncode == (0 if is_deleted else 1)
    assert ("shop" in up.run("list").stdout) is not is_deleted


def test_under_nohup_it_outlives_its_terminal(up: Up) -> None:
    up.start("--warm", "0", under=["nohup"])
    up.ready()
    up.signal(signal.SIGHUP)
    assert up.run("list").returncode == 0
    up.signal(signal.SIGTERM)
    assert up.ended() == 0, up.output


def test_without_nohup_it_ends_with_its_terminal(up: Up) -> None:
    up.start("--warm", "0")
    up.ready()
    up.signal(signal.SIGHUP)
    assert up.ended() == 0, up.output


def test_secrets_are_the_owners_only(up: Up, root: Path) -> None:
    up.start("-f", str(root / "shop.yaml"))
    up.ready()
    private = ["catalog.sqlite", "secrets/shop.json", "tls/server.key", "tls/ca.key"]
    for path in (up.state / part for part in private):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert b"s3 cret" not in (up.state / "catalog.sqlite").read_bytes()


def test_a_second_interrupt_ends_at_once(up: Up, root: Path) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    (root / "stand_ins" / "torpor_proxy" / "__main__.py").write_text(stubborn + PROXY)
    up.start()
    up.ready()
    up.signal(signal.SIGINT)
    until(lambda: "closing the proxy" in up.output, "the orderly end has begun")
    up.signal(signal.SIGINT)
    assert up.ended() == 1
    until(lambda: up.processes("torpor_") == [], "nothing is left")


@pytest.mark.skipif(
    os.geteuid() != 0 or PYTHON_OF_OTHERS is None,
    reason="needs root, and a Python that another user can run",
)
def test_it_works_as_an_ordinary_user(root: Path) -> None:
    with Up(root, user=65534) as up:
        up.start("-f", str(root / "shop.yaml"))
        up.ready()
        assert up.run("list").stdout.splitlines()[1].split()[:2] == ["shop", "Suspended"]
        assert (up.state / "databases" / "shop" / "data").stat().st_uid == 65534
        up.signal(signal.SIGINT)
        assert up.ended() == 0, up.output


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_on_a_full_disk_an_apply_fails_clearly_and_leaves_nothing(up: Up, root: Path) -> None:
    up.start()
    up.ready()
    databases = up.state / "databases"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", databases], check=True)
    try:
        failed = up.run("apply", "-f", str(root / "shop.yaml"))
        assert failed.returncode == 1
        assert "no room for" in failed.stderr and "free some space" in failed.stderr
        assert list(databases.iterdir()) == []
    finally:
        subprocess.run(["umount", databases], check=True)
    assert up.run("apply", "-f", str(root / "shop.yaml")).stdout == "shop created\n"
