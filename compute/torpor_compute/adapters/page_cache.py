"""What the kernel keeps of a data directory's files in memory, and how to have it kept no more.

Linux counts these pages as a container's own, although it would take them back whenever somebody
needs them; and a kubelet takes no memory from a container that has it in use.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from torpor_compute.adapters import guarded

SECONDS_MAX = 5.0
"""For all of it. A GiB takes a tenth of a second."""

WAL = "pg_wal"
"""Which is written and hardly ever read."""


def let_go(data: Path, is_enough: Callable[[], bool]) -> None:
    """File by file, that of WAL first, until ``is_enough``. What is not yet on disk stays."""
    deadline = time.monotonic() + SECONDS_MAX
    for descriptor in guarded.files_below(data, first=WAL):
        if is_enough() or time.monotonic() > deadline:
            return
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
