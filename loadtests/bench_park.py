"""What parking costs: one session, many that must be let go, a herd that returns, memory.

**Park and attach** is timed from outside. Under ``--park-every-safe-point`` the proxy captures a
session, closes its backend connection, opens another and restores the session on it after each
answer; so the next query's answer takes the whole of that, and the query. The reference is what a
client without Torpor does to have the same again: connect to a bare Postgres over its Unix socket
without a password, set and prepare the same in one write, and ask the same query. Both end with the
first query of a fresh backend. Capture and restore are timed apart as well, on the bare one.

**A herd**: sessions without state, all of which ask in one moment while the database sleeps. The
reference is as many fresh connections to a bare Postgres, from its exec on, as soon as it lets one
in, with the same data and the same settings; made as an application without Torpor makes them: over
TCP, with a password by SCRAM, and the query once it is let in. The hash of the password, which
drivers work out anew for each connection, is left out: it is the application's own processor that
it takes, and more of that than everything else here. The herd is shown against less than a login,
too: a Unix socket, no password, and the query sent along with the startup packet.
"""

from __future__ import annotations

from collections.abc import Callable

import park_many
import park_one
from rig.figures import Part
from rig.holder import raise_file_limit
from rig.progress import Progress

NAME = "park"
HEADLINE = park_one.HEADLINE

ROUNDS = 200
"""Of one session; of what takes a thousand there are fewer, in proportion."""

OPEN_FILES = 20_000
"""Of the proxy, which inherits it: a socket a session and one a backend, and then some."""


def run(progress: Progress, *, rounds: int = ROUNDS) -> list[Part]:
    """All of it, each in a Torpor of its own."""
    raise_file_limit(OPEN_FILES)
    steps: tuple[Callable[[Progress, int], list[Part]], ...] = (
        park_one.run,
        park_many.herd,
        park_many.suspends,
        park_many.memory,
    )
    return [part for step in steps for part in step(progress, rounds)]
