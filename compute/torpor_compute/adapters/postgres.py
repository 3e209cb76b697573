"""The Postgres of this agent as a process: started by exec, watched through its own files.

Never ``pg_ctl``, which polls ten times a second. ``postmaster.pid`` is read and never deleted: when
Postgres refuses to start because of it, Postgres is right.
"""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from torpor_api.failures import DataDamaged, Failure, StartFailed, StorageFull, Unavailable
from torpor_api.messages import ComputeUse
from torpor_api.sizes import Size
from torpor_compute.adapters import disk, guarded, launcher, own_files, proc, socket_folder
from torpor_compute.adapters.children import Child, Children
from torpor_compute.adapters.log_file import LogFile
from torpor_compute.adapters.server_tls import ServerTls
from torpor_compute.adapters.watch import FolderWatch
from torpor_compute.core.postgres_options import (
    NetworkPlaces,
    PostgresPlaces,
    command_line,
    config_text,
    needing_restart,
)
from torpor_compute.core.readiness import PID_FILE, PID_FILE_BYTES_MAX, is_begun, is_ready
from torpor_compute.ports import Launch, StartTimes, Stop

PAUSE_LOOKS_MAX = 1000
_PAUSE_LOOK_SECONDS = 0.001
"""A postmaster stops in its tracks within microseconds, unless it waits for a disk."""

LOG_CHECK_SECONDS = 30.0

FULL_BYTES = 1 << 20
"""A Postgres that fails with less room than this failed for want of room."""

_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
"""Nothing of the agent's own: a PGPORT in it would be believed."""

_Condition = Callable[[str, str, int], bool]
"""Of ``postmaster.pid`` now, before the start, and of the postmaster's process id."""

_SIGNALS = {
    Stop.SMART: signal.SIGTERM,
    Stop.FAST: signal.SIGINT,
    Stop.IMMEDIATE: signal.SIGQUIT,
}


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """What is known before the claim."""

    program: Path
    socket_directory: Path
    hba_file: Path
    ident_file: Path
    start_seconds_max: float
    host: str = ""
    """Where it listens on a network; then ``tls`` is there as well."""
    tls: ServerTls | None = None


