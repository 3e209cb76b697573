"""``python -m torpor_compute``: one warm compute."""

from __future__ import annotations

import gc
import signal
import sys


def run() -> int:
    """Told to end before it listens it has nothing to bring to an end. So this comes first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # What is imported stays: to look for garbage in it takes a seventh of a start's processor time.
    gc.disable()
    from torpor_compute.main import main

    gc.freeze()
    gc.enable()
    return main(sys.argv[1:])


sys.exit(run())
