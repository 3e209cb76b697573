"""Processes that hold many idle sessions: `python -m rig.holder`, fed by a line of JSON.

One says `held` on its output when all are there, lets so many of them ask again as a further line
says, and lets them go when its input ends. Apart, so that the clients' memory and work are in no
figure of the proxy.
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
from rig.state import NOTHING, Load

SESSIONS_PER_PROCESS = 2500
"""Four processes for ten thousand; each has its own file descriptors."""

HELD = "held\n"

QUERY = "SELECT 2"
"""`SELECT 1` would be answered without a wake, as a keep-alive."""


def raise_file_limit(wanted: int) -> None:
    """As many open files as are wanted, or as the system lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        raise RuntimeError(f"{wanted} open files are needed and {most} allowed: see `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class Holders:
    """Processes that hold sessions; they end with the ``with`` block."""

    def __init__(self, target: Target, load: Load = NOTHING) -> None:
        self._order = {"target": asdict(target), "load": asdict(load)}
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
            order = {**self._order, "count": count, "first": self.held}
            self._tell(process, json.dumps(order))
            self.held += count

    def ask(self, count: int) -> None:
        """Let so many of the sessions ask something, one after the other."""
        assert count <= min(self.held, SESSIONS_PER_PROCESS)
        self._tell(self._processes[0], str(count))

    def _tell(self, process: Popen[str], line: str) -> None:
        cast(IO[str], process.stdin).write(line + "\n")
        cast(IO[str], process.stdin).flush()
        if cast(IO[str], process.stdout).readline() != HELD:
            raise RuntimeError(f"{self.held} sessions are held, and no more can be; see above")


def main() -> None:
    order = json.loads(sys.stdin.readline())
    target, load = Target(**order["target"]), Load(**order["load"])
    raise_file_limit(order["count"] + 100)
    # All are one role: its password is hashed once and not ten thousand times.
    scram_client.salted = functools.cache(scram_client.salted)
    clients = []
    for number in range(order["count"]):
        clients.append(Client(target))
        clients[-1].answers(load.messages(order["first"] + number), load.readies)
    print(HELD, end="", flush=True)
    for line in sys.stdin:
        for client in clients[: int(line)]:
            client.ask(QUERY)
        print(HELD, end="", flush=True)
    for client in clients:
        client.close()


if __name__ == "__main__":
    main()
