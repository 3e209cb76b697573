"""What ``ps`` shows of this process, where that is not what it was started with.

The kernel shows the memory in which it has put the arguments. So there is room for no more than it
was started with: whoever may want more is started with words that mean nothing.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

_ARGUMENTS = slice(45, 47)
"""The fields ``arg_start`` and ``arg_end``, counted from the state on."""


def show(words: Sequence[str]) -> None:
    """As many of their bytes as there is room for; nothing where the kernel tells no place."""
    start, end = _place()
    room = end - start
    if room <= 0:
        return
    text = b"\0".join(map(os.fsencode, words))[: room - 1]
    # A last byte that is not NUL would mean to the kernel that the text goes on behind it.
    ctypes.memmove(start, text.ljust(room, b"\0"), room)


def _place() -> tuple[int, int]:
    """Both 0 where it is not told."""
    try:
        text = Path("/proc/self/stat").read_text(errors="replace")
    except OSError:
        return 0, 0
    start, end = map(int, text[text.rindex(")") + 2 :].split()[_ARGUMENTS])
    return start, end
