"""``python -m torpor_compute``: one warm compute."""

from __future__ import annotations

import signal
import sys


def run() -> int:
    """In a pod the agent is process 1, which has no default action for a signal: told to end before
    it listens, it would go on until its kubelet kills it minutes later. So this comes first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from torpor_compute.main import main

    return main(sys.argv[1:])


sys.exit(run())