class PostgresProcess:
    """See :class:`torpor_compute.ports.Postgres`."""

    def __init__(self, settings: PostgresSettings, children: Children) -> None:
        self._settings = settings
        self._children = children
        self._loop = asyncio.get_running_loop()
        self._stirred = asyncio.Event()
        self._child: Child | None = None
        self._launched: Launch | None = None
        self._spare: Child | None = self._spawn_launcher()
        self._spare.until_it_says_so()
        self._log: LogFile | None = None
        self._log_timer: asyncio.TimerHandle | None = None

    async def start(self, launch: Launch) -> StartTimes:
        data = Path(launch.storage.directory) / "data"
        started_at = self._loop.time()
        before = _pid_file(data)
        with contextlib.closing(FolderWatch(data, self._stirred.set)):
            child = self._launch(launch, data)
            try:
                async with asyncio.timeout(self._settings.start_seconds_max):
                    begun_at = await self._until(is_begun, child, data, before)
                    ready_at = await self._until(is_ready, child, data, before)
            except TimeoutError:
                raise self._failed("is not ready", data) from None
        if launch.storage.user_id is not None:
            socket_folder.shut(self._settings.socket_directory, launch.storage.user_id)
        self._check_log_later()
        return StartTimes((begun_at - started_at) * 1e3, (ready_at - begun_at) * 1e3)

    async def ended(self) -> str:
        assert self._child is not None
        return _how(await asyncio.shield(self._child.exit))

    async def gone(self, *, starts_again: bool = False) -> None:
        if self._log_timer is not None:
            self._log_timer.cancel()
        if self._child is not None:
            await asyncio.shield(self._child.exit)
        await self._children.none_left()
        self._spare = self._spawn_launcher() if starts_again else None

    def signal(self, stop: Stop) -> None:
        if self._child is not None:
            self._child.send(_SIGNALS[stop])

    def follow(self, size: Size) -> tuple[str, ...]:
        if self._launched is None or self._child is None or self._child.exit.done():
            raise Unavailable("no Postgres runs")
        self._write_config(self._launched, size)
        self._child.send(signal.SIGHUP)
        return needing_restart(self._launched.size, size)

    def _write_config(self, launch: Launch, size: Size) -> None:
        path, data = self._config_file, str(Path(launch.storage.directory) / "data")
        with disk.writing_to(path.parent):
            own_files.replace(path, config_text(size, data).encode(), 0o644)

    @property
    def _config_file(self) -> Path:
        return self._settings.socket_directory / "postgresql.conf"

    def renew_ca(self) -> None:
        """Who may come in by a certificate is read again, where it has changed."""
        tls = self._settings.tls
        if tls is not None and tls.renew_ca() and self._child is not None:
            self._child.send(signal.SIGHUP)

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        assert self._child is not None
        self._child.send(signal.SIGSTOP)
        try:
            await _until_paused(self._child)
            yield
        finally:
            self._child.send(signal.SIGCONT)

    def processes(self) -> dict[int, float]:
        assert self._child is not None
        return {pid: proc.age_of(pid) for pid in proc.children_of(self._child.pid)}

    def use(self) -> ComputeUse:
        assert self._child is not None
        pids = [self._child.pid, *proc.children_of(self._child.pid)]
        found = [proc.memory_of(pid) for pid in pids]
        own, shared = sum(own for own, _ in found), max(shared for _, shared in found)
        return ComputeUse(
            cpu_seconds=sum(map(proc.cpu_seconds_of, pids)),
            memory_bytes=own + shared,
            anonymous_bytes=own,
            shared_memory_bytes=shared,
        )

    def _spawn_launcher(self) -> Child:
        return self._children.spawn([sys.executable, "-I", "-S", launcher.__file__])

    def _launch(self, launch: Launch, data: Path) -> Child:
        user_id = launch.storage.user_id
        self._launched = launch
        self._write_config(launch, launch.size)
        if self._settings.tls is not None:
            with disk.writing_to(self._settings.socket_directory):
                self._settings.tls.write_key(user_id)
        if user_id is not None:
            socket_folder.let_in(self._settings.socket_directory, user_id)
        self._log = LogFile(data.parent)
        with disk.writing_to(data.parent):
            self._log.begin()
        self._child = self._spare or self._spawn_launcher()
        self._spare = None
        self._child.exit.add_done_callback(lambda _: self._stirred.set())
        plan = {
            "argv": self._argv(launch, data),
            "environment": _ENVIRONMENT,
            "data": str(data),
            "log": str(self._log.path),
            "user_id": user_id,
            "agent": os.getpid(),
        }
        self._child.write(marshal.dumps(plan))
        return self._child

    def _argv(self, launch: Launch, data: Path) -> list[str]:
        places = PostgresPlaces(
            data=str(data),
            socket_directory=str(self._settings.socket_directory),
            config_file=str(self._config_file),
            hba_file=str(self._settings.hba_file),
            ident_file=str(self._settings.ident_file),
            network=self._network(),
        )
        program = str(self._settings.program)
        return command_line(program, places, launch.size, launch.max_connections)

    def _network(self) -> NetworkPlaces | None:
        tls = self._settings.tls
        if tls is None:
            return None
        files = map(str, (tls.certificate, tls.key, tls.ca))
        return NetworkPlaces(self._settings.host, *files)

    async def _until(self, holds: _Condition, child: Child, data: Path, before: str) -> float:
        while True:
            self._stirred.clear()
            if child.exit.done():
                raise self._failed(_how(child.exit.result()), data)
            if holds(_pid_file(data), before, child.pid):
                return self._loop.time()
            await self._stirred.wait()

    def _failed(self, fault: str, data: Path) -> Failure:
        assert self._log is not None
        lines = self._log.last_lines()
        if disk.free_bytes(data) < FULL_BYTES:
            return disk.storage_full(data)
        # Without room elsewhere: the log or a tablespace may have a file system of its own.
        kind = StorageFull if "No space left on device" in lines else StartFailed
        return kind(
            f"Postgres on {data} {fault}; its last words:\n{lines or '(none)'}",
            hint=f"see {self._log.path}",
        )

    def _check_log_later(self) -> None:
        self._log_timer = self._loop.call_later(LOG_CHECK_SECONDS, self._check_log)

    def _check_log(self) -> None:
        assert self._log is not None
        with contextlib.suppress(OSError):  # A full disk: the next look may have more luck.
            self._log.bound()
        self._check_log_later()


async def _until_paused(child: Child) -> None:
    for _ in range(PAUSE_LOOKS_MAX):
        if child.exit.done() or proc.state_of(child.pid) == "T":
            return
        await asyncio.sleep(_PAUSE_LOOK_SECONDS)
    raise Unavailable(f"the postmaster {child.pid} can't be paused: it waits for a disk")


def _pid_file(data: Path) -> str:
    """Its text; empty where there is none. Raises DataDamaged."""
    try:
        return guarded.read_head(data, PID_FILE, PID_FILE_BYTES_MAX).decode(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DataDamaged(
            f"{data / PID_FILE} can't be used: {error.strerror}",
            hint="see what has been put there; only Postgres itself may write it",
        ) from None


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by signal {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
