"""Postgres's log: one file beside the data, outside of the tenant's reach, and bounded.

It stays when the compute goes, for a person who asks what happened last night.
"""

from __future__ import annotations

import os
from pathlib import Path

from torpor_compute.adapters import guarded

LOG_BYTES_MAX = 16 << 20
"""A log that is larger is moved aside, and one old one is kept: twice this much,
and what Postgres says between two looks at it."""

LAST_LINES = 8
_LAST_BYTES = 4096


class LogFile:
    """Postgres appends to it by a descriptor of its own; nobody else writes."""

    def __init__(self, volume: Path) -> None:
        self.path = volume / "log" / "postgres.log"
        self._begin = 0

    def begin(self) -> None:
        """Before a start: what is said from here on belongs to it. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self.bound()
        self._begin = self._size()

    def bound(self) -> None:
        """Move its content aside where it is too large.

        Copied, because Postgres keeps its descriptor; what it says just then may be lost.
        """
        if self._size() <= LOG_BYTES_MAX:
            return
        partial = self.path.with_name(self.path.name + ".partial")
        with (
            guarded.file(self.path, os.O_RDWR) as source,
            guarded.file(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as target,
        ):
            _copy_end(source, target)
            os.ftruncate(source, 0)
        partial.replace(self.path.with_name(self.path.name + ".1"))
        self._begin = 0

    def last_lines(self) -> str:
        """The end of what was said since the start, for a message about one that failed."""
        try:
            with guarded.file(self.path) as log:
                size = os.fstat(log).st_size
                end = os.pread(log, _LAST_BYTES, max(self._begin, size - _LAST_BYTES))
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"(the log can't be read: {error.strerror})"
        return "\n".join(end.decode(errors="replace").splitlines()[-LAST_LINES:])

    def _size(self) -> int:
        try:
            with guarded.file(self.path) as log:
                return os.fstat(log).st_size
        except FileNotFoundError:
            return 0


def _copy_end(source: int, target: int) -> None:
    """At most as much as a log may have, even while somebody goes on writing."""
    size = os.fstat(source).st_size
    at, left = max(0, size - LOG_BYTES_MAX), min(size, LOG_BYTES_MAX)
    while left > 0 and (copied := os.sendfile(target, source, at, left)):
        at, left = at + copied, left - copied
