"""Says on standard error how far a benchmark is: on a terminal in one line, else now and then."""

from __future__ import annotations

import sys
import time

LINE_SECONDS = 10.0
"""Between two lines in a log."""


class Progress:
    """Of one benchmark."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = time.monotonic()
        self._last = 0.0

    def step(self, what: str) -> None:
        """Something new begins."""
        self._say(what, "\n")

    def count(self, what: str, done: int, of: int) -> None:
        """One more of many."""
        now = time.monotonic()
        if sys.stderr.isatty():
            self._say(f"{what} {done}/{of}", "\n" if done == of else "\r")
        elif now - self._last > LINE_SECONDS or done == of:
            self._last = now
            self._say(f"{what} {done}/{of}", "\n")

    def _say(self, text: str, end: str) -> None:
        seconds = time.monotonic() - self._began
        print(
            f"\033[K{self._name} {seconds:5.0f} s  {text}"
            if sys.stderr.isatty()
            else f"{self._name} {seconds:5.0f} s  {text}",
            end=end,
            file=sys.stderr,
            flush=True,
        )
