"""What a held idle session of a sleeping database takes of the proxy's memory, plain and with TLS.

Resident memory of the proxy's process with so many sessions, less what it had before the first of
them (after a few that warmed it up), divided by their number. What the kernel keeps for a socket is
not in it. The reference is the limit that was aimed at.
"""

from __future__ import annotations

from rig.client import Client
from rig.figures import Part
from rig.holder import Holders, raise_file_limit
from rig.memory import readings
from rig.progress import Progress
from rig.torpor import Torpor, torpor_up

NAME = "memory"
HEADLINE = "plain, 10000 sessions"

DATABASE = "bench"
COUNTS = (1000, 10_000)
LIMIT_BYTES = {"plain": 4 << 10, "TLS": 24 << 10}

WARM_UP_SESSIONS = 50
OPEN_FILES = 20_000
"""Of the proxy, which inherits it: a socket a session, and then some."""


def run(progress: Progress) -> list[Part]:
    """Both kinds, each in a proxy of its own."""
    raise_file_limit(OPEN_FILES)
    parts = []
    for kind in LIMIT_BYTES:
        progress.step(f"starting Torpor for {kind} sessions")
        with torpor_up(DATABASE) as torpor:
            parts += _measured(torpor, kind, progress)
    return parts


def _measured(torpor: Torpor, kind: str, progress: Progress) -> list[Part]:
    target = torpor.target(DATABASE, tls=kind == "TLS")
    warm_up = [Client(target) for _ in range(WARM_UP_SESSIONS)]
    for client in warm_up:
        client.ask("SELECT 2")
        client.close()
    torpor.suspend(DATABASE)
    proxy, limit = torpor.proxy_pid(), LIMIT_BYTES[kind]
    before = min(readings(proxy))
    parts = []
    with Holders(target) as holders:
        for count in COUNTS:
            progress.step(f"opening {count} {kind} sessions")
            holders.hold(count)
            torpor.suspend(DATABASE)
            each = tuple((reading - before) / count for reading in readings(proxy))
            goal = f"≤ {limit >> 10} KiB"
            parts.append(Part(f"{kind}, {count} sessions", "bytes", each, (limit,), "limit", goal))
    return parts
