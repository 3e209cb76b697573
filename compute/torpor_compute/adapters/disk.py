"""Writing so that it is still there after a loss of power."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from torpor_api.failures import DataDamaged, StorageFull
from torpor_compute.adapters import guarded

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_libc = ctypes.CDLL(None, use_errno=True)


def write_synced(path: Path, text: str) -> None:
    """A file's content on disk; its name is so only after :func:`sync_folder`."""
    with guarded.file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)


def replace_synced(path: Path, text: str) -> None:
    """Old content or new content, whenever the power fails; never a part of one."""
    partial = path.with_name(f".{path.name}.partial")
    write_synced(partial, text)
    os.rename(partial, path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """The names in the folder are on disk."""
    with guarded.folder(path) as descriptor:
        os.fsync(descriptor)


class Filesystem:
    """The file system of a folder, watched from now on for what can't be brought to disk.

    The kernel tells a failed write once to each descriptor that was open by then, and then takes
    what it could not write for clean. So one descriptor stays open, and one failure is for good:
    what is in memory is not what is on disk, whatever a later flush says.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._folder = folder
        self._opened = contextlib.ExitStack()
        self._descriptor = self._opened.enter_context(guarded.folder(folder))
        self._fault: str | None = None

    def flush(self) -> None:
        """Everything written so far is on disk. Raises DataDamaged, once it did so always."""
        self.refuse_failed()
        try:
            sync_filesystem(self._descriptor)
        except OSError as error:
            self._fault = str(error.strerror)
        self.refuse_failed()

    def refuse_failed(self) -> None:
        """Raises DataDamaged where a flush has failed."""
        if self._fault is not None:
            raise DataDamaged(
                f"{self._folder}: what was written can't be brought to disk: {self._fault}",
                hint="look for errors of the disk in the kernel's log before the next start",
            )

    def close(self) -> None:
        self._opened.close()


def sync_filesystem(descriptor: int) -> None:
    """Everything written so far to its file system is on disk. Raises OSError."""
    if _libc.syncfs(descriptor) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def writing_to(place: Path) -> Iterator[None]:
    """Says what is wrong with a place that can't be written to: StorageFull or DataDamaged."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise storage_full(place) from None
        raise DataDamaged(
            f"{place} can't be written to: {error.strerror}",
            hint="see that the volume is mounted for writing and belongs to the agent's user",
        ) from None


def storage_full(place: Path) -> StorageFull:
    return StorageFull(
        f"no room on the file system of {place} ({free_bytes(place)} bytes are free)",
        hint="free some space there; the database wakes at the next try",
    )


def free_bytes(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize
