"""Opening files where somebody else may have put what is found.

A tenant's superuser can replace whatever its user id owns: all of the data directory, while the
agent may be root. A link there could lead to any file of the machine, a pipe would never answer,
and a file may be without end. So every such file is opened from here: no link is followed at any
step below a folder that is named, nothing waits, only a regular file counts (in a tenant's folder
one of its own: a hard link brings another owner along), and whoever reads says how much at most.

What lies above the named folder must be the agent's own. No content is ever put into a message.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_GUARDED = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def folder(path: Path | str, above: int | None = None) -> Iterator[int]:
    """A descriptor of the folder; ``above``: of the one that ``path`` is a single name in."""
    descriptor = os.open(path, _FOLDER, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def file(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A descriptor of the regular file, made for its owner alone where ``flags`` say so.

    Raises OSError, also for whatever is no regular file.
    """
    with folder(path.parent) as above, _file_in(above, path.name, flags) as descriptor:
        yield descriptor


def files_below(top: Path, *, first: str) -> Iterator[int]:
    """A descriptor of each regular file that has the owner of ``top``, good until the next is
    asked for, those in the folder ``first`` before any other folder's. What can't be opened is left
    out, and so is what links lead to. Raises OSError for ``top`` itself."""
    with folder(top) as opened:
        for _, folders, names, at in os.fwalk(".", dir_fd=opened):
            folders.sort(key=lambda name: name != first)
            for name in names:
                with contextlib.suppress(OSError), _file_in(at, name) as descriptor:
                    _refuse_another_s(descriptor, opened, name)
                    yield descriptor


def read_head(top: Path, name: str, bytes_max: int) -> bytes:
    """The first bytes of the file ``name``, which may have folders in it, below a tenant's ``top``.

    Raises OSError as :func:`file` does, and for a file of another user.
    """
    *folders, last = name.split("/")
    with contextlib.ExitStack() as opened:
        at = opened.enter_context(folder(top))
        for each in folders:
            at = opened.enter_context(folder(each, at))
        descriptor = opened.enter_context(_file_in(at, last))
        _refuse_another_s(descriptor, at, last)
        return os.read(descriptor, bytes_max)


def _refuse_another_s(descriptor: int, folder: int, name: str) -> None:
    """A hard link, which anybody may make of a file that he can see."""
    if os.fstat(descriptor).st_uid != os.fstat(folder).st_uid:
        raise OSError(errno.EPERM, "belongs to another user than its folder", name)


@contextlib.contextmanager
def _file_in(above: int, name: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    descriptor = os.open(name, flags | _GUARDED, 0o600, dir_fd=above)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no regular file", name)
        yield descriptor
    finally:
        os.close(descriptor)
