"""A real agent as a process of its own, for the length of a test, and whoever is left behind it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO

import asyncpg

from support import forked
from support.postgres import binaries, make_volume, processes_on
from support.scratch import MARK, new_folder
from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_api.resource import DatabaseSpec
from torpor_api.scram import verifier_of
from torpor_channel.address import Address
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer
from torpor_channel.tls import Trust

WAIT_SECONDS_MAX = 30.0

START_SECONDS_MAX = 90.0
"""For a process to begin: hundreds of files are read, and others have the processor."""

PYTHON_OF_OTHERS = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin")
"""root's own Python may lie where no other user can reach it."""

VERIFIER = str(verifier_of("secret", b"0123456789abcdef", 4096))


class AgentProcess:
    """One agent, and the connection to it."""

    def __init__(self, compute: str, root: Path) -> None:
        self.compute = compute
        self.address: Address = root / f"{compute}.sock"
        self.trust: Trust | None = None
        self.run_directory = root / compute
        self.log = root / f"{compute}.log"
        self.peer: Peer
        self.process: forked.Process
        self.heard: asyncio.Queue[m.Event] = asyncio.Queue()

    async def ask(self, request: m.Request[Any], timeout_s: float = WAIT_SECONDS_MAX) -> Any:
        return await self.peer.ask(request, timeout_s=timeout_s)

    async def start(self, storage: m.StoragePlace, epoch: int = 1, **more: Any) -> m.Started:
        started: m.Started = await self.ask(start_compute(storage, epoch, **more))
        return started

    async def stop(self, epoch: int = 1, **more: Any) -> m.Stopped:
        stopped: m.Stopped = await self.ask(m.StopCompute(epoch=epoch, **more))
        return stopped

    async def state(self) -> str:
        state: m.AgentState = await self.ask(m.AskAgentState())
        return state.state

    async def hears(self) -> m.Event:
        """The next event that the agent tells."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            return await self.heard.get()

    async def connect(self, user: str = "app", database: str = "app", **more: Any) -> Any:
        """As the proxy does: over the Unix socket, as the operating system user it runs as."""
        return await asyncpg.connect(
            host=str(self.run_directory), user=user, database=database, ssl=False, **more
        )

    async def dialled(self, deadline_s: float) -> None:
        handlers: Handlers = dict.fromkeys(
            (
                m.PostgresLost,
                m.PostgresBack,
                m.LoginFactsChanged,
                m.AgentLeaving,
                m.ComputeSample,
            ),
            self._hear,
        )
        while True:
            try:
                self.peer = await dial(self.address, handlers, self.trust)
                return
            except Unavailable:
                alive = self.process.poll() is None and time.monotonic() < deadline_s
                assert alive, self.log.read_text()
                await asyncio.sleep(0.01)

    async def redialled(self) -> Peer:
        """A new connection in the place of the old one."""
        await self.dialled(time.monotonic() + WAIT_SECONDS_MAX)
        return self.peer

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def ended(self) -> int:
        """Its exit status after SIGTERM."""
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, WAIT_SECONDS_MAX)

    async def _hear(self, _: Peer, event: m.Event) -> None:
        self.heard.put_nowait(event)


class Agents:
    """Makes agents and volumes under one folder, and sees to it that nothing is left of them."""

    def __init__(self, root: Path, user: Any = None) -> None:
        self.root = root
        self.are_forked = user is None
        """Or begin as ``python -m torpor_compute``, like those of pods: costs ten times as much."""
        self.prefix: tuple[str, ...] = ()
        """What runs one that is not forked."""
        self._user = user
        self._made: list[AgentProcess] = []
        self._volumes: list[Path] = []
        self._mark = f"{MARK}={root.name}"

    def volume(self, place: Path | None = None) -> m.StoragePlace:
        directory = place or self.root / f"volume-{len(self._volumes)}"
        self._volumes.append(directory)
        if self._user is None:
            return make_volume(directory)
        own = self._user.pw_uid
        return make_volume(directory, own, own).model_copy(update={"user_id": None})

    async def agent(self, *options: str, **environment: str) -> AgentProcess:
        """A warm one."""
        agent = self._new(f"c{len(self._made)}")
        with agent.log.open("wb") as output:
            agent.process = self._begun(
                [*self._options(agent), *options], self._environment() | environment, output
            )
        self._made.append(agent)
        await agent.dialled(time.monotonic() + START_SECONDS_MAX)
        return agent

    def left(self) -> list[int]:
        """Every living process that an agent has started, itself included."""
        on_data = {pid for volume in self._volumes for pid in processes_on(volume)}
        # What was forked has no environment that others could read.
        agents = {agent.process.pid for agent in self._made if agent.process.poll() is None}
        return sorted(on_data | agents | set(_all_with(self._mark)))

    async def no_postgres_left(self) -> None:
        def on_data() -> list[int]:
            return [pid for volume in self._volumes for pid in processes_on(volume)]

        await until(lambda: not on_data(), f"still at work: {on_data()}")

    async def nothing_left(self) -> None:
        await until(lambda: not self.left(), f"left behind: {self.left()}")

    async def close(self) -> None:
        for agent in self._made:
            if hasattr(agent, "peer"):
                await agent.peer.close()
            agent.kill()
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.nothing_left()

    def _new(self, compute: str) -> AgentProcess:
        return AgentProcess(compute, self.root)

    @property
    def _python(self) -> str:
        return str(sys.executable if self._user is None else PYTHON_OF_OTHERS)

    def _begun(
        self, options: list[str], environment: dict[str, str], output: BinaryIO
    ) -> forked.Process:
        if self.are_forked:
            return forked.start("torpor_compute", options, environment, output.fileno())
        argv = [*self.prefix, self._python, "-m", "torpor_compute", *options]
        return subprocess.Popen(argv, cwd="/", env=environment, stderr=output, **self._as_user())

    def _options(self, agent: AgentProcess) -> list[str]:
        user = self._user.pw_name if self._user is not None else _own_name()
        return [
            *("--compute", agent.compute),
            *("--listen", str(agent.address)),
            *("--run-dir", str(agent.run_directory)),
            *("--postgres", str(binaries().directory), "--postgres-version", "18"),
            *("--proxy-user", user),
        ]

    def _environment(self) -> dict[str, str]:
        key, value = self._mark.split("=")
        own = (path for path in sys.path if path and not path.startswith(sys.base_prefix))
        return {**os.environ, key: value, "PYTHONPATH": os.pathsep.join(own)}

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


@contextlib.asynccontextmanager
async def agents_in_a_folder(user: Any = None) -> AsyncIterator[Agents]:
    """For the length of a test; ``user``: as which ordinary user the agents run."""
    root = new_folder()
    if user is not None:
        os.chown(root, user.pw_uid, user.pw_gid)
    agents = Agents(root, user)
    try:
        yield agents
    finally:
        await agents.close()
        shutil.rmtree(root)


def start_compute(
    storage: m.StoragePlace,
    epoch: int = 1,
    *,
    generation: int = 1,
    fenced: tuple[str, ...] = (),
    database: str = "shop",
    **spec: Any,
) -> m.StartCompute:
    parsed = DatabaseSpec.model_validate(spec)
    return m.StartCompute(
        database=database,
        epoch=epoch,
        storage=storage,
        fenced=fenced,
        spec=parsed,
        generation=generation,
        verifiers={role.name: VERIFIER for role in parsed.roles},
    )


async def until(
    holds: Callable[[], bool], reason: str, seconds_max: float = WAIT_SECONDS_MAX
) -> None:
    deadline = time.monotonic() + seconds_max
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain: {reason}"
        await asyncio.sleep(0.01)


def _own_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _all_with(mark: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and mark.encode() in Path(f"/proc/{entry}/environ").read_bytes():
                found.append(int(entry))
        except OSError:
            continue
    return found
