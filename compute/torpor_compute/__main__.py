"""``python -m torpor_compute``: one warm compute."""

from __future__ import annotations

import signal
import sys


def run() -> int:
    """Told to end before it listens it has nothing to bring to an end. So this comes first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from torpor_compute.main import main

    return main(sys.argv[1:])


sys.exit(run())
