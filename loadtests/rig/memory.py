"""Resident memory of a process."""

from __future__ import annotations

import os
import time
from pathlib import Path

READINGS = 5
READING_SECONDS = 0.2
"""Between two readings: the proxy's own housekeeping runs once a second."""


def readings(pid: int) -> list[int]:
    """Bytes, a few times over a second."""
    found = []
    for _ in range(READINGS):
        time.sleep(READING_SECONDS)
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        found.append(pages * os.sysconf("SC_PAGE_SIZE"))
    return found
