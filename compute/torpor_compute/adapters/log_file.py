"""Postgres's log: one file beside the data, outside of the tenant's reach, and bounded.

It stays when the compute goes, for a person who asks what happened last night.
"""

from __future__ import annotations

import os
from pathlib import Path

LOG_BYTES_MAX = 16 << 20
"""A log that is larger is moved aside, and one old one is kept: at most twice this much."""

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
        with self.path.open("rb") as source, partial.open("wb") as target:
            while os.sendfile(target.fileno(), source.fileno(), None, LOG_BYTES_MAX):
                pass
        os.truncate(self.path, 0)
        partial.replace(self.path.with_name(self.path.name + ".1"))
        self._begin = 0

    def last_lines(self) -> str:
        """The end of what was said since the start, for a message about one that failed."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(self._begin, self._size() - _LAST_BYTES))
                lines = file.read(_LAST_BYTES).decode(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-LAST_LINES:])

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0
