"""Shows that something is waited for, and for how long already."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

EVERY_SECONDS = 1.0


@contextlib.contextmanager
def progress(what: str) -> Iterator[None]:
    """For the length of the block, on standard error: on a terminal one line that counts seconds
    and is gone at the end, elsewhere a line at the beginning."""
    if not sys.stderr.isatty():
        sys.stderr.write(f"{what} …\n")
        yield
        return
    ended = threading.Event()
    counting = threading.Thread(target=_count, args=(what, ended), daemon=True)
    counting.start()
    try:
        yield
    finally:
        ended.set()
        counting.join()


def _count(what: str, ended: threading.Event) -> None:
    began_at = time.monotonic()
    while True:
        sys.stderr.write(f"\r{what} … {time.monotonic() - began_at:.0f} s")
        sys.stderr.flush()
        if ended.wait(EVERY_SECONDS):
            break
    sys.stderr.write("\r\033[K")
    sys.stderr.flush()
