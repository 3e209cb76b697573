"""Child processes: none outlives this one, and none is forgotten.

The supervisor is a child subreaper and reaps every child itself. A child that it neither started
nor adopted is what is left of a dead agent's Postgres: an orphan, which is killed. Every child it
starts is killed by the kernel when the supervisor dies, however it dies.

Nothing else in this process may start or wait for children, or two would reap one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import logging
import os
import pwd
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from torpor_cli.local import proc
from torpor_cli.local.log_files import open_log

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

ORPHANS_GONE_SECONDS_MAX = 10.0
"""SIGKILL works at once, but for a process that waits for a disk."""

_POLL_SECONDS = 0.01

_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """A process that this one started, or had started and adopted: then there is no ``process``."""

    def __init__(self, name: str, pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
        self.name = name
        self.pid = pid
        self._process = process
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def is_running(self) -> bool:
        return not self._exit.done()

    async def ended(self, timeout_s: float | None = None) -> int | None:
        """The exit status (negative: the signal), or None where it still runs after the time."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self._exit), timeout_s)
        return None

    def send(self, number: signal.Signals) -> None:
        """Nothing happens to a process that has ended: its id may be another's by now."""
        if self.is_running:
            os.kill(self.pid, number)

    def reaped(self, status: int) -> None:
        if self._process is not None:
            self._process.returncode = status
        self._exit.set_result(status)


class Children:
    """All children of this process."""

    def __init__(self) -> None:
        if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        self._running: dict[int, Child] = {}
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        stdin: int = subprocess.DEVNULL,
        user: pwd.struct_passwd | None = None,
    ) -> Child:
        """Start a process in a session of its own, so that Ctrl-C reaches the supervisor only."""
        with open_log(log) as output:
            process = subprocess.Popen(
                argv,
                cwd="/",
                stdin=stdin,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=None if user is None else user.pw_uid,
                group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
                preexec_fn=functools.partial(_die_with, os.getpid()),
            )
        return self._knowing(Child(name, process.pid, process))

    def adopt(self, name: str, pid: int) -> Child:
        """A child of this process that another one has started for it. Nothing may be awaited
        between that and this, or it may count as an orphan meanwhile."""
        return self._knowing(Child(name, pid))

    def _knowing(self, child: Child) -> Child:
        self._running[child.pid] = child
        return child

    async def end(self, child: Child, *, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after ``grace_s``; returns when it is reaped."""
        if grace_s > 0:
            child.send(signal.SIGTERM)
            await child.ended(grace_s)
        child.send(signal.SIGKILL)
        await child.ended()

    async def kill_orphans(self) -> bool:
        """Kill what dead agents left behind; whether none of it is left.

        An orphan's own children become ours when it dies, so this looks until twice in a row
        nothing was found: one look at a changing tree may miss a process on its way to us.
        """
        looks_empty = 0
        deadline = asyncio.get_running_loop().time() + ORPHANS_GONE_SECONDS_MAX
        while looks_empty < 2:
            orphans = [pid for pid in proc.children_of(os.getpid()) if pid not in self._running]
            looks_empty = 0 if orphans else looks_empty + 1
            for pid in orphans:
                log.info("orphan_killed", extra={"pid": pid})
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if asyncio.get_running_loop().time() > deadline:
                return False
            if orphans:
                await asyncio.sleep(_POLL_SECONDS)
                self._reap()
        return True

    async def kill_all(self) -> bool:
        """The end: every child, at once; whether none is left."""
        for child in list(self._running.values()):
            child.send(signal.SIGKILL)
        for child in list(self._running.values()):
            await child.ended()
        return await self.kill_orphans()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._running.pop(pid, None)
            if child is not None:
                child.reaped(os.waitstatus_to_exitcode(status))


def _die_with(parent: int) -> None:
    """In the child, before exec: SIGKILL when the supervisor ends; also if it has ended already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
