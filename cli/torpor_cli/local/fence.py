"""The fencer of one machine: makes sure that nothing of a compute can write any more.

It does not ask whether a process looks dead, it ends it: an agent that has stalled would otherwise
keep its database waiting for ever. Commits are safe from that, Postgres recovers what it answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path

from torpor_api.failures import NotFenced
from torpor_cli.local import proc

log = logging.getLogger(__name__)

GONE_SECONDS_MAX = 10.0
"""How long killed processes may take to vanish; longer only where they wait for a disk."""

_POLL_SECONDS = 0.01


async def end_users_of(data: Path, user_id: int | None, database: str) -> None:
    """Kill every process that could write to the data. Raises NotFenced where one stays."""
    deadline = asyncio.get_running_loop().time() + GONE_SECONDS_MAX
    while pids := proc.users_of(data, user_id):
        if asyncio.get_running_loop().time() > deadline:
            raise NotFenced(f"{database}: processes {pids} have its data open and can't be ended")
        for pid in pids:
            log.warning("leftover_killed", extra={"database": database, "pid": pid})
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(_POLL_SECONDS)
