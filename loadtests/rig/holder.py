"""Processes that hold many idle sessions: `python -m rig.holder`, fed by a line of JSON.

One says `held` on its output when all are there, and lets them go when its input ends. Apart, so
that the clients' memory and work are in no figure of the proxy.
"""

from __future__ import annotations

import functools
import json
import resource
import sys
from dataclasses import asdict
from subprocess import PIPE, Popen
from typing import IO, cast

from rig import scram_client
from rig.client import Client, Target

SESSIONS_PER_PROCESS = 2500
"""Four processes for ten thousand; each has its own file descriptors."""

HELD = "held\n"


def raise_file_limit(wanted: int) -> None:
    """As many open files as are wanted, or as the system lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        raise RuntimeError(f"{wanted} open files are needed and {most} allowed: see `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class Holders:
    """Processes that hold sessions; they end with the ``with`` block."""

    def __init__(self, target: Target) -> None:
        self._order = json.dumps(asdict(target))
        self._processes: list[Popen[str]] = []
        self.held = 0

    def __enter__(self) -> Holders:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.communicate()

    def hold(self, wanted: int) -> None:
        """Until so many sessions are held in all."""
        while self.held < wanted:
            count = min(SESSIONS_PER_PROCESS, wanted - self.held)
            process = Popen(
                [sys.executable, "-m", "rig.holder"], stdin=PIPE, stdout=PIPE, text=True
            )
            self._processes.append(process)
            cast(IO[str], process.stdin).write(f"{count} {self._order}\n")
            cast(IO[str], process.stdin).flush()
            if cast(IO[str], process.stdout).readline() != HELD:
                raise RuntimeError(f"only {self.held} sessions could be held; see above")
            self.held += count


def main() -> None:
    count, _, order = sys.stdin.readline().partition(" ")
    target = Target(**json.loads(order))
    raise_file_limit(int(count) + 100)
    # All are one role: its password is hashed once and not ten thousand times.
    scram_client.salted = functools.cache(scram_client.salted)
    clients = [Client(target) for _ in range(int(count))]
    print(HELD, end="", flush=True)
    sys.stdin.read()
    for client in clients:
        client.close()


if __name__ == "__main__":
    main()
