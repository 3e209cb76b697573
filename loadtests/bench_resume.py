"""How long a client waits for a sleeping database, against Postgres's own start.

Torpor and the reference take turns in one run, and each goes first every other time. The reference
is an exec of `postgres` on a copy of the same data directory, with the same settings, to the first
row of the first answered query over its Unix socket.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from rig.client import Client, ServerRefused, Target, query_packet
from rig.figures import Part
from rig.herd import first_rows_s, strangers_s
from rig.postgres import BarePostgres, copy_of, postmaster_pid, wait_until_gone
from rig.progress import Progress
from rig.table import fill
from rig.torpor import Torpor, torpor_up

NAME = "resume"
HEADLINE = "held session"

DATABASE = "bench"
QUERY = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711"
"""A real one: `SELECT 1` would be answered without a wake, as a keep-alive."""

CHANGE = "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid BETWEEN 1 AND 1000"
"""Before a kill, so that there is something to recover."""

HERD = 100
ROUNDS = 100
HERD_ROUNDS = 10
"""Of a hundred clients each."""

SETTLE_SECONDS = 0.3
"""An idle session is looked at for state 0.1 s after it fell idle; until then it is pinned."""

Times = list[float]
Measure = Callable[[], Times]


@dataclass(frozen=True, slots=True)
class Bench:
    """The two sides, both with the same data."""

    torpor: Torpor
    target: Target
    bare: BarePostgres

    def held(self) -> Times:
        client = Client(self.target)
        client.first_row_s(QUERY)
        self.torpor.suspend(DATABASE)
        seconds = client.first_row_s(QUERY)
        client.close()
        return [seconds]

    def fresh(self) -> Times:
        self.torpor.suspend(DATABASE)
        began = time.perf_counter()
        client = Client(self.target)
        client.first_row_s(QUERY)
        seconds = time.perf_counter() - began
        client.close()
        return [seconds]

    def killed(self) -> Times:
        """From the kill on, so that noticing it and clearing up count, which the reference spares.

        The session had been idle, so it goes on; where its query is faster than the bad news, it
        gets the error that says so and comes back as drivers do.
        """
        client = Client(self.target)
        client.ask(CHANGE)
        client.first_row_s(QUERY)
        time.sleep(SETTLE_SECONDS)
        data = self.torpor.state / "databases" / DATABASE / "data"
        began = time.perf_counter()
        os.kill(postmaster_pid(data), signal.SIGKILL)
        wait_until_gone(data)
        try:
            client.first_row_s(QUERY)
        except ServerRefused:
            client.close()
            client = Client(self.target)
            client.first_row_s(QUERY)
        seconds = time.perf_counter() - began
        client.close()
        return [seconds]

    def herd(self) -> Times:
        """Held sessions, all of which ask in the same moment."""
        clients = [Client(self.target) for _ in range(HERD)]
        self.torpor.suspend(DATABASE)
        packet = query_packet(QUERY)
        times = first_rows_s([each.socket for each in clients], packet, time.perf_counter())
        for each in clients:
            each.close()
        return times

    def bare_start(self) -> Times:
        seconds = self.bare.first_answer_s(QUERY)
        self.bare.stop()
        return [seconds]

    def bare_recovery(self) -> Times:
        self.bare.start()
        client = self.bare.client()
        client.ask(CHANGE)
        client.close()
        self.bare.kill()
        return self.bare_start()

    def bare_herd(self) -> Times:
        """All connect as soon as one has been let in."""
        times = strangers_s(self.bare.target, HERD, query_packet(QUERY), self.bare.up)
        self.bare.stop()
        return times


def run(progress: Progress, *, rounds: int = ROUNDS, herd_rounds: int = HERD_ROUNDS) -> list[Part]:
    """All kinds of waking."""
    progress.step("starting Torpor and filling a database")
    with torpor_up(DATABASE) as torpor:
        target = torpor.target(DATABASE)
        fill(target)
        torpor.suspend(DATABASE)
        data = torpor.state / "databases" / DATABASE / "data"
        with copy_of(data) as bare:
            bench = Bench(torpor, target, bare)
            start = "bare postgres"
            recovery = "bare, recovering"
            return [
                _part("held session", start, bench.held, bench.bare_start, rounds, progress),
                _part("fresh connection", start, bench.fresh, bench.bare_start, rounds, progress),
                _part(
                    "after kill -9", recovery, bench.killed, bench.bare_recovery, rounds, progress
                ),
                _part(
                    f"{HERD} at once",
                    "bare, 100 clients",
                    bench.herd,
                    bench.bare_herd,
                    herd_rounds,
                    progress,
                ),
            ]


def _part(
    name: str,
    reference_name: str,
    torpor: Measure,
    reference: Measure,
    rounds: int,
    progress: Progress,
) -> Part:
    ours: Times = []
    theirs: Times = []
    for number in range(rounds):
        turns = [(torpor, ours), (reference, theirs)]
        for measure, samples in turns if number % 2 else reversed(turns):
            samples += [seconds * 1000 for seconds in measure()]
        progress.count(name, number + 1, rounds)
    return Part(name, "ms", tuple(ours), tuple(theirs), reference_name, "p50 ≤ 2.0×, p99 ≤ 4×")
