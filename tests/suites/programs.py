"""Runs other people's programs, line by line of their output: within a time, and none is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

LINES_MAX = 5_000_000
"""Of one program; more is a loop. libpq_pipeline prints a line for each of 300,000 results."""


class TookTooLong(Exception):
    """The program was ended at its limit."""


def watch(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    seconds_max: float,
    heard: Callable[[str], None],
) -> int:
    """Run it in ``folder`` and pass on each line of its output. Its exit status.

    Raises TookTooLong at the limit; the program and everything that it started are gone then.
    """
    with _started(argv, environment, folder) as process:
        late = threading.Event()

        def end_late() -> None:
            late.set()
            _end(process)

        timer = threading.Timer(seconds_max, end_late)
        timer.start()
        try:
            assert process.stdout is not None
            for count, line in enumerate(process.stdout):
                heard(line.rstrip("\n"))
                if count > LINES_MAX:
                    _end(process)
            status = process.wait()
        finally:
            timer.cancel()
            timer.join()
    if late.is_set():
        raise TookTooLong(f"{Path(argv[0]).name} was ended after {seconds_max:.0f} s")
    return status


@contextlib.contextmanager
def _started(
    argv: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    # The server, which may be another user, writes into folders that the program makes.
    process = subprocess.Popen(
        argv,
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        umask=0,
    )
    try:
        with process:
            yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """It and what it has started: they are a process group of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
