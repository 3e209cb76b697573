"""Where tests write: folders in memory where there is room, and nothing left of them.

Databases are 40 MB each, and a run that is killed takes none of its hundreds with it.
So each process of tests has one folder, in which all others are, and holds a lock on it for as
long as it lives. A folder whose lock is free is nobody's any more: the next run removes it.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

MEMORY = Path("/dev/shm")
DISK = Path("/var/tmp")
"""Where files are not in memory, on any machine that keeps them over a restart."""

PREFIX = "torpor-tests-"

MARK = "TORPOR_TEST"
"""In the environment of what tests start for a folder: its name."""

ROOM_BYTES = 8 << 30
"""In memory, for what a whole run has there at a time (2.4 GB) and for its processes, with room to
spare. Below it tests write to the disk."""


@contextlib.contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """For the length of a test; other user ids may pass through, which pytest's own are not for."""
    folder = new_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def new_folder(parent: Path | str | None = None) -> Path:
    """Gone when this process's tests end, or by :func:`remove_leftovers`."""
    folder = Path(tempfile.mkdtemp(prefix="", dir=_own_folder(Path(parent or fast_folder()))))
    folder.chmod(0o711)
    return folder


def fast_folder() -> Path:
    """In memory where there is room: a test need not wait for a disk, least of all for others'."""
    return MEMORY if _memory_bytes_free() > ROOM_BYTES else DISK


def remove_leftovers(parents: tuple[Path, ...] = (MEMORY, DISK)) -> list[Path]:
    """Those of runs that were killed, with every process that still works for them."""
    removed = []
    for folder in (found for parent in parents for found in parent.glob(f"{PREFIX}*")):
        lock = _lock_if_free(folder)
        if lock is None:
            continue
        for pid in _processes_of(folder):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if not folder.exists():
            removed.append(folder)
    return removed


@functools.cache
def _own_folder(parent: Path) -> Path:
    folder = _new_locked_folder(parent)
    folder.chmod(0o711)
    atexit.register(_remove_as, os.getpid(), folder)
    return folder


def _remove_as(pid: int, folder: Path) -> None:
    """A process that was forked off inherits what is to be done at the end, and not the folder."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


def _new_locked_folder(parent: Path) -> Path:
    """Another run may take it for a leftover before it is locked, and removes it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        os.close(descriptor)


def _lock_if_free(folder: Path) -> int | None:
    """A file descriptor that holds the lock. Who may not even open a folder leaves it alone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():  # Nobody else has just removed it.
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _processes_of(folder: Path) -> list[int]:
    """Whoever was started for one of the folders in it; an onlooker was not."""
    marks = {f"{MARK}={inside.name}".encode() for inside in folder.iterdir()}
    running = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in running if marks & _environment_of(pid)]


def _environment_of(pid: int) -> set[bytes]:
    try:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return set()


def _memory_bytes_free() -> int:
    """What is in such a folder is memory that processes lack, whatever the folder's own limit."""
    try:
        found = os.statvfs(MEMORY)
        told = Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0]
    except (OSError, IndexError):
        return 0
    runs_programs = not found.f_flag & os.ST_NOEXEC
    return min(found.f_bavail * found.f_frsize, int(told) << 10) if runs_programs else 0
