"""The children of this process: the only proof that a Postgres is gone.

The agent is a child subreaper: what a dying postmaster leaves behind becomes its child. So Postgres
is gone when the kernel says that there is no child at all. For that, nothing else in this process
may start or wait for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Sequence

from torpor_compute.adapters import proc

_PR_SET_CHILD_SUBREAPER = 36

_LOOK_SECONDS = 0.002
"""Between two looks for leftovers: a killed process's own children come to us one by one."""

_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """A process that this one started, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The exit status; negative: the signal."""
        self._process = process

    def send(self, number: signal.Signals) -> None:
        """Nothing happens to a process that has ended: its id may be another's by now."""
        if not self.exit.done():
            os.kill(self.pid, number)

    def until_it_says_so(self) -> None:
        """Blocks until it has written something or ended."""
        assert self._process.stdout is not None
        self._process.stdout.read(1)

    def write(self, data: bytes) -> None:
        """To its standard input, which is closed then."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # It has died: whoever waits for it is told.
            self._process.stdin.write(data)
            self._process.stdin.close()

    def reaped(self, status: int) -> None:
        self._process.returncode = status
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self.exit.set_result(status)


class Children:
    """Starts, reaps and outlives them all."""

    def __init__(self) -> None:
        if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        self._running: dict[int, Child] = {}
        self._on_reaped: Callable[[], None] = lambda: None
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def spawn(self, argv: Sequence[str]) -> Child:
        """From the main thread only: the parent's death signal is that of the starting thread.

        A group of its own in the agent's session: Ctrl-C does not reach it, and if the agent dies
        while it is paused, the kernel sends SIGCONT to the orphaned group, so that it can die, too.
        """
        process = subprocess.Popen(
            argv,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            process_group=0,
        )
        child = Child(process)
        self._running[child.pid] = child
        return child

    async def none_left(self) -> None:
        """Kills whatever there is and returns when the kernel knows of no child any more."""
        while self._reap():
            for pid in proc.children_of(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_LOOK_SECONDS)

    def _reap(self) -> bool:
        """Take note of every child that has ended; whether there is one that has not."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            child = self._running.pop(pid, None)
            if child is not None:
                child.reaped(os.waitstatus_to_exitcode(status))
