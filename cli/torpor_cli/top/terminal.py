"""A terminal as a whole screen: raw keys in, lines out, and everything as before at the end."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from torpor_cli.top.frame import Styled

ENTER = b"\x1b[?1049h\x1b[?25l"
"""The other screen, without a cursor."""

LEAVE = b"\x1b[0m\x1b[?25h\x1b[?1049l"

HOME, REST_OF_LINE = b"\x1b[H", b"\x1b[0m\x1b[K"

STYLES = {
    "plain": b"\x1b[0m",
    "title": b"\x1b[0;1m",
    "dim": b"\x1b[0;2m",
    "selected": b"\x1b[0;7m",
    "good": b"\x1b[0;32m",
    "busy": b"\x1b[0;33m",
    "bad": b"\x1b[0;31m",
}

PLAIN_STYLES = STYLES | dict.fromkeys(("good", "busy", "bad"), b"\x1b[0m")
"""Where NO_COLOR says so (no-color.org)."""

READ_BYTES_MAX = 1024


class Terminal:
    """As a context manager, so that a failure leaves no screen that is of no use."""

    def __init__(self) -> None:
        self._input, self._output = sys.stdin.fileno(), sys.stdout.fileno()
        self._styles = PLAIN_STYLES if os.environ.get("NO_COLOR") else STYLES
        self._before: list[Any] = []
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)

    def __enter__(self) -> Terminal:
        self._before = termios.tcgetattr(self._input)
        tty.setraw(self._input)
        self._resized = signal.signal(signal.SIGWINCH, lambda *_: self.wake())
        self._ended = signal.signal(signal.SIGTERM, _raise_interrupt)
        self._write(ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGWINCH, self._resized)
        signal.signal(signal.SIGTERM, self._ended)
        self._write(LEAVE)
        termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        found = shutil.get_terminal_size()
        return max(1, found.columns), max(1, found.lines)

    def draw(self, lines: Sequence[Styled]) -> None:
        """All at once: a screen that is drawn line by line flickers."""
        drawn = [
            self._styles[line.style] + line.text.encode(errors="replace") + REST_OF_LINE
            for line in lines
        ]
        self._write(HOME + b"\r\n".join(drawn))

    def wake(self) -> None:
        """From a signal or another thread: :meth:`keys` returns."""
        with contextlib.suppress(BlockingIOError):  # It has been told more often than it can hear.
            os.write(self._waker, b"!")

    def keys(self, timeout_s: float) -> bytes:
        """What was pressed; nothing, where something else has happened or time is up.

        Raises EOFError where the terminal has gone.
        """
        ready, _, _ = select.select([self._input, self._woken], [], [], timeout_s)
        if self._woken in ready:
            os.read(self._woken, READ_BYTES_MAX)
        if self._input not in ready:
            return b""
        read = os.read(self._input, READ_BYTES_MAX)
        if not read:
            raise EOFError
        return read

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._output, data) :]


def _raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt
