"""Tells on standard error how far something is: on a terminal in a line that changes, elsewhere in
a line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Final

EVERY_S: Final = 0.5
"""On a terminal."""

ELSEWHERE_EVERY_S: Final = 30.0
"""In the log of a job."""


class Display:
    """One line."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._every_s = EVERY_S if self._is_terminal else ELSEWHERE_EVERY_S
        self._next = time.monotonic() + self._every_s

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def show(self, line: str) -> None:
        self._next = time.monotonic() + self._every_s
        if self._is_terminal:
            columns = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\033[K{line[:columns]}")
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._is_terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
