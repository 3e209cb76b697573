"""What ``/proc`` says about processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

_START = 19
"""The field ``starttime``, counted from the state on."""

_CPU = slice(11, 15)
"""Its own time in user mode and in the kernel's, and that of its children that it has reaped."""

_PROC = Path("/proc")

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def children_of(parent: int) -> list[int]:
    """Its living children; asked of the kernel's own list where it keeps one."""
    try:
        threads = os.listdir(_PROC / str(parent) / "task")
        texts = [(_PROC / str(parent) / "task" / t / "children").read_text() for t in threads]
        found = [int(pid) for text in texts for pid in text.split()]
    except OSError:
        found = [int(e) for e in os.listdir(_PROC) if e.isdigit() and _parent(int(e)) == parent]
    return [pid for pid in found if state_of(pid) not in "ZX"]


def state_of(pid: int) -> str:
    """One letter; ``X`` for a process that is not there."""
    return _stat(pid)[0]


def age_of(pid: int) -> float:
    """Seconds since its start, at most a tick too many; 0 for a process that is not there."""
    started = _stat(pid)[_START:][:1]
    if not started:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(started[0]) / _TICKS_PER_SECOND


def cpu_seconds_of(pid: int) -> float:
    """Of a processor, with those of its reaped children; 0 for a process that is not there."""
    return sum(map(int, _stat(pid)[_CPU])) / _TICKS_PER_SECOND


def memory_of(pid: int) -> tuple[int, int]:
    """Resident bytes: its own, and those that it may share with others."""
    try:
        fields = (_PROC / str(pid) / "statm").read_text().split()
    except OSError:
        return 0, 0
    resident, shared = int(fields[1]), int(fields[2])
    return (resident - shared) * _PAGE_BYTES, shared * _PAGE_BYTES


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return ["X", "0"]
    # The name stands in parentheses and may hold anything, parentheses too.
    return text[text.rindex(")") + 2 :].split()
