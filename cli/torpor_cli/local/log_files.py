"""The components' logs: appended to by many processes, and bounded while these run.

Strangers decide how much a proxy has to say, so a log that is only looked at when its process
starts would grow until the disk is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import BinaryIO

from torpor_api.logs import readable

log = logging.getLogger(__name__)

LOG_BYTES_MAX = 16 << 20
"""A log that is larger is moved aside, and one old one is kept: at most about twice this much."""

LAST_BYTES_MAX = 32 << 10
"""Of the end of a log that somebody is shown: some lines with tracebacks fit into it."""

CHECK_SECONDS = 5.0
"""Between two looks; a component that does nothing but complain writes some MB in this time."""


def open_log(path: Path) -> BinaryIO:
    """For appending. Bounding a log rests on it that whoever writes to it appends."""
    bound(path)
    return open(path, "ab")


async def keep_bounded(directory: Path) -> None:
    """Until it is cancelled."""
    while True:
        for path in directory.glob("*.log"):
            try:
                await asyncio.to_thread(bound, path)
            except OSError as error:
                log.warning("log_not_bounded", extra={"path": str(path), "reason": str(error)})
        await asyncio.sleep(CHECK_SECONDS)


def bound(path: Path) -> None:
    """Move a log's content aside where it is too large.

    Copied, because its writers keep their descriptors; what they say just then may be lost. Where
    there is no room for a copy the content is lost too: an old log is worth less than the disk.
    """
    size = _size(path)
    if size <= LOG_BYTES_MAX:
        return
    try:
        _copy_end(path, size)
    except OSError as error:
        log.warning("log_not_kept", extra={"path": str(path), "reason": str(error)})
    os.truncate(path, 0)


def last_lines(path: Path, count: int = 5) -> str:
    """The end of a log, for a person who is told of a process that failed."""
    with open(path, "rb") as file:
        begin = max(0, path.stat().st_size - LAST_BYTES_MAX)
        file.seek(begin)
        lines = file.read(LAST_BYTES_MAX).decode(errors="replace").splitlines()
    whole = lines[1:] if begin else lines
    return "\n".join(map(readable, whole[-count:]))


def _copy_end(path: Path, size: int) -> None:
    """The last part, so that the old log is bounded as well."""
    partial = path.with_name(path.name + ".partial")
    offset = max(0, size - LOG_BYTES_MAX)
    try:
        with path.open("rb") as source, partial.open("wb") as target:
            while offset < size:
                sent = os.sendfile(target.fileno(), source.fileno(), offset, size - offset)
                if sent == 0:
                    break
                offset += sent
        partial.replace(path.with_name(path.name + ".1"))
    finally:
        partial.unlink(missing_ok=True)


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
