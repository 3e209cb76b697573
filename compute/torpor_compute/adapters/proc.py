"""What ``/proc`` says about processes."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")

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
