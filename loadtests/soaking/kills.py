"""`kill -9` of a database's Postgres or of its agent, now and then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rig.postgres import postmaster_pid, working_in
from rig.torpor import Torpor
from soaking.checker import Kill

KINDS = ("postgres", "agent")
SLEEPING_SECONDS = 0.05
"""Between two looks whether a database that sleeps is awake."""


@dataclass(slots=True)
class Kills:
    """Of one database of a running Torpor."""

    torpor: Torpor
    database: str
    random: Random
    done: list[Kill] = field(default_factory=list)

    async def go_on(self, every_s: float, end_at: float) -> None:
        """The first after one interval; each at some moment within the first half of its own."""
        while (begin := time.monotonic() + every_s / 2) < end_at:
            moment = begin + self.random.uniform(0, every_s / 2)
            await asyncio.sleep(moment - time.monotonic())
            await self._kill(self.random.choice(KINDS))
            await asyncio.sleep(max(0.0, begin + every_s / 2 - time.monotonic()))

    async def _kill(self, kind: str) -> None:
        """As soon as there is one."""
        while True:
            pid = self._pid_of(kind)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    at, postmaster = time.monotonic(), postmaster_pid(self._data)
                    os.kill(pid, signal.SIGKILL)
                    await asyncio.to_thread(self._wait_until_gone, postmaster)
                    self.done.append(Kill(kind, at, time.monotonic()))
                    return
            await asyncio.sleep(SLEEPING_SECONDS)

    def _wait_until_gone(self, killed: int) -> None:
        """Until nobody is left but a new Postgres, if there is one yet, and its children."""
        while True:
            now = _postmaster_or_none(self._data)
            new = None if now == killed else now
            if all(new in (pid, _parent_of(pid)) for pid in working_in(self._data)):
                return
            time.sleep(SLEEPING_SECONDS)

    @property
    def _data(self) -> Path:
        return self.torpor.state / "databases" / self.database / "data"

    def _pid_of(self, kind: str) -> int | None:
        postmaster = _postmaster_or_none(self._data)
        if kind == "postgres" or postmaster is None:
            return postmaster
        # The agent starts its Postgres itself.
        parent = _parent_of(postmaster)
        return parent if parent and b"torpor_compute" in _command_line(parent) else None


def _postmaster_or_none(data: Path) -> int | None:
    try:
        return postmaster_pid(data)
    except (OSError, IndexError):
        return None


def _parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
