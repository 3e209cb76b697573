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

SECONDS_MAX = 3.0
"""For all of it: whoever asked waits. A GiB takes a tenth of a second; what is dirty takes as long
as the disk."""

WAL = "pg_wal"
"""Which is written and hardly ever read."""

LOOKS_IN_VAIN_MAX = 2
"""In a row: after one in which everything was dirty some of it is not."""

PAUSE_SECONDS = 0.25


def let_go(
    data: Path,
    in_use: Callable[[], int],
    enough_bytes: int,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """File by file, that of WAL first, until no more than so many bytes are in use, or for
    ``SECONDS_MAX``, or until it is of no more use.

    Dirty pages stay, but are sent to the disk by that: so it looks again. Nothing is flushed here:
    whoever waits for a flush is told of a failure of the disk, which Postgres would then not be.
    """
    deadline, vain = time.monotonic() + SECONDS_MAX, 0
    while vain < LOOKS_IN_VAIN_MAX:
        before = in_use()
        for descriptor in guarded.files_below(data, first=WAL):
            if in_use() <= enough_bytes or time.monotonic() > deadline:
                return
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if time.monotonic() > deadline:
            return
        pause(PAUSE_SECONDS)
        vain = 0 if in_use() < before else vain + 1
