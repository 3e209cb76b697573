"""Copying a folder fast, making sure that it is on disk, and saying so where it is full."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from torpor_api.failures import StorageFull

_FICLONE = 0x40049409
"""Linux's ioctl that shares a file's blocks (Btrfs, XFS): a copy that takes no time and space."""

_COPY_BYTES = 64 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def copy_tree(source: Path, target: Path, owner: int | None) -> None:
    """Copy a folder of folders and files, private to its owner (None: this process's)."""
    target.mkdir(mode=0o700)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                copy_tree(source / entry.name, target / entry.name, owner)
            else:
                _copy_file(source / entry.name, target / entry.name, owner)
    if owner is not None:
        os.chown(target, owner, owner)


def give_to(root: Path, owner: int) -> None:
    """Make ``owner`` the owner of the folder and of all that is in it."""
    for folder, _, files in os.walk(root):
        os.chown(folder, owner, owner)
        for file in files:
            os.chown(os.path.join(folder, file), owner, owner, follow_symlinks=False)


def flush_filesystem(path: Path) -> None:
    """Everything written so far is on disk; one call for a thousand files. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """The names in the folder are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def full_disk_is_named(place: Path) -> Iterator[None]:
    """Raises StorageFull, naming the place, in an OSError's stead."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise StorageFull(
            f"no room for {place}: {error.strerror}", hint="free some space and apply again"
        ) from None


def _copy_file(source: Path, target: Path, owner: int | None) -> None:
    reader = os.open(source, os.O_RDONLY)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if not _shares_blocks(reader, writer):
                while os.sendfile(writer, reader, None, _COPY_BYTES):
                    pass
            if owner is not None:
                os.fchown(writer, owner, owner)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _shares_blocks(reader: int, writer: int) -> bool:
    try:
        fcntl.ioctl(writer, _FICLONE, reader)
    except OSError:
        return False
    return True
