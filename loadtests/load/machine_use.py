"""Who uses this machine's processors, from /proc. A machine without it (no Linux) says nothing."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")

PROGRAMS = {
    b"torpor_proxy": "proxy",
    b"torpor_autoscaler": "autoscaler",
    b"torpor_compute": "agents",
    b"load.herd": "load",
    b"locust": "load",
}
"""By what stands in the command line. Those that end within a second are not seen: Postgres's
backends above all, which are a part of the rest."""

REST = "Postgres and others"

IDLE_FIELDS = slice(3, 5)
"""idle and iowait, in the first line of /proc/stat."""


@dataclass(frozen=True, slots=True)
class Use:
    """Of the machine, in the seconds before."""

    busy: float = 0.0
    """Share of all processors, 0 to 1."""
    of: Mapping[str, float] = field(default_factory=dict)
    """Shares by program; together they are ``busy``."""
    memory: float = 0.0
    """Share of the memory that is not available, 0 to 1."""


@dataclass(frozen=True, slots=True)
class _Ticks:
    total: int = 0
    idle: int = 0
    of: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    """Of each process: its program, and its ticks so far."""


class MachineUse:
    """Counts from one look to the next."""

    def __init__(self) -> None:
        self._last = _look()

    def since_last(self) -> Use:
        now, last = _look(), self._last
        self._last = now
        total = now.total - last.total
        if total <= 0:
            return Use()
        busy = 1.0 - (now.idle - last.idle) / total
        of: Counter[str] = Counter()
        for pid, (program, ticks) in now.of.items():
            of[program] += max(0, ticks - last.of.get(pid, (program, 0))[1])
        shares = {program: ticks / total for program, ticks in of.items()}
        shares[REST] = max(0.0, busy - sum(shares.values()))
        return Use(round(busy, 4), {key: round(each, 4) for key, each in shares.items()}, _memory())


def _look() -> _Ticks:
    try:
        fields = [int(each) for each in (PROC / "stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:
        return _Ticks()
    found: dict[int, tuple[str, int]] = {}
    for entry in os.scandir(PROC):
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (program := _program(Path(entry.path))):
                found[int(entry.name)] = program, _ticks(Path(entry.path))
    return _Ticks(sum(fields), sum(fields[IDLE_FIELDS]), found)


def _program(process: Path) -> str:
    line = (process / "cmdline").read_bytes()
    return next((name for word, name in PROGRAMS.items() if word in line), "")


def _ticks(process: Path) -> int:
    """Of its own; the name in it may have blanks and brackets."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _memory() -> float:
    lines = (line.split() for line in (PROC / "meminfo").read_text().splitlines())
    values = {words[0]: int(words[1]) for words in lines}
    return round(1.0 - values["MemAvailable:"] / values["MemTotal:"], 4)
