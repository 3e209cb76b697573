"""Agents are forked from one process that has imported what they need: the nursery.

To import it takes a third of a second of a processor's time, and a fork some milliseconds. Where
there is no nursery an agent is started as a program of its own: it is the same agent, and dearer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from torpor_cli.local.processes import Child, Children

log = logging.getLogger(__name__)

WARM_SECONDS_MAX = 60.0
"""For a nursery's imports: less than half a second on an idle machine."""

RETRY_SECONDS = 60.0
"""After a nursery that could not even import: agents are started without one meanwhile."""

ANSWER_SECONDS_MAX = 5.0
"""For a fork: some milliseconds, or more where others have the processor. The supervisor does
nothing else meanwhile."""

ANSWER_BYTES_MAX: Final = 1 << 10

COMMAND_LINE_BYTES = 2 << 10
"""Room for what ``ps`` shall show of an agent: the paths of its socket, its folders and cgroups."""

_PYTHON = (sys.executable, "-m")


class Nursery:
    """Begun when the first agent is to be started, and anew when the one before has died."""

    def __init__(self, children: Children, log_file: Path) -> None:
        self._children = children
        self._log_file = log_file
        self._life: asyncio.Task[None] | None = None
        self._process: Child | None = None
        self._orders: socket.socket | None = None
        """Where it takes orders; None while it doesn't."""
        self._not_before = 0.0

    def is_prepared(self) -> bool:
        """Whether an agent can be started now. Where not, that is seen to: ask again in a
        moment."""
        if self._orders is not None:
            return True
        if self._life is None:
            if asyncio.get_running_loop().time() < self._not_before:
                return True
            self._life = asyncio.create_task(self._live())
        return False

    def start_agent(self, name: str, options: Sequence[str]) -> Child:
        """Either way. Raises OSError where the kernel has no process left."""
        pid = self._fork(options)
        if pid is not None:
            return self._children.adopt(name, pid)
        return self._children.spawn(
            name, [*_PYTHON, "torpor_compute", *options], log=self._log_file
        )

    async def close(self) -> None:
        """End it; its agents go on."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        if self._process is not None:
            await self._children.end(self._process, grace_s=0)

    async def _live(self) -> None:
        self._not_before = asyncio.get_running_loop().time() + RETRY_SECONDS
        try:
            status = await self._from_start_to_end()
            log.warning("nursery_ended", extra={"status": status})
        except OSError as error:
            log.warning("nursery_not_started", extra={"reason": str(error)})
        finally:
            self._orders = self._life = None

    async def _from_start_to_end(self) -> int | None:
        """The exit status. Raises OSError where none can be started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                argv = [*_PYTHON, "torpor_compute.nursery", "-" * COMMAND_LINE_BYTES]
                self._process = self._children.spawn(
                    "nursery", argv, log=self._log_file, stdin=theirs.fileno()
                )
            if await _says_it_is_warm(ours):
                self._not_before = 0.0
                ours.settimeout(ANSWER_SECONDS_MAX)
                self._orders = ours
            else:
                self._process.send(signal.SIGKILL)
            return await self._process.ended()

    def _fork(self, options: Sequence[str]) -> int | None:
        """The agent's process id, which is our child; None where there is none."""
        if self._orders is None:
            return None
        try:
            self._orders.send(os.fsencode("\0".join(options)))
            answer = self._orders.recv(ANSWER_BYTES_MAX)
        except OSError as error:
            answer = self._last_answer(error)
        if answer.isdigit():
            return int(answer)
        log.warning("agent_not_forked", extra={"reason": answer.decode() or "it has ended"})
        return None

    def _last_answer(self, error: OSError) -> bytes:
        """An agent begins only after the answer: once the nursery is dead there either is one, or
        no agent will come of this order."""
        assert self._process is not None and self._orders is not None
        orders, self._orders = self._orders, None
        self._process.send(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # It may have been reaped before.
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        try:
            return orders.recv(ANSWER_BYTES_MAX, socket.MSG_DONTWAIT)
        except OSError:
            return str(error).encode()


async def _says_it_is_warm(orders: socket.socket) -> bool:
    orders.setblocking(False)
    try:
        async with asyncio.timeout(WARM_SECONDS_MAX):
            return bool(await asyncio.get_running_loop().sock_recv(orders, ANSWER_BYTES_MAX))
    except (OSError, TimeoutError):
        return False
