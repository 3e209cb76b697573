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

from rig.postgres import postmaster_pid, wait_until_gone, working_in
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
                    at = time.monotonic()
                    dying = working_in(self._data)
                    os.kill(pid, signal.SIGKILL)
                    await asyncio.to_thread(wait_until_gone, self._data, dying)
                    self.done.append(Kill(kind, at, time.monotonic()))
                    return
            await asyncio.sleep(SLEEPING_SECONDS)

    @property
    def _data(self) -> Path:
        return self.torpor.state / "databases" / self.database / "data"

    def _pid_of(self, kind: str) -> int | None:
        try:
            postmaster = postmaster_pid(self._data)
        except (OSError, IndexError):
            return None
        return postmaster if kind == "postgres" else _parent_of(postmaster)


def _parent_of(pid: int) -> int | None:
    """The agent starts its Postgres itself."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    parent = int(fields[1])
    is_agent = b"torpor_compute" in Path(f"/proc/{parent}/cmdline").read_bytes()
    return parent if is_agent else None
