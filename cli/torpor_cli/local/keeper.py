"""Keeps one component running: started again when it ends unasked, with back-off, and said so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from torpor_cli.local.processes import Child, Children

log = logging.getLogger(__name__)

RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 5.0
"""Between two starts, doubling while the component ends soon after its start."""

STABLE_SECONDS = 30.0
"""A component that ran this long begins again with the shortest pause."""


class Keeper:
    """One component's process, over all its lives."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log_file: Path,
        children: Children,
        say: Callable[[str], None],
    ) -> None:
        self.name = name
        self._argv = argv
        self.log_file = log_file
        self._children = children
        self._say = say
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self.ends_unasked = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def stop(self, *, grace_s: float) -> None:
        """SIGTERM and wait, SIGKILL after ``grace_s``."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._child is not None:
            await self._children.end(self._child, grace_s=grace_s)

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        retry_s = RETRY_SECONDS_MIN
        while True:
            started = clock()
            self._child = self._children.spawn(self.name, self._argv, log=self.log_file)
            status = await self._child.ended()
            if clock() - started > STABLE_SECONDS:
                retry_s = RETRY_SECONDS_MIN
            self.ends_unasked += 1
            log.error("component_ended", extra={"child": self.name, "status": status})
            self._say(
                f"the {self.name} ended by itself ({_words(status)}); "
                f"starting it again in {retry_s:g} s; see {self.log_file}"
            )
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, RETRY_SECONDS_MAX)


def _words(status: int | None) -> str:
    if status is not None and status < 0:
        return f"signal {-status}"
    return f"exit status {status}"
